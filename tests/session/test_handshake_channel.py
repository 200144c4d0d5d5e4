"""The handshake channel: what a handshake reads and writes, and what is left for the relay."""

import gc
import weakref
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import (
    MessageTooBig,
    ProtocolViolation,
    Refusal,
)
from novnc_twisted.relay import StreamEnd
from novnc_twisted.rfb.handshake import Ask, Handshake, Need, StartTLS, Write
from novnc_twisted.session.handshake_channel import HOLD_LIMIT, HandshakeChannel
from tests.relay.end_case import GONE, Transport


class Channels(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.transport = Clock(), Transport()
        self.end = StreamEnd(self.clock)
        self.end.makeConnection(self.transport)
        self.lost: list[Refusal] = []
        self.channel = HandshakeChannel(self.end, self.lost.append)

    def handshake(self) -> Handshake[bytes]:
        yield Write(b"hello")
        return (yield Need(4, "answer"))

    def test_a_handshake(self) -> None:
        held = self.channel.run(self.handshake())
        self.assertEqual(self.transport.take(), b"hello")
        self.end.dataReceived(b"ab")
        self.assertNoResult(held)
        self.end.dataReceived(b"cdef")
        self.assertEqual(self.successResultOf(held), b"abcd")
        self.assertEqual(self.successResultOf(self.channel.some()), b"ef")

    def test_what_came_before(self) -> None:
        self.end.dataReceived(b"abcdef")
        self.assertEqual(self.successResultOf(self.channel.run(self.handshake())), b"abcd")

    def test_a_failing_handshake_has_written_why(self) -> None:
        def failing() -> Handshake[None]:
            yield Write(b"no")
            raise ProtocolViolation("bad")

        self.failureResultOf(self.channel.run(failing()), ProtocolViolation)
        self.assertEqual(self.transport.take(), b"no")

    def test_tls(self) -> None:
        """TLS starts at StartTLS.  If bytes came in clear while the password was fetched, the handshake fails."""

        def handshake() -> Handshake[bytes]:
            password = yield Ask("password")
            yield StartTLS()
            return password + (yield Need(2))

        async def start_tls(step: StartTLS) -> None:
            steps.append(step)
            await up

        for injected in (b"", b"xx"):
            steps: list[StartTLS] = []
            asked, up = Deferred[Any](), Deferred[Any]()
            held = self.channel.run(handshake(), lambda _, asked=asked: asked, start_tls)
            if injected:
                self.end.dataReceived(injected)
            asked.callback(b"p")
            if injected:
                self.assertIn("2 bytes came in clear", self.failureResultOf(held, ProtocolViolation).value.detail)
                self.assertEqual(steps, [])
            else:
                self.end.dataReceived(b"ab")  # through TLS, which may be established before start_tls() returns
                self.assertNoResult(held)
                up.callback(None)
                self.assertEqual((self.successResultOf(held), steps), (b"pab", [StartTLS()]))

    def test_it_never_pauses_and_is_capped(self) -> None:
        self.end.dataReceived(bytes(HOLD_LIMIT))
        self.assertEqual((self.lost, self.transport.producerState), ([], "producing"))
        self.end.dataReceived(b"x")
        self.end.dataReceived(b"x")
        self.assertEqual(len(self.lost), 1)
        self.assertIsInstance(self.lost[0], MessageTooBig)

    def test_its_loss(self) -> None:
        self.end.connectionLost(GONE)
        self.assertEqual(len(self.lost), 1)
        self.assertTrue(self.channel.gone)

    def test_a_cancelled_wait_takes_nothing(self) -> None:
        waiting = self.channel.some()
        waiting.cancel()
        self.failureResultOf(waiting)
        self.end.dataReceived(b"kept")
        self.assertEqual(self.successResultOf(self.channel.some()), b"kept")

    def test_bytes_that_are_put_back_come_first(self) -> None:
        self.end.dataReceived(b"cd")
        self.channel.put_back(b"ab")
        self.assertEqual(self.successResultOf(self.channel.some()), b"abcd")

    def test_release(self) -> None:
        self.end.dataReceived(b"ab")
        self.channel.release()
        self.end.dataReceived(b"c")
        again = HandshakeChannel(self.end, self.lost.append)
        self.assertEqual(self.successResultOf(again.some()), b"abc")

    def test_it_is_freed_without_a_garbage_collection(self) -> None:
        """The callbacks of a handshake belong to an object that refers to the channel."""

        class Upstream:
            def __init__(self, channel: HandshakeChannel) -> None:
                self.channel = channel

            async def answer(self, what: str) -> bytes:
                raise NotImplementedError

            async def start_tls(self, step: StartTLS) -> None:
                raise NotImplementedError

        upstream = Upstream(HandshakeChannel(self.end, self.lost.append))
        held = upstream.channel.run(self.handshake(), upstream.answer, upstream.start_tls)
        self.end.dataReceived(b"abcd")
        self.assertEqual(self.successResultOf(held), b"abcd")
        upstream.channel.release()
        HandshakeChannel(self.end, self.lost.append)  # the next receiver of the end
        gone = weakref.ref(upstream)
        gc.disable()
        self.addCleanup(gc.enable)
        del upstream
        self.assertIsNone(gone())
