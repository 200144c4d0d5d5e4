"""WebSocketEnd: pings, close frames, slow peers and violations."""

from twisted.internet.interfaces import ITCPTransport
from zope.interface import alsoProvides

from novnc_twisted.errors import (
    ClientLeft,
    InvalidToken,
    ProtocolViolation,
    Stopping,
)
from novnc_twisted.relay import WebSocketEnd
from novnc_twisted.relay.frames import close_frame, control_frame
from novnc_twisted.relay.stream_end import CLOSE_GRACE, VIEWER_STALL
from novnc_twisted.relay.websocket_end import MISSED_PINGS, PING_EVERY
from tests.relay.end_case import EndCase, Transport
from tests.session.harness import frame


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
        """With it, a page asks whether the proxy still answers.  It is not passed on to the VNC server."""
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

    def test_a_peer_that_sends_pongs_is_not_dead(self) -> None:
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
        self.assertTrue(self.transport.half_closed, "its frames can no longer be read, so no answer is awaited")
        self.lose()

    def test_a_violation_that_closes_at_once(self) -> None:
        """A session closes its end inside end_lost().  A reset for unread bytes must not overtake the close frame."""
        alsoProvides(self.transport, ITCPTransport)
        end = self.make()
        end.attach(self.hears)
        self.hears.end_lost = end.close  # type: ignore[method-assign]
        end.dataReceived(b"\xff\xff")
        self.assertEqual(self.transport.take(), close_frame(1002, ProtocolViolation.sentence))
        self.assertTrue(self.transport.half_closed)
        self.assertFalse(self.transport.disconnecting)
        self.lose()

    def test_a_violation_instead_of_an_answer_to_our_close_frame(self) -> None:
        """No answer can come any more, but our close frame must arrive."""
        alsoProvides(self.transport, ITCPTransport)
        end = self.make()
        end.close(Stopping())
        end.dataReceived(b"\xff\xff")
        self.assertTrue(self.transport.half_closed)
        self.assertFalse(self.transport.disconnecting)
        self.clock.advance(CLOSE_GRACE)
        self.assertTrue(self.transport.aborted)
        self.lose()
