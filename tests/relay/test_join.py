"""The pipe: all bytes in order, both ways; back-pressure; memory that no peer can grow."""

import hashlib
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from novnc_twisted.errors import ClientLeft, ConsoleClosed, ProtocolViolation, Refusal, Stopping
from novnc_twisted.relay import StreamEnd, WebSocketEnd, join
from novnc_twisted.relay.ends import EndProtocol
from novnc_twisted.relay.lean import Half
from tests.relay.test_ends import GONE, Transport
from tests.session.harness import Raw, frame


class InMemory(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.near, self.far = Transport(), Transport()
        self.client = WebSocketEnd(self.clock, self.near)
        self.upstream = StreamEnd(self.clock, self.far, lost=ConsoleClosed)

    def tearDown(self) -> None:
        self.client.connectionLost(GONE)
        self.upstream.connectionLost(GONE)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_both_ways_and_what_was_held(self) -> None:
        self.client.dataReceived(frame(2, b"ear"))
        self.upstream.dataReceived(b"ly")
        join(self.client, self.upstream)
        self.client.dataReceived(frame(2, b"ly"))
        self.assertEqual((self.far.take(), self.near.take()), (b"early", b"\x82\x02ly"))

    def test_the_first_end_that_is_lost_is_the_cause(self) -> None:
        cause = join(self.client, self.upstream)
        self.upstream.connectionLost(GONE)
        self.client.connectionLost(GONE)
        self.assertIsInstance(self.successResultOf(cause), ConsoleClosed)

    def test_an_end_lost_before(self) -> None:
        self.upstream.connectionLost(GONE)
        self.assertIsInstance(self.successResultOf(join(self.client, self.upstream)), ConsoleClosed)

    def test_a_full_end_stops_the_other(self) -> None:
        join(self.client, self.upstream)
        self.near.producer.pauseProducing()
        self.assertEqual((self.far.producerState, self.near.producerState), ("paused", "producing"))
        self.near.producer.resumeProducing()
        self.far.producer.pauseProducing()
        self.assertEqual((self.far.producerState, self.near.producerState), ("producing", "paused"))
        self.far.producer.resumeProducing()
        self.assertEqual(self.near.producerState, "producing")

    def test_cancelling_stops_the_flow(self) -> None:
        cause = join(self.client, self.upstream)
        cause.cancel()
        self.failureResultOf(cause)
        self.client.dataReceived(frame(2, b"x"))
        self.near.producer.pauseProducing()
        self.assertEqual((self.far.value(), self.far.producerState), (b"", "producing"))

    def test_a_filter(self) -> None:
        class Policy:
            def from_client(self, data: bytes) -> bytes:
                if b"!" in data:
                    raise ProtocolViolation("forbidden")
                return data.replace(b"x", b"")

            def from_upstream(self, data: bytes) -> bytes:
                return data.upper()

        cause = join(self.client, self.upstream, Policy())
        self.client.dataReceived(frame(2, b"xaxb"))
        self.client.dataReceived(frame(2, b"x"))
        self.upstream.dataReceived(b"c")
        self.assertEqual((self.far.take(), self.near.take()), (b"ab", b"\x82\x01C"))
        self.client.dataReceived(frame(2, b"!"))
        self.client.dataReceived(frame(2, b"y"))
        self.assertEqual(self.far.value(), b"")
        self.assertEqual(self.successResultOf(cause).detail, "forbidden")


class Owner(Protocol):
    """A server-side protocol whose end the test uses."""

    def __init__(self, made: Deferred[Any], kind: Any, **how: Any) -> None:
        self.made, self.kind, self.how = made, kind, how

    def connectionMade(self) -> None:
        self.end = self.kind(reactor, self.transport, "peer", **self.how)
        self.made.callback(self.end)

    def dataReceived(self, data: bytes) -> None:
        self.end.dataReceived(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.end.connectionLost(reason)


def buffered(end: Any) -> int:
    """Bytes that wait for the peer in our memory."""
    transport = end._transport
    if isinstance(transport, Half):
        return transport.waiting
    return len(transport.dataBuffer) - transport.offset + transport._tempDataLen


class Pairs:
    """Real sockets, so that Twisted's own buffers and the kernel take part."""

    timeout = 60

    async def pair(self, kind: Any, **how: Any) -> tuple[Any, Raw]:
        made: Deferred[Any] = Deferred()
        port = reactor.listenTCP(0, Factory.forProtocol(lambda: Owner(made, kind, **how)), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        peer = await endpoint.connect(Factory.forProtocol(Raw))
        end = await made

        async def gone() -> None:
            peer.transport.abortConnection()
            await peer.gone
            await end.closed()

        self.addCleanup(gone)
        return end, peer


class Sockets(Pairs):
    """What is true of each engine."""

    AMOUNT = 24 << 20
    BOUND = 5 * 65536  # what was read at once comes on top of the transport's limit of 64 KiB
    lean: bool

    def join(self, client: Any, upstream: Any) -> Deferred[Refusal]:
        cause = join(client, upstream, lean=self.lean)
        self.assertEqual([isinstance(end._transport, Half) for end in (client, upstream)], [self.lean] * 2)
        return cause

    def full(self, end: Any) -> Deferred[None]:
        """Fires when what is to be sent to this end's peer begins to wait."""
        full: Deferred[None] = Deferred()
        original = end.pauseProducing

        def pauseProducing() -> None:
            original()
            if not full.called:
                full.callback(None)

        end.pauseProducing = pauseProducing
        return full

    async def test_a_viewer_that_does_not_read(self) -> None:
        client, viewer = await self.pair(WebSocketEnd)
        upstream, server = await self.pair(StreamEnd, lost=ConsoleClosed)
        viewer.transport.pauseProducing()
        stopped = self.full(client)
        cause = self.join(client, upstream)
        server.write(bytes(self.AMOUNT))
        await stopped
        self.assertLess(buffered(client), self.BOUND)
        viewer.write(frame(2, b"still heard"))
        await server.until(b"still heard")
        self.assertLess(buffered(client), self.BOUND)
        self.assertLess(upstream.bytes_in, self.AMOUNT, "the rest waits at the server")
        viewer.transport.resumeProducing()
        received = 0
        while received < self.AMOUNT:
            first, length = await viewer.read(2)
            self.assertEqual(first, 0x82)
            if length > 125:
                length = int.from_bytes(await viewer.read(2 if length == 126 else 8), "big")
            self.assertFalse(any(await viewer.read(length)))
            received += length
            self.assertLess(buffered(client), self.BOUND)
        self.assertEqual((received, upstream.bytes_in, client.bytes_out), (self.AMOUNT,) * 3)
        server.transport.loseConnection()
        self.assertIsInstance(await cause, ConsoleClosed)
        client.close(Stopping())
        upstream.close(Stopping())

    async def test_a_server_that_does_not_read(self) -> None:
        client, viewer = await self.pair(WebSocketEnd)
        upstream, server = await self.pair(StreamEnd, lost=ConsoleClosed)
        server.transport.pauseProducing()
        stopped = self.full(upstream)
        cause = self.join(client, upstream)
        message = frame(2, bytes(range(256)) * 256)
        for _ in range(self.AMOUNT // 65536):
            viewer.write(message)
        await stopped
        self.assertLess(buffered(upstream), self.BOUND)
        server.transport.resumeProducing()
        data = await server.read(self.AMOUNT)
        self.assertEqual(
            hashlib.sha256(data).digest(), hashlib.sha256(bytes(range(256)) * (self.AMOUNT // 256)).digest()
        )
        viewer.transport.loseConnection()
        self.assertIsInstance(await cause, ClientLeft)
        client.close(Stopping())
        upstream.close(Stopping())

    async def test_a_stalled_viewer_can_be_hung_up(self) -> None:
        client, viewer = await self.pair(WebSocketEnd)
        upstream, server = await self.pair(StreamEnd)
        viewer.transport.pauseProducing()
        stopped = self.full(client)
        self.join(client, upstream)
        server.write(bytes(self.AMOUNT))
        await stopped
        cause: Refusal = Stopping()
        upstream.close(cause)
        client.close(cause)
        await client.closed()
        await upstream.closed()


class OnTransports(Sockets, TestCase):
    lean = False


class Lean(Sockets, TestCase):
    lean = True


class Dialled(Pairs, TestCase):
    """Not a relay at all."""

    async def test_a_dial_gives_an_end(self) -> None:
        _, peer = await self.pair(StreamEnd)
        port = reactor.listenTCP(0, Factory.forProtocol(Raw), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        protocol = await endpoint.connect(
            Factory.forProtocol(lambda: EndProtocol(reactor, "there", lost=ConsoleClosed))
        )
        self.assertEqual(protocol.end.peer, "there")
        self.assertTrue(protocol.transport.getTcpNoDelay())
        protocol.end.close(Stopping())
        await protocol.end.closed()
        peer.transport.loseConnection()
