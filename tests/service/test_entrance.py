"""What stands before a front: each deadline to the second, and what is handed on; without a socket."""

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import TestCase

from novnc_twisted.access.forwarded import networks
from novnc_twisted.access.proxy_protocol import MAX_PAYLOAD
from novnc_twisted.service.entrance import PLAIN_DEADLINE, PROXY_DEADLINE, TLS_DEADLINE, Entrance
from tests.support.logged import Logged

HEADER = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 6080\r\n"


class Heard(Protocol):
    """A front's protocol."""

    def __init__(self) -> None:
        self.data = b""

    def dataReceived(self, data: bytes) -> None:
        self.data += data


class EntranceTests(TestCase):
    def enter(self, *, tls: bool = False, proxies: str | None = None, host: str = "10.0.0.1") -> StringTransport:
        self.clock = Clock()
        self.log = Logged(self)
        entrance = Entrance(
            self.clock,
            Factory.forProtocol(Heard),
            tls_only=tls,
            proxies=None if proxies is None else networks([proxies]),
        )
        self.entrance = entrance
        address = IPv4Address("TCP", host, 1234)
        transport = StringTransport(peerAddress=address)
        protocol: Any = entrance.buildProtocol(address)
        transport.protocol = protocol
        if protocol is not None:
            protocol.makeConnection(transport)
        return transport

    def receive(self, transport: Any, data: bytes) -> None:
        transport.protocol.dataReceived(data)

    def lost(self, transport: Any) -> None:
        """It is closed, and nothing is left of it."""
        self.assertTrue(transport.disconnected or transport.disconnecting)
        transport.protocol.connectionLost()
        self.assertEqual(self.entrance.waiting, set())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def closes_after(self, transport: Any, seconds: float) -> None:
        self.clock.advance(seconds - 0.01)
        self.assertFalse(transport.disconnected)
        self.clock.advance(0.02)
        self.assertTrue(transport.disconnected)
        self.lost(transport)

    def test_handed_on(self) -> None:
        """With all that came, and when it was accepted."""
        transport: Any = self.enter()
        self.clock.advance(3)
        self.receive(transport, b"GET / HTTP/1.1\r\n")
        self.assertIsInstance(transport.protocol, Heard)
        self.assertEqual((transport.protocol.data, transport.protocol.began), (b"GET / HTTP/1.1\r\n", 0))
        self.assertEqual((self.entrance.waiting, self.clock.getDelayedCalls()), (set(), []))

    def test_silence(self) -> None:
        self.closes_after(self.enter(), PLAIN_DEADLINE)
        self.closes_after(self.enter(tls=True), TLS_DEADLINE)
        self.closes_after(self.enter(proxies="10.0.0.0/8"), PROXY_DEADLINE)

    def test_a_header_that_trickles(self) -> None:
        """No byte makes the deadline later."""
        transport = self.enter(proxies="10.0.0.0/8")
        for byte in HEADER[:4]:
            self.clock.advance(1)
            self.receive(transport, bytes((byte,)))
        self.closes_after(transport, PROXY_DEADLINE - 4)

    def test_silence_behind_a_header(self) -> None:
        """Seconds from accept, not from the header."""
        transport = self.enter(proxies="10.0.0.0/8")
        self.clock.advance(4)
        self.receive(transport, HEADER)
        self.closes_after(transport, PLAIN_DEADLINE - 4)

    def test_a_header_and_more(self) -> None:
        """In pieces; the transport then has the client's address, and the rest is the front's."""
        for size in (1, 7, 1000):
            transport: Any = self.enter(proxies="10.0.0.1")
            sent = HEADER + b"GET / HTTP/1.1\r\n"
            for start in range(0, len(sent), size):
                self.receive(transport, sent[start : start + size])
            self.assertEqual(transport.protocol.data, b"GET / HTTP/1.1\r\n")
            self.assertEqual(transport.getPeer(), IPv4Address("TCP", "192.0.2.7", 4711))

    def test_a_proxy_that_speaks_for_itself(self) -> None:
        transport: Any = self.enter(proxies="10.0.0.1")
        self.receive(transport, b"PROXY UNKNOWN\r\nx")
        self.assertEqual((transport.protocol.data, transport.getPeer().host), (b"x", "10.0.0.1"))

    def test_garbage(self) -> None:
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b"PROXY x\r\n", b"PROXY " + b"9" * 65536):
            transport = self.enter(proxies="10.0.0.0/8")
            self.receive(transport, data)
            self.lost(transport)
            self.assertTrue(self.log.lines("no PROXY header"))

    def test_bounded(self) -> None:
        """However it comes, no more is held than the longest header, and what one read brings."""
        transport: Any = self.enter(proxies="10.0.0.0/8")
        head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + MAX_PAYLOAD.to_bytes(2, "big")
        for byte in head + bytes(MAX_PAYLOAD - 1):
            self.receive(transport, bytes((byte,)))
        self.assertEqual(len(transport.protocol._held), 16 + MAX_PAYLOAD - 1)
        self.receive(transport, b"\0x")
        self.assertEqual(transport.protocol.data, b"x")

    def test_not_from_others(self) -> None:
        """Nobody but those named may say for whom he comes; told once in a minute."""
        transport = self.enter(proxies="192.0.2.0/24")
        self.assertIsNone(transport.protocol)
        self.assertTrue(self.log.lines("turned 10.0.0.1 away: it is none of trusted_proxies"))
        for _ in range(3):
            self.entrance.buildProtocol(IPv4Address("TCP", "10.0.0.2", 1))
        self.assertFalse(self.log.lines("10.0.0.2"))
        self.clock.advance(60)
        self.entrance.buildProtocol(IPv4Address("TCP", "10.0.0.2", 1))
        self.assertTrue(self.log.lines("10.0.0.2"))

    def test_plain_where_tls_is_due(self) -> None:
        """Who speaks HTTP reads why; others read nothing."""
        transport = self.enter(tls=True)
        self.receive(transport, b"GET / HTTP/1.1\r\n\r\n")
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 400 This port takes TLS only"))
        self.receive(transport, b"more")
        self.clock.advance(3)
        self.lost(transport)
        transport = self.enter(tls=True)
        self.receive(transport, b"\xff")
        self.assertEqual(transport.value(), b"")
        self.lost(transport)

    def test_a_front_that_is_full(self) -> None:
        transport = self.enter()
        self.patch(self.entrance.front, "buildProtocol", lambda _: None)
        self.receive(transport, b"GET")
        self.lost(transport)

    def test_stop(self) -> None:
        """Who stands in the entrance is turned away."""
        transport: Any = self.enter()
        stopped = self.entrance.stop()
        self.assertNoResult(stopped)
        self.lost(transport)
        self.successResultOf(stopped)
