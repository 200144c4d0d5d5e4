"""The listener without sockets: its deadlines, its refusals, and the connections that the front gets."""

from typing import Any
from unittest import mock

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import TestCase

from novnc_twisted.access.connection_limits import ConnectionLimits, ConnectionSlot
from novnc_twisted.access.forwarded import networks
from novnc_twisted.access.proxy_protocol import MAX_PAYLOAD
from novnc_twisted.events import RequestRefused
from novnc_twisted.frontend.listener import Listener
from novnc_twisted.frontend.pending import PLAIN_DEADLINE, PROXY_DEADLINE, TLS_DEADLINE
from tests.support.observed import only

HEADER = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 6080\r\n"
LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
UNSPECIFIED = b"\r\n\r\n\0\r\nQUIT\n\x21\0\0\0"


class Heard(Protocol):
    """A front's protocol."""

    slot: ConnectionSlot

    def __init__(self) -> None:
        self.data = b""

    def dataReceived(self, data: bytes) -> None:
        self.data += data


class Front(Factory):
    """The part of a front that a listener uses."""

    name = "front"
    protocol = Heard

    def __init__(self, maximum: int) -> None:
        self.connection_limits = ConnectionLimits(maximum)
        self.refusals: list[RequestRefused] = []
        self.observer = only(RequestRefused, self.refusals)

    def build(self, address: object, slot: ConnectionSlot) -> Heard:
        protocol = Heard()
        protocol.slot = slot
        return protocol


