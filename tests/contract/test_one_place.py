"""A new field of ConnectInfo is added in one place."""

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

# Adds one line to the class, as an engineer would, before anything imports it; then a token passes from the
# compute host through the API and consoleauth to the proxy.
_SCRIPT = """
import sys
from dataclasses import replace
from importlib.util import find_spec, module_from_spec

spec = find_spec("novnc_twisted.contract.connect_info")
source = spec.loader.get_source(spec.name)
line = "    password: Annotated["
assert source.count(line) == 1
source = source.replace(line, "    clipboard: Annotated[str, fields.one_of('both', 'none')] = 'both'\\n" + line)
module = sys.modules[spec.name] = module_from_spec(spec)
exec(compile(source, spec.origin, "exec"), vars(module))

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from novnc_twisted.compute import ComputeAPI, ComputeManager
from novnc_twisted.consoleauth import ConsoleAuthAPI, ConsoleAuthManager
from novnc_twisted.messaging.memory import MemoryTransport
from tests.compute.harness import A, FakeDriver, domain

async def main():
    clock = Clock()
    transport = MemoryTransport(clock)
    await transport.start()
    driver = FakeDriver(clock)
    driver.add(domain())
    await ComputeManager(transport, driver, host="one").start()
    await ConsoleAuthManager(transport, clock).start()
    console = await ComputeAPI(transport).get_vnc_console(A, "novnc")
    assert console.connect_info.clipboard == "both"
    api = ConsoleAuthAPI(transport)
    await api.authorize_console(console.token, replace(console.connect_info, clipboard="none"))
    info = await api.check_token(console.token, "novnc", "192.0.2.7")
    print(info.clipboard, info.host, info.name)

Deferred.fromCoroutine(main()).addErrback(lambda failure: failure.printTraceback())
"""


class OnePlaceTests(SynchronousTestCase):
    def test_a_new_field_travels_from_the_api_to_the_proxy(self) -> None:
        root = Path(__file__).parents[2]
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT], capture_output=True, text=True, timeout=240, cwd=root, check=False
        )
        self.assertEqual((done.stderr, done.stdout), ("", "none 127.0.0.1 myserver20\n"))
