"""Real processes that were passed their sockets by systemd."""

import os
import socket
from typing import Any

from tests.service.harness import ProxyCase
from tests.service.test_commands import alone
from tests.service.test_sockets import listening
from tests.support.twistd import Twistd
from tests.support.viewer import Viewers

ACTIVATED = "LISTEN_PID=$$; export LISTEN_PID"
"""systemd knows the process that it becomes."""


def passing(*passed: socket.socket, names: str | None = None) -> dict[str, Any]:
    """What passes these to a process, from descriptor 3 on."""
    descriptors: dict[int, Any] = {0: "w", 1: "r", 2: "r"}
    descriptors |= {number: one.fileno() for number, one in enumerate(passed, 3)}
    environment = os.environ | {"LISTEN_FDS": str(len(passed))} | ({"LISTEN_FDNAMES": names} if names else {})
    return {"shell": ACTIVATED, "childFDs": descriptors, "env": environment}


class ActivationTests(ProxyCase):
    """Real processes that were passed their sockets."""

    async def test_names(self) -> None:
        """Each part finds its own by name; the others are opened."""
        xvp, novnc = listening(self), listening(self)
        conf = alone()
        process = Twistd.start(self, "console", conf, **passing(xvp, novnc, names="xvpvncproxy.socket:novncproxy"))
        await process.ready()
        viewers = Viewers(self)
        base = "http://127.0.0.1:%d"
        self.assertEqual((await viewers.refusal(base % xvp.getsockname()[1] + "/console?token=t"))[0], 401)
        self.assertEqual((await viewers.refusal(base % novnc.getsockname()[1] + "/vnc_auto.html?token=t"))[0], 4401)
        self.assertEqual(await process.stop(), 0)

    async def test_one_for_several_workers(self) -> None:
        """Without a name it is the command's; its workers share it, and its own port stays free."""
        await self.begin()
        listener = listening(self)
        self.proxy = Twistd.start(self, "novncproxy", self.conf(2), **passing(listener, names="connection"))
        await self.proxy.ready()
        with socket.socket() as free:
            free.bind(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        await (await self.viewers.open(self.url)).leave()

    async def test_noauth_stays_on_loopback(self) -> None:
        """What is passed counts, not what the file says."""
        listener = socket.socket()
        self.addCleanup(listener.close)
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        process = Twistd.start(self, "console", alone(), **passing(listener, names="consoleapi"))
        self.assertNotEqual(await process.ended, 0)
        self.assertIn("LISTEN_FDS passes 0.0.0.0", process.output)

    async def test_not_listening(self) -> None:
        """One line, instead of a proxy that no client reaches."""
        deaf = socket.socket()
        self.addCleanup(deaf.close)
        process = Twistd.start(self, "console", alone(), **passing(deaf, names="novncproxy"))
        self.assertNotEqual(await process.ended, 0)
        self.assertEqual(process.output.count("\n"), 1, process.output)
        self.assertIn("LISTEN_FDS: descriptor 3", process.output)