class ListenerTests(TestCase):
    def enter(
        self, *, tls: bool = False, proxies: str | None = None, host: str = "10.0.0.1", maximum: int = 0
    ) -> StringTransport:
        self.clock = Clock()
        self.front = Front(maximum)
        listener = Listener(
            self.clock,
            self.front,
            tls_only=tls,
            proxies=None if proxies is None else networks([proxies]),
        )
        self.listener = listener
        return self.again(host)

    def again(self, host: str = "10.0.0.1") -> StringTransport:
        """Open another connection to the same listener; without a host, on a unix socket."""
        address: Any = IPv4Address("TCP", host, 1234) if host else UNIXAddress(None)
        transport = StringTransport(peerAddress=address)
        protocol: Any = self.listener.buildProtocol(address)
        transport.protocol = protocol
        if protocol is not None:
            protocol.makeConnection(transport)
        return transport

    def receive(self, transport: Any, data: bytes) -> None:
        transport.protocol.dataReceived(data)

    def lost(self, transport: Any) -> None:
        """Check that a connection is closed, and that no timer or slot is left."""
        self.assertTrue(transport.disconnected or transport.disconnecting)
        transport.protocol.connectionLost()
        self.assertEqual(self.listener.waiting, set())
        self.assertEqual((self.clock.getDelayedCalls(), len(self.front.connection_limits)), ([], 0))

    def closes_after(self, transport: Any, seconds: float) -> None:
        self.clock.advance(seconds - 0.01)
        self.assertFalse(transport.disconnected)
        self.clock.advance(0.02)
        self.assertTrue(transport.disconnected)
        self.lost(transport)

    def test_handed_on(self) -> None:
        """The front gets all received bytes, and the time of accept."""
        transport: Any = self.enter()
        self.clock.advance(3)
        self.receive(transport, b"GET / HTTP/1.1\r\n")
        self.assertIsInstance(transport.protocol, Heard)
        self.assertEqual((transport.protocol.data, transport.protocol.began), (b"GET / HTTP/1.1\r\n", 0))
        self.assertEqual((self.listener.waiting, self.clock.getDelayedCalls()), (set(), []))
        self.assertEqual(len(self.front.connection_limits), 1, "the front has the slot")

    def test_a_mistake_of_the_front(self) -> None:
        """The slot is released, and a shutdown does not wait for the connection."""
        for owner, name in ((Front, "build"), (Heard, "makeConnection")):
            transport: Any = self.enter()
            gone = Deferred.fromCoroutine(self.listener.passed_on())
            with mock.patch.object(owner, name, side_effect=ZeroDivisionError):
                self.assertRaises(ZeroDivisionError, self.receive, transport, b"G")
            transport.disconnecting = True  # by the reactor, after any error
            self.lost(transport)
            self.successResultOf(gone)

    def test_silence(self) -> None:
        self.closes_after(self.enter(), PLAIN_DEADLINE)
        self.closes_after(self.enter(tls=True), TLS_DEADLINE)
        self.closes_after(self.enter(proxies="10.0.0.0/8"), PROXY_DEADLINE)

    def test_a_header_that_trickles(self) -> None:
        """Arriving bytes do not extend the deadline."""
        transport = self.enter(proxies="10.0.0.0/8")
        for byte in HEADER[:4]:
            self.clock.advance(1)
            self.receive(transport, bytes((byte,)))
        self.closes_after(transport, PROXY_DEADLINE - 4)

    def test_a_late_part_of_a_header_is_an_event(self) -> None:
        """A connection without a byte is a health check, and causes no event."""
        self.closes_after(self.enter(proxies="10.0.0.0/8"), PROXY_DEADLINE)
        self.assertEqual(self.front.refusals, [])
        transport = self.enter(proxies="10.0.0.0/8")
        self.receive(transport, HEADER[:20])
        self.closes_after(transport, PROXY_DEADLINE)
        ((event),) = self.front.refusals
        self.assertEqual((event.cause, event.address), ("HeadTimeout", "10.0.0.1"))
        self.assertEqual(event.detail, "the PROXY header was not complete within 5 s")

    def test_silence_behind_a_header(self) -> None:
        """The deadline counts from accept, not from the header."""
        transport = self.enter(proxies="10.0.0.0/8")
        self.clock.advance(4)
        self.receive(transport, HEADER)
        self.closes_after(transport, PLAIN_DEADLINE - 4)

    def test_a_header_and_more(self) -> None:
        """Sent in pieces: getPeer() returns the address in the header, and the front gets only the request."""
        for size in (1, 7, 1000):
            transport: Any = self.enter(proxies="10.0.0.1")
            sent = HEADER + b"GET / HTTP/1.1\r\n"
            for start in range(0, len(sent), size):
                self.receive(transport, sent[start : start + size])
            self.assertEqual(transport.protocol.data, b"GET / HTTP/1.1\r\n")
            self.assertEqual(transport.getPeer(), IPv4Address("TCP", "192.0.2.7", 4711))

    def test_a_proxy_that_speaks_for_itself(self) -> None:
        transport: Any = self.enter(proxies="10.0.0.1")
        self.receive(transport, LOCAL + b"x")
        self.assertEqual((transport.protocol.data, transport.getPeer().host), (b"x", "10.0.0.1"))

    def test_a_client_that_the_proxy_does_not_know(self) -> None:
        """The address is ``unknown``, not the proxy's: bind_address must not treat all such clients as one client."""
        for header in (b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", UNSPECIFIED):
            transport: Any = self.enter(proxies="10.0.0.1")
            self.receive(transport, header + b"x")
            self.assertEqual((transport.protocol.data, transport.getPeer().host), (b"x", "unknown"))

    def test_garbage(self) -> None:
        for data, detail in (
            (b"GET / HTTP/1.1\r\n\r\n", "no PROXY header"),
            (b"\x16\x03\x01", "no PROXY header"),
            (b"PROXY x\r\n", "invalid PROXY header: version 1: a protocol, two addresses and two ports are expected"),
            (b"PROXY " + b"9" * 65536, "invalid PROXY header: version 1: the line is too long"),
        ):
            transport = self.enter(proxies="10.0.0.0/8")
            self.receive(transport, data)
            self.lost(transport)
            (event,) = self.front.refusals
            self.assertEqual((event.cause, event.address, event.severe), ("BadProxyHeader", "10.0.0.1", True))
            self.assertEqual(event.detail, detail)
            self.assertIn("[console] proxy_protocol", event.option)

    def test_bounded(self) -> None:
        """No more than the longest header is held, even if it arrives byte by byte."""
        transport: Any = self.enter(proxies="10.0.0.0/8")
        head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + MAX_PAYLOAD.to_bytes(2, "big")
        for byte in head + bytes(MAX_PAYLOAD - 1):
            self.receive(transport, bytes((byte,)))
        self.assertEqual(len(transport.protocol._held), 16 + MAX_PAYLOAD - 1)
        self.receive(transport, b"\0x")
        self.assertEqual(transport.protocol.data, b"x")

    def test_not_from_others(self) -> None:
        """A connection is refused if its address is not in ``trusted_proxies``."""
        transport = self.enter(proxies="192.0.2.0/24")
        self.assertIsNone(transport.protocol)
        (event,) = self.front.refusals
        self.assertEqual((event.cause, event.address), ("NotATrustedProxy", "10.0.0.1"))
        self.assertIn("[console] trusted_proxies", event.option)

    def test_silent_connections_make_room(self) -> None:
        """If all connections are in use, a new connection replaces the oldest one that has sent nothing."""
        for how in ({}, {"tls": True}, {"proxies": "10.0.0.0/8"}):
            first = self.enter(maximum=2, **how)
            others = [self.again(f"10.0.0.{host}") for host in (2, 3)]
            self.assertTrue(first.disconnected)
            self.assertFalse(others[0].disconnected or others[1].disconnected)
            self.assertEqual(len(self.front.connection_limits), 2)

    def test_a_connection_counts_for_the_client_that_the_proxy_names(self) -> None:
        """It counts once: the front takes over the slot."""
        transport: Any = self.enter(proxies="10.0.0.1", maximum=20)
        self.receive(transport, HEADER + b"x")
        self.assertEqual(transport.protocol.slot.network, "192.0.2.7")
        self.assertEqual(len(self.front.connection_limits), 1)
        transport.protocol.slot.release()
        self.assertEqual(len(self.front.connection_limits), 0)

    def test_too_many_connections_of_a_client_behind_a_proxy(self) -> None:
        self.enter(proxies="10.0.0.1", maximum=4)
        busy: list[Any] = [self.again() for _ in range(2)]
        for transport in busy:
            self.receive(transport, HEADER + b"x")
            transport.protocol.slot.busy()
        late: Any = self.again()
        self.receive(late, HEADER + b"x")
        self.assertTrue(late.disconnected)

    def test_plain_where_tls_is_due(self) -> None:
        """A client that speaks HTTP gets a response; others get nothing."""
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

    def test_a_unix_socket(self) -> None:
        """A refusal of its clients is an event without an address."""
        late: dict[str, Any] = {"proxies": "127.0.0.1"}
        for how, data, cause in (
            ({"tls": True}, b"GET / HTTP/1.1\r\n\r\n", "PlainText"),
            (late, b"GET / HTTP/1.1\r\n\r\n", "BadProxyHeader"),
            (late, HEADER[:20], "HeadTimeout"),
        ):
            transport = self.enter(host="", **how)
            self.receive(transport, data)
            self.clock.advance(PROXY_DEADLINE)
            self.assertEqual([(event.cause, event.address) for event in self.front.refusals], [(cause, "")])
            self.lost(transport)

    def test_a_front_that_is_full(self) -> None:
        transport: Any = self.enter(maximum=1)
        self.receive(transport, b"GET")
        transport.protocol.slot.busy()
        self.assertIsNone(self.again().protocol)

    def test_stop(self) -> None:
        """Waiting connections are closed."""
        transport: Any = self.enter()
        stopped = self.listener.stop()
        self.assertNoResult(stopped)
        self.lost(transport)
        self.successResultOf(stopped)
