"""Listening sockets: passed ones, shared ones, and the unix socket of the noVNC proxy."""

import os
import shutil
import socket
import stat
import tempfile
from itertools import zip_longest
from pathlib import Path
from types import SimpleNamespace

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase, TestCase

from novnc_twisted.frontend import Acceptor
from novnc_twisted.service import make_service
from novnc_twisted.service.exits import StartFailed
from novnc_twisted.service.flagfile import Unusable
from novnc_twisted.service.listening import open_unix_socket
from novnc_twisted.service.sockets import Sockets


def listening(case: TestCase) -> socket.socket:
    """Return a listening socket, as systemd would open it."""
    listener = socket.socket()
    case.addCleanup(listener.close)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


class AcceptorTests(TestCase):
    async def test_one_in_each_turn(self) -> None:
        """Other processes get some of the waiting connections, too; Twisted's own port takes all."""
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
    """Which service gets which socket."""

    def environment(self, count: int, names: str = "", pid: int | None = None) -> dict[str, str]:
        return {"LISTEN_PID": str(pid or os.getpid()), "LISTEN_FDS": str(count), "LISTEN_FDNAMES": names}

    def test_of_another_process(self) -> None:
        """LISTEN_PID names another process."""
        sockets = Sockets.of_environment(("novncproxy",), self.environment(1, pid=1))
        self.assertEqual(sockets.taken, {})

    def test_a_name_of_another_command(self) -> None:
        with self.assertRaisesRegex(Unusable, r"LISTEN_FDS: passed sockets: 1, .*xvpvncproxy.*sockets of novncproxy"):
            Sockets.of_environment(("novncproxy",), self.environment(1, "xvpvncproxy"))

    def test_more_sockets_than_services(self) -> None:
        with self.assertRaisesRegex(Unusable, "LISTEN_FDS: passed sockets: 4,"):
            Sockets.of_environment(("consoleapi", "novncproxy", "xvpvncproxy"), self.environment(4))

    def test_for_a_command_that_does_not_listen(self) -> None:
        with self.assertRaisesRegex(Unusable, "does not listen"):
            Sockets.of_environment((), self.environment(1))

    def test_unused(self) -> None:
        """A take-over passes the monitoring port, which is no longer set: it is closed, so that clients do not hang."""
        unused = listening(self)
        predecessor = SimpleNamespace(files=[], owners=["monitoring"], older=[], channels={})
        self.patch(make_service, "channel_to_predecessor", lambda: predecessor)
        self.patch(make_service, "use_monotonic_clock", lambda _reactor: None)
        self.patch(make_service, "_descriptor_warnings", lambda _command, _conf: [])
        self.patch(Sockets, "passed", lambda _owners: Sockets({"monitoring": [unused]}))
        path = Path(self.mktemp())
        path.write_text("[DEFAULT]\ntransport_url = redis://192.0.2.1\n")
        service = make_service.make_service("consoleauth", [str(path)])
        self.assertIsNone(service.monitoring)
        self.assertEqual(unused.fileno(), -1)


class UnixSocketTests(SynchronousTestCase):
    """The socket of ``[vnc] novncproxy_socket``."""

    def setUp(self) -> None:
        folder = tempfile.mkdtemp()  # a unix socket's path must be short
        self.addCleanup(shutil.rmtree, folder)
        self.path = f"{folder}/novnc.sock"

    def open(self, mode: int = 0o600) -> socket.socket:
        listener = open_unix_socket(self.path, mode, "[vnc] novncproxy_socket")
        self.addCleanup(listener.close)
        return listener

    def test_permissions(self) -> None:
        """The socket has the mode of the option, and the umask of the process stays."""
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
        """Also if its accept queue is full."""
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
        """A file that is not a socket is not removed."""
        with open(self.path, "w"):  # noqa: PTH123
            pass
        self.assertRaises(StartFailed, self.open)
        self.path = "/nowhere/x.sock"
        self.assertIn("No such file", str(self.assertRaises(StartFailed, self.open)))
