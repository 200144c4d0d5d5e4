"""The relay in memory: held bytes, back-pressure, the cause of its end, and filters."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import ConsoleClosed, ProtocolViolation
from novnc_twisted.relay import StreamEnd, WebSocketEnd
from tests.relay.end_case import GONE, Transport
from tests.relay.socket_ends import flow
from tests.session.harness import frame


class InMemory(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.near, self.far = Transport(), Transport()
        self.client = WebSocketEnd(self.clock)
        self.client.makeConnection(self.near)
        self.upstream = StreamEnd(self.clock, lost=ConsoleClosed)
        self.upstream.makeConnection(self.far)

    def tearDown(self) -> None:
        self.client.connectionLost(GONE)
        self.upstream.connectionLost(GONE)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_both_ways_and_what_was_held(self) -> None:
        self.client.dataReceived(frame(2, b"ear"))
        self.upstream.dataReceived(b"ly")
        flow(self.client, self.upstream)
        self.client.dataReceived(frame(2, b"ly"))
        self.assertEqual((self.far.take(), self.near.take()), (b"early", b"\x82\x02ly"))

    def test_the_first_end_that_is_lost_is_the_cause(self) -> None:
        cause = flow(self.client, self.upstream)
        self.upstream.connectionLost(GONE)
        self.client.connectionLost(GONE)
        self.assertIsInstance(self.successResultOf(cause), ConsoleClosed)

    def test_an_end_lost_before(self) -> None:
        self.upstream.connectionLost(GONE)
        self.assertIsInstance(self.successResultOf(flow(self.client, self.upstream)), ConsoleClosed)

    def test_a_full_end_stops_the_other(self) -> None:
        flow(self.client, self.upstream)
        self.near.producer.pauseProducing()
        self.assertEqual((self.far.producerState, self.near.producerState), ("paused", "producing"))
        self.near.producer.resumeProducing()
        self.far.producer.pauseProducing()
        self.assertEqual((self.far.producerState, self.near.producerState), ("producing", "paused"))
        self.far.producer.resumeProducing()
        self.assertEqual(self.near.producerState, "producing")

    def test_cancelling_stops_the_flow(self) -> None:
        cause = flow(self.client, self.upstream)
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

        cause = flow(self.client, self.upstream, [Policy()])
        self.client.dataReceived(frame(2, b"xaxb"))
        self.client.dataReceived(frame(2, b"x"))
        self.upstream.dataReceived(b"c")
        self.assertEqual((self.far.take(), self.near.take()), (b"ab", b"\x82\x01C"))
        self.client.dataReceived(frame(2, b"!"))
        self.client.dataReceived(frame(2, b"y"))
        self.assertEqual(self.far.value(), b"")
        self.assertEqual(self.successResultOf(cause).detail, "forbidden")
