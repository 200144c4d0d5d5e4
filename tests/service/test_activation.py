"""Real processes that get their sockets as from systemd."""

import os
import socket
from typing import Any

from tests.service.harness import ProxyCase
from tests.service.test_commands import alone
from tests.service.test_sockets import listening
from tests.support.twistd import Twistd
from tests.support.viewer import Viewers

ACTIVATED = "LISTEN_PID=$$; export LISTEN_PID"
"""A line of shell: as with systemd, LISTEN_PID is the id of the command's process."""


def passing(*passed: socket.socket, names: str | None = None) -> dict[str, Any]:
    """Return the arguments of Twistd.start() that pass these sockets, from descriptor 3 on."""
    descriptors: dict[int, Any] = {0: "w", 1: "r", 2: "r"}
    descriptors |= {number: one.fileno() for number, one in enumerate(passed, 3)}
    environment = os.environ | {"LISTEN_FDS": str(len(passed))} | ({"LISTEN_FDNAMES": names} if names else {})
    return {"shell": ACTIVATED, "childFDs": descriptors, "env": environment}


class ActivationTests(ProxyCase):
    async def test_names(self) -> None:
        """A service takes its socket by name; without one, it opens a socket."""
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
        """A socket with another name belongs to the command.  Its workers share it, and do not open their own."""
        await self.begin()
        listener = listening(self)
        self.proxy = Twistd.start(self, "novncproxy", self.conf(2), **passing(listener, names="connection"))
        await self.proxy.ready()
        with socket.socket() as free:
            free.bind(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        await (await self.viewers.open(self.url)).leave()

    async def test_noauth_stays_on_loopback(self) -> None:
        """The address of the passed socket counts, not the configured one."""
        listener = socket.socket()
        self.addCleanup(listener.close)
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        process = Twistd.start(self, "console", alone(), **passing(listener, names="consoleapi"))
        self.assertNotEqual(await process.ended, 0)
        self.assertIn("LISTEN_FDS passes 0.0.0.0", process.output)

    async def test_not_listening(self) -> None:
        """The start fails with one line, because no client could connect."""
        deaf = socket.socket()
        self.addCleanup(deaf.close)
        process = Twistd.start(self, "console", alone(), **passing(deaf, names="novncproxy"))
        self.assertNotEqual(await process.ended, 0)
        self.assertEqual(process.output.count("\n"), 1, process.output)
        self.assertIn("LISTEN_FDS: descriptor 3", process.output)
