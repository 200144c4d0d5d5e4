"""A client that sends slowly on purpose is disconnected on every port, in every phase, however steadily it sends.

The connections are in memory, with a fake clock; the TLS handshakes are real.
"""

import contextlib
from pathlib import Path
from typing import Any, NamedTuple

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access.forwarded import networks
from novnc_twisted.contract import ConnectInfo
from novnc_twisted.frontend.listener import Listener
from novnc_twisted.frontend.tls import FrontTLS
from novnc_twisted.http.channel import IDLE_TIMEOUT
from novnc_twisted.http.strict_channel import CLOSE_TIMEOUT
from novnc_twisted.identity import NoAuth
from novnc_twisted.novncproxy import NoVNCProxyFactory
from novnc_twisted.xvpvncproxy import XVPVNCProxyFactory
from tests.api.harness import FakeHost, instance, running
from tests.relay.end_case import Transport
from tests.support.pki import CA

SERVER = CA().issue("localhost")
PROXY_HEADER = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 6080\r\n"
GET = b"GET /v2.1 HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /v2.1/flavors HTTP/1.1\r\nHost: localhost\r\n"
UPGRADE = (
    b"GET /?token=x HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
DRIP = 0.25
"""Seconds between two bytes."""

LINGER = CLOSE_TIMEOUT
"""Maximum number of seconds until a slow sender has read the refusal; the fronts give it 2."""


async def never(*_: str) -> ConnectInfo:
    return await Deferred()


class Slow(NamedTuple):
    """One way to send slowly.

    :ivar way: what comes before HTTP: "", "tls", "proxy" or "proxy tls".
    :ivar first: sent at once, after the PROXY header and the TLS handshake.
    :ivar drips: what is sent byte by byte: ``hello``: the TLS handshake; ``header``: the PROXY header; ``silence``:
        nothing at all; ``nothing``: nothing after ``first``; else these bytes, repeatedly.
    :ivar seconds: until the port closes the connection.
    """

    name: str
    ports: tuple[str, ...]
    way: str
    first: bytes
    drips: str | bytes
    seconds: float


ALL, FRONTS = ("api", "novnc", "xvp"), ("novnc", "xvp")
TABLE = (
    Slow("silence", ALL, "", b"", "nothing", 10),
    Slow("a head", ALL, "", b"", b"GET /x", 10),
    Slow("a head, field by field", ALL, "", GET, b"A: b\r\n", 10),
    Slow("empty lines before it", ("novnc",), "", b"", b"x", 10),
    Slow("a body", ("api",), "", POST + b"Content-Length: 100000\r\n\r\n", b" ", 10),
    Slow("chunks", ("api",), "", POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", 10),
    Slow("trailers", ("api",), "", POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n", 10),
    Slow("nothing behind an answer", ("api",), "", GET + b"\r\n", "nothing", IDLE_TIMEOUT),
    Slow("nothing behind a page", ("novnc",), "", b"HEAD /favicon.ico HTTP/1.1\r\nHost: h\r\n\r\n", "nothing", 10),
    Slow("a second head behind a page", ("novnc",), "", b"HEAD /favicon.ico HTTP/1.1\r\nHost: h\r\n\r\n", b"G", 10),
    # TLS: 5 s for the first byte if the port takes only TLS (the API), otherwise 10 s; 5 s for the handshake.
    Slow("no TLS", ("api",), "tls", b"", "silence", 5),
    Slow("neither TLS nor plain", FRONTS, "tls", b"", "silence", 10),
    Slow("a TLS handshake", ALL, "tls", b"", "hello", 5),
    Slow("silence inside of TLS", ALL, "tls", b"", "nothing", 10),
    Slow("a head inside of TLS", ALL, "tls", b"", b"GET /x", 10),
    Slow("a body inside of TLS", ("api",), "tls", POST + b"Content-Length: 100000\r\n\r\n", b" ", 10),
    Slow("no PROXY header", FRONTS, "proxy", b"", "silence", 5),
    Slow("a PROXY header", FRONTS, "proxy", b"", "header", 5),
    Slow("nothing behind a PROXY header", FRONTS, "proxy", b"", "nothing", 10),
    Slow("a head behind a PROXY header", FRONTS, "proxy", b"", b"GET /x", 10),
    Slow("a TLS handshake behind a PROXY header", FRONTS, "proxy tls", b"", "hello", 5),
    Slow("a head in TLS behind a PROXY header", FRONTS, "proxy tls", b"", b"GET /x", 10),
)


class Socket(Transport):
    def setTcpNoDelay(self, enabled: bool) -> None:
        pass


class Connection:
    """A connection to a port, seen from the client."""

    def __init__(self, factory: Any) -> None:
        address = IPv4Address("TCP", "10.0.0.1", 4711)
        self.transport = Socket(peerAddress=address)
        self.transport.protocol = factory.buildProtocol(address)
        self.transport.protocol.makeConnection(self.transport)
        self._client: Any = None

    @property
    def cut(self) -> bool:
        """Whether the port has closed it."""
        return bool(self.transport.disconnected or self.transport.disconnecting)

    def receive(self, data: bytes) -> None:
        """Let the port read these bytes, unless it has closed the connection."""
        if data and not self.cut:
            self.transport.protocol.dataReceived(data)

    def hello(self) -> bytes:
        """Begin a TLS handshake, and return the first bytes of the client."""
        self._client = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
        self._client.set_connect_state()
        return self._step()

    def _step(self) -> bytes:
        with contextlib.suppress(SSL.WantReadError):
            self._client.do_handshake()
        return self._made()

    def _made(self) -> bytes:
        try:
            return bytes(self._client.bio_read(1 << 16))
        except SSL.WantReadError:
            return b""

    def shake_hands(self) -> None:
        self.receive(self.hello())
        self.answer()

    def answer(self) -> None:
        """Do the rest of a handshake."""
        while data := self.transport.take():
            self._client.bio_write(data)
            self.receive(self._step())

    def send(self, data: bytes) -> None:
        """Send bytes, inside of TLS after a TLS handshake."""
        if self._client is not None:
            self._client.send(data)
            data = self._made()
        self.receive(data)

    def lost(self) -> None:
        self.transport.protocol.connectionLost(Failure(ConnectionDone()))


class SlowSenders(SynchronousTestCase):
    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "cert.pem").write_bytes(SERVER.cert)
        (folder / "key.pem").write_bytes(SERVER.key)
        self.tls = FrontTLS(str(folder / "cert.pem"), str(folder / "key.pem"))

    def factory(self, port: str, way: str) -> Any:
        """Return the factory of a port; ``way`` is as in :class:`Slow`."""
        self.clock: Any = MemoryReactorClock()
        if port == "api":
            self.clock.getThreadPool = None
            front: Any = running(self, NoAuth(), FakeHost("host1", instance("one")), reactor=self.clock).site
        else:
            front = {"novnc": NoVNCProxyFactory, "xvp": XVPVNCProxyFactory}[port](
                self.clock, never, observer=lambda event: None
            )
        if not way:
            return front
        proxies = networks(["10.0.0.1"]) if "proxy" in way else None
        tls = self.tls if "tls" in way else None
        return Listener(self.clock, front, tls=tls, tls_only=port == "api", proxies=proxies)

    def begin(self, row: Slow, connection: Connection) -> list[bytes]:
        """Send everything up to the slow part; return the bytes of the slow part."""
        if row.drips == "silence":
            return []
        if "proxy" in row.way:
            if row.drips == "header":
                return [bytes((byte,)) for byte in PROXY_HEADER[:-1]]
            connection.receive(PROXY_HEADER)
        if "tls" in row.way:
            if row.drips == "hello":
                return [bytes((byte,)) for byte in connection.hello()[:-1]]
            connection.shake_hands()
        if row.first:
            connection.send(row.first)
        return [] if row.drips == "nothing" else [bytes((byte,)) for byte in row.drips] * 1000  # type: ignore[union-attr]

    def cut_after(self, row: Slow, port: str) -> float:
        """Return the seconds until the connection is closed; check that no timer is left."""
        factory = self.factory(port, row.way)
        kept = len(self.clock.getDelayedCalls())
        connection = Connection(factory)
        drops = iter(self.begin(row, connection))
        encrypted = "tls" in row.way and row.drips not in ("hello", "header", "silence")
        began = self.clock.seconds()
        while not connection.cut:
            self.assertLess(self.clock.seconds() - began, 100, (row.name, port))
            drop = next(drops, b"")
            if drop and encrypted:
                connection.send(drop)
            elif drop:
                connection.receive(drop)
            self.clock.advance(DRIP)
        took = self.clock.seconds() - began
        self.clock.advance(LINGER)
        self.assertTrue(connection.cut)
        connection.lost()
        self.assertEqual(len(self.clock.getDelayedCalls()), kept, (row.name, port))
        return float(took)

    def test_the_table(self) -> None:
        """The port closes the connection in time, or up to LINGER later if the client does not read the refusal."""
        for row in TABLE:
            for port in row.ports:
                took = self.cut_after(row, port)
                self.assertGreaterEqual(took, row.seconds - DRIP, (row.name, port))
                self.assertLessEqual(took, row.seconds + LINGER, (row.name, port))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_each_phase_to_its_end(self) -> None:
        """A client that is slow in each phase is refused after 30 s, and then has 5 s to read the reason."""
        factory = self.factory("novnc", "proxy tls")
        connection = Connection(factory)
        self.clock.advance(4.9)
        connection.receive(PROXY_HEADER)
        self.clock.advance(5)
        hello = connection.hello()
        connection.receive(hello[:1])
        self.clock.advance(4.9)
        connection.receive(hello[1:])
        connection.answer()
        self.clock.advance(9.9)
        connection.send(UPGRADE)
        self.assertFalse(connection.cut)
        while not connection.cut:
            self.clock.advance(DRIP)
            self.assertLess(self.clock.seconds(), 30 + 5 + 2)
        connection.lost()
        self.assertEqual((factory.front.sessions, factory.front.connections, factory.waiting), (0, set(), set()))
