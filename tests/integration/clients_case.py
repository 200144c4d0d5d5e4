"""A listening API, and unmodified clients that run against it, for tests."""

import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.trial.unittest import TestCase

from tests.api.harness import FakeHost, System, instance
from tests.support.client_settings import ClientSettings, environment
from tests.support.forked import output_and_value

BIN = Path(sys.executable).parent
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
NOVNC_URL = rf"http://127\.0\.0\.1:6080/vnc_auto\.html\?token=({UUID})"
XVP_URL = rf"http://127\.0\.0\.1:6081/console\?token=({UUID})"


class Clients(ClientSettings, TestCase):
    timeout = 300

    async def listen(self, auth: Any) -> None:
        hosts = [
            FakeHost(
                "host1",
                instance("myserver20", project_id="p1", project_name="red"),
                instance("myserver2", project_id="p1", project_name="red", state="shutoff", power_state=4),
                instance("novga"),
                no_vnc=("novga",),
            ),
            FakeHost("host2", instance("other", project_id="blue")),
        ]
        self.system = await System(auth, *hosts, reactor=reactor).start()
        for front in ("novncproxy", "xvpvncproxy"):
            await self.system.transport.announce(f"{front}.host1", binary=f"nova-{front}", host="host1")
        port = reactor.listenTCP(0, self.system.site, interface="127.0.0.1")
        self.addCleanup(self.system.transport.stop)
        self.addCleanup(self._closed, port)
        self.url = f"http://127.0.0.1:{port.getHost().port}"
        self.slots = DeferredSemaphore(2)

    async def _closed(self, port: Any) -> None:
        await port.stopListening()
        for channel in list(self.system.site.connections):
            ended = Deferred()
            channel.transport.protocol.connectionLost = _after(channel.transport.protocol.connectionLost, ended)
            channel.transport.abortConnection()
            await ended

    def run_client(self, command: str, settings: dict[str, str]) -> "Deferred[tuple[str, str, int]]":
        """Run a client; return its output, its standard error, and its exit code."""
        name, *arguments = command.split()
        ran = self.slots.run(output_and_value, [str(BIN / name), *arguments], environment(self.mktemp(), settings))
        return ran.addCallback(lambda result: (result[0].decode(), result[1].decode(), result[2]))

    async def run_all(self, settings: dict[str, str], *commands: str) -> list[tuple[str, str, int]]:
        return list(await gatherResults([self.run_client(command, settings) for command in commands]))

    def rows(self, result: tuple[str, str, int]) -> list[list[str]]:
        """The cells of a client's table."""
        output, errors, code = result
        self.assertEqual(code, 0, output + errors)
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in output.splitlines() if line[0] == "|"]


def _after(lost: Any, ended: "Deferred[None]") -> Any:
    def connection_lost(reason: Any) -> None:
        lost(reason)
        ended.callback(None)

    return connection_lost
