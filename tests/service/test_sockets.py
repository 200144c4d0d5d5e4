"""Sockets that are passed by systemd, and what is passed wrongly."""

import os
import shutil
import socket
import stat
import tempfile
from itertools import zip_longest
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase, TestCase

from novnc_twisted.frontend import Acceptor
from novnc_twisted.service.exits import StartFailed
from novnc_twisted.service.flagfile import Unusable
from novnc_twisted.service.listening import open_unix_socket
from novnc_twisted.service.sockets import Sockets
from tests.service.harness import ProxyCase
from tests.service.test_commands import alone
from tests.support.twistd import Twistd
from tests.support.viewer import Viewers

ACTIVATED = "LISTEN_PID=$$; export LISTEN_PID"
"""systemd knows the process that it becomes."""


def listening(case: TestCase) -> socket.socket:
    """A socket as systemd would open it."""
    listener = socket.socket()
    case.addCleanup(listener.close)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


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


class AcceptorTests(TestCase):
    """Accepting beside other processes."""

    async def test_one_in_each_turn(self) -> None:
        """So that others get some of those that wait; Twisted's own port takes them all."""
        listener = listening(self)
        listener.setblocking(False)
        address = listener.getsockname()
        accepted: list[Protocol] = []

        def build(_address: object) -> Protocol:
            accepted.append(Protocol())
            return accepted[-1]

        factory = Factory()
        factory.buildProtocol = build
        acceptor = Acceptor(reactor, listener, factory)
        clients = [socket.create_connection(address) for _ in range(5)]
        for expected in range(1, 4):
            acceptor.doRead()
            self.assertEqual(len(accepted), expected)
        await acceptor.stop()
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(address)
        for client, protocol in zip_longest(clients, accepted):
            client.close()
            if protocol is not None:
                protocol.transport.abortConnection()


class OwnerTests(TestCase):
    """Whose is what; refused before any descriptor is touched."""

    def environment(self, count: int, names: str = "", pid: int | None = None) -> dict[str, str]:
        return {"LISTEN_PID": str(pid or os.getpid()), "LISTEN_FDS": str(count), "LISTEN_FDNAMES": names}

    def test_of_another_process(self) -> None:
        """LISTEN_PID of another process: a parent forgot to tidy up."""
        sockets = Sockets.of_environment(("novncproxy",), self.environment(1, pid=1))
        self.assertEqual(sockets.taken, {})

    def test_a_name_of_another_command(self) -> None:
        with self.assertRaisesRegex(Unusable, r"LISTEN_FDS: passed sockets: 1, .*xvpvncproxy.*those of novncproxy"):
            Sockets.of_environment(("novncproxy",), self.environment(1, "xvpvncproxy"))

    def test_more_than_parts(self) -> None:
        with self.assertRaisesRegex(Unusable, "LISTEN_FDS: passed sockets: 4,"):
            Sockets.of_environment(("consoleapi", "novncproxy", "xvpvncproxy"), self.environment(4))

    def test_for_a_command_that_does_not_listen(self) -> None:
        with self.assertRaisesRegex(Unusable, "does not listen"):
            Sockets.of_environment((), self.environment(1))


class UnixSocketTests(SynchronousTestCase):
    """The socket of ``[vnc] novncproxy_socket``."""

    def setUp(self) -> None:
        folder = tempfile.mkdtemp()  # the path of a socket is short
        self.addCleanup(shutil.rmtree, folder)
        self.path = f"{folder}/novnc.sock"

    def open(self, mode: int = 0o600) -> socket.socket:
        listener = open_unix_socket(self.path, mode, "[vnc] novncproxy_socket")
        self.addCleanup(listener.close)
        return listener

    def test_permissions(self) -> None:
        """Those of the option, whatever the process's own are; these stay."""
        before = os.umask(0o022)
        self.addCleanup(os.umask, before)
        for mode in (0o600, 0o666):
            self.open(mode).close()
            self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), mode)  # noqa: PTH116
        self.assertEqual(os.umask(0o022), 0o022)

    def test_a_socket_of_the_last_run(self) -> None:
        self.open().close()
        self.open()

    def test_a_socket_in_use(self) -> None:
        """Also if the queue of its process is full."""
        other = socket.socket(socket.AF_UNIX)
        self.addCleanup(other.close)
        other.bind(self.path)
        other.listen(0)
        for _ in range(3):
            client = socket.socket(socket.AF_UNIX)
            self.addCleanup(client.close)
            client.setblocking(False)
            client.connect_ex(self.path)
            error = self.assertRaises(StartFailed, self.open)
            self.assertEqual(
                str(error), f"[vnc] novncproxy_socket: can't listen on {self.path}: Address already in use"
            )

    def test_something_else(self) -> None:
        """It is not removed."""
        with open(self.path, "w"):  # noqa: PTH123
            pass
        self.assertRaises(StartFailed, self.open)
        self.path = "/nowhere/x.sock"
        self.assertIn("No such file", str(self.assertRaises(StartFailed, self.open)))
