"""Sockets that are passed by systemd, and what is passed wrongly."""

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
    """A socket as systemd would open it."""
    listener = socket.socket()
    case.addCleanup(listener.close)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


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
        with self.assertRaisesRegex(Unusable, r"LISTEN_FDS: passed sockets: 1, .*xvpvncproxy.*sockets of novncproxy"):
            Sockets.of_environment(("novncproxy",), self.environment(1, "xvpvncproxy"))

    def test_more_than_parts(self) -> None:
        with self.assertRaisesRegex(Unusable, "LISTEN_FDS: passed sockets: 4,"):
            Sockets.of_environment(("consoleapi", "novncproxy", "xvpvncproxy"), self.environment(4))

    def test_for_a_command_that_does_not_listen(self) -> None:
        with self.assertRaisesRegex(Unusable, "does not listen"):
            Sockets.of_environment((), self.environment(1))

    def test_unused(self) -> None:
        """A take-over passes the monitoring port, which is no longer set: its clients are refused, and do not hang."""
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
