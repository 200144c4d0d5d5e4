"""The two kinds of ends: what they write, when they hang up, how they notice that a peer is dead."""

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol, ISSLTransport, ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides
from zope.interface.verify import verifyObject

from novnc_twisted.errors import (
    ClientLeft,
    ConsoleClosed,
    InvalidToken,
    MessageTooBig,
    ProtocolViolation,
    Refusal,
    Stopping,
)
from novnc_twisted.relay import IEnd, StreamEnd, WebSocketEnd
from novnc_twisted.relay.frames import close_frame, control_frame
from novnc_twisted.relay.stream_end import CLOSE_GRACE, HOLD_LIMIT, VIEWER_STALL
from novnc_twisted.relay.websocket_end import MISSED_PINGS, PING_EVERY
from tests.session.harness import frame

GONE = Failure(ConnectionDone())


class Transport(StringTransport):
    """Remembers how it was closed."""

    aborted = half_closed = False

    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def take(self) -> bytes:
        data = self.value()
        self.clear()
        return data


class Hears:
    """A receiver that remembers."""

    def __init__(self) -> None:
        self.data = b""
        self.lost: list[Refusal] = []
        self.room: list[bool] = []

    def data_received(self, data: bytes) -> None:
        self.data += data

    def end_lost(self, cause: Refusal) -> None:
        self.lost.append(cause)

    def pause_writing(self) -> None:
        self.room.append(False)

    def resume_writing(self) -> None:
        self.room.append(True)


class EndCase(SynchronousTestCase):
    kind: Any = StreamEnd

    def setUp(self) -> None:
        self.clock, self.transport, self.hears = Clock(), Transport(), Hears()

    def make(self, **how: Any) -> Any:
        self.end = self.kind(self.clock, "peer", **how)
        self.end.makeConnection(self.transport)
        verifyObject(IProtocol, self.end)
        verifyObject(IEnd, self.end)
        return self.end

    def lose(self) -> None:
        self.end.connectionLost(GONE)
        self.assertEqual(self.clock.getDelayedCalls(), [], "no timer outlives the connection")


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
        """dependencies.md, Twisted 3: with a producer still registered it would never close."""
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


