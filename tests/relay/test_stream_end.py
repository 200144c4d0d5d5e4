"""StreamEnd: what it sends and holds, and how it is lost and closed."""

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import ISSLTransport, ITCPTransport
from zope.interface import alsoProvides

from novnc_twisted.errors import (
    ClientLeft,
    ConsoleClosed,
    MessageTooBig,
    Stopping,
)
from novnc_twisted.relay.stream_end import CLOSE_GRACE, HOLD_LIMIT
from tests.relay.end_case import GONE, EndCase, Hears


class Stream(EndCase):
    def test_bytes_are_held_until_somebody_listens(self) -> None:
        end = self.make()
        end.dataReceived(b"ab")
        end.attach(self.hears)
        end.dataReceived(b"c")
        self.assertEqual((self.hears.data, end.bytes_in), (b"abc", 3))

    def test_bytes_given_back_come_first(self) -> None:
        end = self.make()
        end.attach(Hears())
        end.give_back(b"a")
        end.dataReceived(b"b")
        end.attach(self.hears)
        self.assertEqual(self.hears.data, b"ab")

    def test_what_is_held_is_capped(self) -> None:
        end = self.make()
        for _ in range(3):
            end.dataReceived(bytes(HOLD_LIMIT // 2))
        end.attach(self.hears)
        self.assertEqual(len(self.hears.data), HOLD_LIMIT)
        self.assertIsInstance(self.hears.lost[0], MessageTooBig)

    def test_a_late_receiver_gets_what_it_missed(self) -> None:
        end = self.make(lost=ConsoleClosed)
        end.dataReceived(b"last")
        self.transport.producer.pauseProducing()
        end.connectionLost(GONE)
        end.attach(self.hears)
        self.assertEqual((self.hears.data, self.hears.room), (b"last", [False]))
        self.assertIsInstance(self.hears.lost[0], ConsoleClosed)

    def test_lost_is_reported_once_and_writing_then_does_nothing(self) -> None:
        end = self.make()
        end.attach(self.hears)
        self.lose()
        self.lose()
        end.write(b"x")
        end.close(Stopping())
        self.assertEqual(len(self.hears.lost), 1)
        self.assertIsInstance(self.hears.lost[0], ClientLeft)
        self.assertEqual(self.transport.value(), b"")
        self.assertIsNone(self.successResultOf(end.closed()))

    def test_one_that_waits_for_the_end_cancels_another(self) -> None:
        end = self.make()
        first, second, third = (end.closed() for _ in range(3))
        first.addCallback(lambda _: second.cancel())
        self.lose()
        self.successResultOf(first)
        self.failureResultOf(second, CancelledError)
        self.successResultOf(third)

    def test_closing_unregisters_loses_and_aborts_on_a_timer(self) -> None:
        """If the producer stayed registered, Twisted would never close the connection."""
        end = self.make()
        end.attach(self.hears)
        end.pause_reading()
        closed = end.closed()
        end.close(Stopping())
        self.assertIsNone(self.transport.producer)
        self.assertEqual(self.transport.producerState, "producing", "a paused transport never notices its peer leaving")
        self.assertTrue(self.transport.disconnecting)
        self.assertNoResult(closed)
        self.clock.advance(CLOSE_GRACE)
        self.assertTrue(self.transport.aborted)
        self.lose()
        self.successResultOf(closed)
        self.assertEqual(self.hears.lost, [], "the side that closes is not notified")

    def test_a_prompt_peer_leaves_no_timer(self) -> None:
        end = self.make()
        end.close(Stopping())
        self.lose()
        self.assertFalse(self.transport.aborted)

    def test_lingering_ends_our_direction_only(self) -> None:
        alsoProvides(self.transport, ITCPTransport)
        self.make(linger=True).close(Stopping())
        self.assertTrue(self.transport.half_closed)
        self.assertFalse(self.transport.disconnecting)
        self.lose()

    def test_tls_has_no_half_close(self) -> None:
        alsoProvides(self.transport, ITCPTransport, ISSLTransport)
        self.make(linger=True).close(Stopping())
        self.assertFalse(self.transport.half_closed)
        self.assertTrue(self.transport.disconnecting)
        self.lose()

    def test_a_server_that_takes_nothing_is_lost(self) -> None:
        end = self.make(lost=ConsoleClosed, stall=60)
        end.attach(self.hears)
        self.transport.producer.pauseProducing()
        self.clock.advance(59)
        self.transport.producer.resumeProducing()
        self.clock.advance(60)
        self.assertEqual(self.hears.lost, [])
        self.transport.producer.pauseProducing()
        self.clock.advance(60)
        self.assertIsInstance(self.hears.lost[0], ConsoleClosed)
        self.lose()

    def test_back_pressure(self) -> None:
        end = self.make()
        end.attach(self.hears)
        self.transport.producer.pauseProducing()
        self.transport.producer.resumeProducing()
        self.assertEqual(self.hears.room, [False, True])
        end.pause_reading()
        self.assertEqual(self.transport.producerState, "paused")
        end.resume_reading()
        self.assertEqual(self.transport.producerState, "producing")

    def test_when_it_was_heard(self) -> None:
        end = self.make()
        self.clock.advance(5)
        self.assertEqual(end.heard_at, 0)
        end.dataReceived(b"x")
        self.assertEqual(end.heard_at, 5)

    def test_cancelled_waiting(self) -> None:
        end = self.make()
        closed = end.closed()
        closed.cancel()
        self.failureResultOf(closed)
        self.lose()
