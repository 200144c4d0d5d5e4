"""The fake VNC server and our login check each other, over each kind of transport."""

import tempfile
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, UNIXClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import TestCase

from novnc_twisted.errors import ConsoleUnreachable
from novnc_twisted.rfb import HandshakeDriver, ServerInit, login
from tests.support.vnc_server import FakeVNCServer, update


class Login(Protocol):
    """A protocol that only logs in."""

    def __init__(self, password=None):
        self.driver = HandshakeDriver(login())
        self.password = password
        self.finished = Deferred()
        self.lost = Deferred()
        self.after = b""

    def connectionMade(self):
        self.driver.start()

    def dataReceived(self, data):
        if self.driver.done:
            self.after += data
            return
        self.driver.receive(data)
        if self.driver.asks is not None:
            self.driver.answer(self.password)
        self.transport.write(self.driver.to_send())
        if self.driver.done:
            self.finished.callback(self.driver)

    def connectionLost(self, reason):
        self.lost.callback(self.driver.waiting_for)


class FakeServerTests(TestCase):
    async def _connect(self, server, password=None):
        port = reactor.listenTCP(0, server, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        client = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), Login(password))
        self.addCleanup(lambda: server.connections[-1].gone)
        self.addCleanup(lambda: client.lost)
        self.addCleanup(client.transport.abortConnection)
        return client

    async def test_tcp(self):
        """The client logs in, and the server records its messages."""
        server = FakeVNCServer(password="secret", name=b"vm", size=(640, 480))
        client = await self._connect(server, "secret")
        driver = await client.finished
        self.assertIsNone(driver.error)
        self.assertEqual((640, 480, b"vm"), (driver.result.width, driver.result.height, driver.result.name))
        connection = await server.live.get()
        self.assertTrue(connection.shared)
        client.transport.write(b"\3\0" + b"\0\1\0\2\0\3\0\4")
        self.assertEqual((3, b"\3\0\0\1\0\2\0\3\0\4"), await connection.inbox.get())
        self.assertEqual(1, server.open)

    async def test_unix(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = str(Path(folder.name) / "vnc.sock")
        server = FakeVNCServer()
        port = reactor.listenUNIX(path, server)
        self.addCleanup(port.stopListening)
        client = await connectProtocol(UNIXClientEndpoint(reactor, path), Login())
        driver = await client.finished
        self.assertIsInstance(driver.result, ServerInit)
        client.transport.loseConnection()
        await client.lost
        await server.connections[0].gone

    def test_in_memory(self):
        """A full request is answered at once, an incremental one at the next key."""
        server = FakeVNCServer()
        connection = server.buildProtocol(None)
        transport = StringTransport()
        connection.makeConnection(transport)
        connection.dataReceived(b"RFB 003.008\n\1\1")
        transport.clear()
        connection.dataReceived(b"\3\0" + b"\0\0\0\0\0\1\0\1" + b"\3\1" + b"\0\0\0\0\0\2\0\2")
        self.assertEqual(update(0, 0, 1, 1), transport.value())
        transport.clear()
        connection.dataReceived(b"\4\1\0\0\0\0\0\x61")
        self.assertEqual(update(0, 0, 2, 2, 1), transport.value())
        self.assertEqual([3, 3, 4], [kind for kind, _ in connection.messages])
        connection.connectionLost(None)
        self.assertEqual(0, server.open)

    async def test_close_at_each_phase(self):
        """The server disconnects in each phase: the handshake reports what it waited for."""
        waited = {}
        for phase in ("version", "security", "challenge", "result", "init"):
            client = await self._connect(FakeVNCServer(password="p", close=phase), "p")
            waited[phase] = await client.lost
        self.assertEqual(
            {
                "version": "ProtocolVersion",
                "security": "the security types",
                "challenge": "the challenge of VNC authentication",
                "result": "SecurityResult",
                "init": "ServerInit",
            },
            waited,
        )

    async def test_garbage_at_each_phase(self):
        """Nonsense in any phase makes the login fail."""
        for phase in ("version", "security", "result", "init"):
            client = await self._connect(FakeVNCServer(garbage=phase))
            driver = await client.finished
            self.assertIsInstance(driver.error, ConsoleUnreachable, phase)

    async def test_old_servers(self):
        """3.3 and 3.7, with and without a password."""
        for version in (b"RFB 003.003\n", b"RFB 003.007\n"):
            for password in (None, "secret"):
                server = FakeVNCServer(version=version, password=password)
                driver = await (await self._connect(server, password)).finished
                self.assertEqual((None, b"fake"), (driver.error, driver.result.name))
                self.assertEqual(version, server.connections[0].client_version)

    async def test_stall_at_each_phase(self):
        """While the server is silent, the handshake waits; after the client has left, no connection is left."""
        for phase in ("version", "security", "challenge", "result", "init"):
            server = FakeVNCServer(password="p", stall=phase)
            client = await self._connect(server, "p")
            connection = await server.accepted.get()
            self.assertFalse(client.driver.done)
            client.transport.abortConnection()
            await connection.gone
            self.assertEqual(0, server.open)

    async def test_refusals(self):
        """A reason in either phase, too many attempts, and a server of another protocol."""
        for knobs, detail in (
            ({"reason": b"go away"}, "the VNC server refuses us: go away"),
            ({"reason": b"go away", "version": b"RFB 003.003\n"}, "the VNC server refuses us: go away"),
            ({"reason": b"go away", "refuse_at": "result"}, "authentication failed: go away"),
            ({"result": 2}, "too many failed attempts: Authentication failed"),
            ({"version": b"SSH-2.0-OpenSSH_9\r\n"}, "not an RFB server: it began with 'SSH-'"),
        ):
            driver = await (await self._connect(FakeVNCServer(**knobs))).finished
            self.assertEqual(detail, driver.error.detail)

    async def test_wrong_password(self):
        """The server's reason is in the detail, without its NUL."""
        client = await self._connect(FakeVNCServer(password="right"), "wrong")
        driver = await client.finished
        self.assertEqual("authentication failed: Authentication failed", driver.error.detail)

    async def test_endless_reason(self):
        """A reason of 4 GiB ends the handshake after its first bytes, in both phases (nova bug 2155052)."""
        for phase in ("security", "result"):
            client = await self._connect(FakeVNCServer(refuse_at=phase, endless_reason=True))
            driver = await client.finished
            self.assertIsInstance(driver.error, ConsoleUnreachable)
            self.assertIn("AAAA", driver.error.detail)
            self.assertLess(len(driver.error.detail), 1100)
            self.assertEqual(b"", driver.rest)
            client.transport.abortConnection()
            await client.lost