class WebSocket(EndCase):
    kind = WebSocketEnd

    def test_messages(self) -> None:
        end = self.make()
        end.attach(self.hears)
        end.dataReceived(frame(2, b"abc"))
        end.write(b"hello")
        self.assertEqual((self.hears.data, self.transport.take()), (b"abc", b"\x82\x05hello"))
        self.assertEqual((end.bytes_in, end.bytes_out), (3, 5))
        self.lose()

    def test_pings_are_answered_in_order(self) -> None:
        self.make().dataReceived(frame(9, b"1") + frame(9, b"2"))
        self.assertEqual(self.transport.take(), control_frame(10, b"1") + control_frame(10, b"2"))
        self.lose()

    def test_pings_to_a_full_buffer_cost_no_memory(self) -> None:
        end = self.make()
        self.transport.producer.pauseProducing()
        for at in range(10000):
            end.dataReceived(frame(9, b"%d" % at))
        self.assertEqual(self.transport.value(), b"")
        self.transport.producer.resumeProducing()
        self.assertEqual(self.transport.value(), control_frame(10, b"9999"))
        self.lose()

    def test_an_empty_message_is_answered_with_one(self) -> None:
        """A page asks the proxy whether it is still there; the VNC server sees nothing of it."""
        end = self.make()
        end.attach(self.hears)
        end.dataReceived(frame(2, b""))
        self.assertEqual((self.transport.take(), self.hears.data, end.bytes_in), (b"\x82\0", b"", 0))
        end.dataReceived(frame(2, b"") * 1000 + frame(2, b"key"))
        self.assertEqual((self.transport.take(), self.hears.data), (b"\x82\0", b"key"))
        self.transport.producer.pauseProducing()
        end.dataReceived(frame(2, b""))
        self.assertEqual(self.transport.value(), b"")
        self.lose()

    def test_a_ping_every_30_s_and_a_dead_peer_is_noticed(self) -> None:
        end = self.make()
        end.attach(self.hears)
        self.clock.advance(PING_EVERY)
        self.assertEqual(self.transport.take(), b"\x89\0")
        self.clock.pump([PING_EVERY] * (MISSED_PINGS - 1))
        self.assertEqual(self.hears.lost, [])
        self.clock.advance(PING_EVERY)
        self.assertEqual(self.hears.lost[0].detail, "answered no ping")
        self.lose()

    def test_the_interval_of_pings(self) -> None:
        for every, pings in ((5, b"\x89\0"), (0, b"")):
            self.transport = Transport()
            self.make(ping_every=every).attach(self.hears)
            self.clock.advance(5)
            self.assertEqual(self.transport.take(), pings)
            self.lose()

    def test_a_pong_is_life(self) -> None:
        end = self.make()
        end.attach(self.hears)
        for _ in range(10):
            self.clock.advance(PING_EVERY)
            end.dataReceived(frame(10, b""))
        self.assertEqual(self.hears.lost, [])
        self.lose()

    def test_a_peer_that_we_do_not_read_is_not_dead(self) -> None:
        end = self.make()
        end.attach(self.hears)
        end.pause_reading()
        self.clock.pump([PING_EVERY] * 10)
        self.assertEqual(self.hears.lost, [])
        self.lose()

    def test_a_slow_peer_is_not_dead_while_it_takes_something(self) -> None:
        end = self.make()
        end.attach(self.hears)
        for _ in range(20):
            self.transport.producer.pauseProducing()
            self.clock.advance(PING_EVERY)
            self.transport.producer.resumeProducing()
        self.assertEqual(self.hears.lost, [])
        self.lose()

    def test_a_peer_that_takes_nothing_is_suspended_and_given_up(self) -> None:
        end = self.make()
        end.attach(self.hears)
        self.transport.producer.pauseProducing()
        self.clock.pump([1] * int(VIEWER_STALL - 1))
        self.assertEqual(self.hears.lost, [])
        self.clock.advance(1)
        self.assertIn("took nothing", self.hears.lost[0].detail)
        self.lose()

    def test_closing_waits_for_the_peers_answer(self) -> None:
        end = self.make()
        end.close(InvalidToken())
        self.assertEqual(self.transport.take(), close_frame(4401, InvalidToken.sentence))
        self.assertFalse(self.transport.disconnecting)
        end.dataReceived(frame(2, b"still talking") + frame(8, b"\x11\x31"))
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.transport.value(), b"", "nothing is written after a close frame")
        self.lose()

    def test_a_peer_that_never_answers_is_aborted(self) -> None:
        end = self.make()
        end.close(Stopping())
        end.dataReceived(frame(9, b"ping"))
        self.clock.advance(CLOSE_GRACE)
        self.assertTrue(self.transport.aborted)
        self.assertEqual(self.transport.value(), close_frame(1001, Stopping.sentence))
        self.lose()

    def test_the_peers_close_code_goes_back(self) -> None:
        for payload, answer in ((b"\x03\xe9", close_frame(1001)), (b"", close_frame(1000))):
            self.setUp()
            end = self.make()
            end.attach(self.hears)
            end.dataReceived(frame(8, payload))
            self.assertIsInstance(self.hears.lost[0], ClientLeft)
            end.close(self.hears.lost[0])
            self.assertEqual(self.transport.take(), answer)
            self.assertTrue(self.transport.disconnecting)
            self.lose()

    def test_a_violation_closes_with_its_code(self) -> None:
        alsoProvides(self.transport, ITCPTransport)
        end = self.make()
        end.attach(self.hears)
        end.dataReceived(frame(2, b"ok") + b"\xff\xff")
        self.assertEqual(self.hears.data, b"ok")
        self.assertIsInstance(self.hears.lost[0], ProtocolViolation)
        end.close(self.hears.lost[0])
        self.assertEqual(self.transport.take(), close_frame(1002, ProtocolViolation.sentence))
        self.assertTrue(self.transport.half_closed, "nothing it sends can be understood: no answer is awaited")
        self.lose()
