"""Limits, the lease of a token and the handshake channel, each alone."""

from dataclasses import fields
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.contract import ConnectInfo
from novnc_twisted.errors import (
    ConsoleForbidden,
    ConsoleUnreachable,
    MessageTooBig,
    ProtocolViolation,
    Refusal,
    Revoked,
    ServiceUnavailable,
    TooManySessions,
)
from novnc_twisted.relay import StreamEnd
from novnc_twisted.rfb.handshake import Ask, Handshake, Need, StartTLS, Write
from novnc_twisted.session import SessionLimits, SessionSettings
from novnc_twisted.session.handshake_channel import HOLD_LIMIT, HandshakeChannel
from novnc_twisted.session.token_lease import TokenLease
from tests.relay.test_stream_end import GONE, Transport


def info(uuid: str = "", port: int = 5900) -> ConnectInfo:
    return ConnectInfo(host="h", port=port, instance_uuid=uuid)


class Limits(SynchronousTestCase):
    def test_all_together(self) -> None:
        limits = SessionLimits(2)
        with limits.take_slot(info("a")), limits.take_slot(info("b")):
            self.assertEqual(len(limits), 2)
            with self.assertRaises(TooManySessions), limits.take_slot(info("c")):
                self.fail("no slot was free")
        self.assertEqual(len(limits), 0)

    def test_each_server(self) -> None:
        limits = SessionLimits(0, 1)
        with (
            limits.take_slot(info("a")),
            limits.take_slot(info("b")),
            limits.take_slot(info("", 1)),
            limits.take_slot(info("", 2)),
        ):
            for again in (info("a"), info("", 1)):
                with self.assertRaises(TooManySessions), limits.take_slot(again):
                    self.fail("no slot was free")
        with limits.take_slot(info("a")):
            self.assertEqual(len(limits), 1)

    def test_live_sessions(self) -> None:
        """Counted once they are set up, for each server; never below 0."""
        limits = SessionLimits()
        first, second, other = (limits.take_slot(info(uuid)) for uuid in ("a", "a", "b"))
        self.assertEqual(limits.live_sessions(info("a")), 0)
        for take_slot in (first, second, other):
            take_slot.set_up()
        self.assertEqual((limits.live_sessions(info("a")), limits.live_sessions(info("b"))), (2, 1))
        for _ in range(2):
            first.give_back()
            self.assertEqual((limits.live_sessions(info("a")), len(limits)), (1, 2))
        first.set_up()
        second.give_back()
        self.assertEqual((limits.live_sessions(info("a")), len(limits)), (0, 1))

    def test_a_slot_is_given_back_after_a_failure(self) -> None:
        limits = SessionLimits(1)
        with self.assertRaises(ConsoleUnreachable), limits.take_slot(info()):
            raise ConsoleUnreachable
        self.assertEqual(len(limits), 0)

    def test_every_setting_is_described(self) -> None:
        for field in fields(SessionSettings):
            self.assertIn(f":ivar {field.name}:", SessionSettings.__doc__ or "")

    def test_defaults_are_the_promised_ones(self) -> None:
        settings = SessionSettings(host="h")
        self.assertEqual((settings.auth_schemes, settings.max_sessions_per_server), (("none", "vnc"), 16))
        self.assertEqual((settings.max_sessions, settings.idle_timeout, settings.max_failures_per_minute), (0, 0, 600))
        self.assertEqual(
            (settings.head_deadline, settings.token_deadline, settings.dial_deadline, settings.rfb_deadline),
            (10, 5, 10, 10),
        )
        self.assertEqual((settings.setup_deadline, settings.keep_interval), (30, 20))


class Leases(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.calls: list[Deferred[Any]] = []
        self.ended: list[Refusal] = []
        self.modes: list[str] = []

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def make(self, after: float = 0) -> TokenLease:
        async def keep(token: str, address: str) -> Any:
            self.assertEqual((token, address), ("t", "a"))
            self.calls.append(Deferred())
            return await self.calls[-1]

        lease = TokenLease(self.clock, keep, self, "t", "a", every=20, deadline=5, after=after)
        lease.start()
        return lease

    def end(self, cause: Refusal) -> None:
        self.ended.append(cause)

    def change_mode(self, mode: str) -> None:
        self.modes.append(mode)

    def test_not_before_it_is_due(self) -> None:
        lease = self.make(after=510)
        self.clock.advance(509)
        self.assertEqual(self.calls, [])
        self.clock.advance(1)
        self.assertEqual(len(self.calls), 1)
        last = Deferred.fromCoroutine(lease.last(1))
        self.assertEqual(len(self.calls), 2)
        self.clock.advance(1)
        self.successResultOf(last)

    def test_never_where_the_session_ends_before(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.make(after=510).last(1)))
        self.assertEqual(self.calls, [])

    def test_at_once_and_regularly(self) -> None:
        lease = self.make()
        for count in (1, 2, 3):
            self.assertEqual(len(self.calls), count)
            self.calls[-1].callback(None)
            self.clock.advance(20)
        lease.stop()
        self.assertTrue(self.calls[-1].called, "the pending one is cancelled")

    def test_no_answer_is_no_reason_to_stop(self) -> None:
        lease = self.make()
        self.clock.advance(5)
        self.clock.advance(20)
        self.assertEqual(len(self.calls), 2)
        lease.stop()

    def test_what_the_answers_change(self) -> None:
        """The mode is passed on.  A token that may not be used any more ends the session; other refusals do not."""
        for end in Revoked("why"), ConsoleForbidden("given away"):
            self.ended.clear()
            self.modes.clear()
            lease = self.make()
            for answer in ("view", None, ServiceUnavailable(), end):
                self.calls[-1].callback(answer) if not isinstance(answer, Refusal) else self.calls[-1].errback(answer)
                self.clock.advance(20)
            self.assertEqual((self.modes, self.ended), (["view"], [end]))
            lease.stop()

    def test_the_last_one(self) -> None:
        lease = self.make()
        self.calls[0].callback(None)
        last = Deferred.fromCoroutine(lease.last(1))
        self.assertEqual(len(self.calls), 2)
        self.assertNoResult(last)
        self.clock.advance(1)
        self.successResultOf(last)

    def test_the_last_one_while_one_is_pending(self) -> None:
        lease = self.make()
        last = Deferred.fromCoroutine(lease.last(1))
        self.assertEqual(len(self.calls), 2)
        self.calls[1].callback(None)
        self.successResultOf(last)


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
        """Started where the handshake stops for it; what came in clear by then, while something was asked, fails it."""

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
                self.end.dataReceived(b"ab")  # through TLS, which is up before the protocol is notified
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
