"""The estimate of Redis' clock, the grace period, and a connection that no longer answers."""

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.messaging.redis import heartbeat
from novnc_twisted.messaging.redis.heartbeat import BEAT, FROZEN, GRACE_PERIOD, STALL, Heartbeat, milliseconds
from novnc_twisted.messaging.redis.protocol import ConnectionGone, RedisError
from novnc_twisted.messaging.redis.reasons import Frozen

EPOCH = 1_700_000_000


class ProtocolStub:
    """A connection whose answers to TIME the test gives; it is its own transport."""

    def __init__(self, clock: Clock) -> None:
        self.transport = self
        self.clock = clock
        self.answers: list[Deferred[Any]] = []
        self.asked = 0
        self.aborted = 0
        self.ahead = 0.0

    def command(self, *words: str) -> Deferred[Any]:
        assert words == ("TIME",)
        self.asked += 1
        return self.answers.pop(0) if self.answers else self.time()

    def time(self) -> Deferred[Any]:
        now = EPOCH + self.clock.seconds() + self.ahead
        return succeed([str(int(now)), str(int(now % 1 * 1e6))])

    def abortConnection(self) -> None:
        self.aborted += 1


class HeartbeatTests(SynchronousTestCase):
    """One connection on a clock."""

    def setUp(self) -> None:
        self.patch(heartbeat, "first_pause", lambda: heartbeat.BEAT)
        self.clock = Clock()
        self.protocol: Any = ProtocolStub(self.clock)
        self.heartbeat = Heartbeat(self.clock.seconds)
        self.reported: list[float] = []

    def begin(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.heartbeat.begin(self.protocol)))

    def watch(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.heartbeat.watch(self.protocol, self.clock, self.reported.append))

    def test_milliseconds(self) -> None:
        self.assertEqual(milliseconds(["1700000000", "123999"]), 1_700_000_000_123)
        self.assertEqual(milliseconds([b"1", b"0"]), 1000)

    def test_the_time_goes_on_between_answers(self) -> None:
        self.begin()
        self.assertEqual(self.heartbeat.now(), 1000 * EPOCH)
        self.clock.advance(0.25)
        self.assertEqual(self.heartbeat.now(), 1000 * EPOCH + 250)

    def test_a_slow_answer_moves_the_estimate_little(self) -> None:
        """The fastest of the last answers counts; the estimate is never ahead."""
        self.begin()
        slow = self.protocol.time()
        waiting: Deferred[Any] = Deferred()
        self.protocol.answers = [waiting]
        watching = self.watch()
        self.clock.advance(BEAT)
        self.clock.advance(1.5)
        waiting.callback(self.successResultOf(slow))
        self.assertEqual(self.heartbeat.now(), 1000 * EPOCH + 2500)
        watching.cancel()
        self.failureResultOf(watching)

    def test_a_slow_answer_begins_a_grace_period(self) -> None:
        """It does not if this process itself was busy meanwhile."""
        for seconds, busy, grace in ((STALL, 0.0, False), (STALL + 0.2, 0.3, False), (STALL + 0.2, 0.1, True)):
            self.heartbeat.took(seconds, busy)
            self.assertEqual(self.heartbeat.grace_period > 0, grace)

    def test_a_new_connection_starts_anew(self) -> None:
        """It may lead to another Redis, whose clock is behind."""
        self.begin()
        self.protocol.ahead = -60
        self.begin()
        self.assertEqual(self.heartbeat.now(), 1000 * (EPOCH - 60))

    def test_each_second(self) -> None:
        self.begin()
        watching = self.watch()
        for _ in range(5):
            self.clock.advance(BEAT)
        self.assertEqual(self.protocol.asked, 6)
        self.assertEqual(self.reported, [EPOCH + number for number in range(1, 6)])
        watching.cancel()
        self.failureResultOf(watching)

    def test_frozen(self) -> None:
        self.protocol.answers = [Deferred()]
        watching = self.watch()
        self.clock.advance(BEAT)
        self.clock.advance(FROZEN - 0.1)
        self.assertNoResult(watching)
        self.clock.advance(0.1)
        self.failureResultOf(watching, Frozen)
        self.assertEqual((self.protocol.aborted, self.clock.getDelayedCalls()), (1, []))

    def test_a_connection_that_is_lost_or_refuses(self) -> None:
        for number, error in enumerate((ConnectionGone(), RedisError("NOPERM")), 1):
            self.protocol.answers = [fail(error)]
            watching = self.watch()
            self.clock.advance(BEAT)
            self.assertIsNone(self.successResultOf(watching))
            self.assertEqual(self.protocol.aborted, number)

    def test_grace_period(self) -> None:
        self.assertEqual(self.heartbeat.grace_period, 0)
        self.heartbeat.begin_grace_period()
        self.assertEqual(self.heartbeat.grace_period, GRACE_PERIOD)
        self.clock.advance(GRACE_PERIOD - 1)
        self.heartbeat.begin_grace_period(0.5)  # a shorter period does not end a longer one
        self.assertEqual(self.heartbeat.grace_period, 1)
        self.clock.advance(2)
        self.assertEqual(self.heartbeat.grace_period, 0)

    def test_a_stall_begins_one(self) -> None:
        self.heartbeat.took(STALL)
        self.assertEqual(self.heartbeat.grace_period, 0)
        self.heartbeat.took(STALL + 0.1)
        self.assertEqual(self.heartbeat.grace_period, GRACE_PERIOD)

    def test_a_slow_heartbeat_is_a_stall(self) -> None:
        self.begin()
        waiting: Deferred[Any] = Deferred()
        self.protocol.answers = [waiting]
        watching = self.watch()
        self.clock.advance(BEAT)
        self.clock.advance(STALL + 0.1)
        waiting.callback(["1700000000", "0"])
        self.assertAlmostEqual(self.heartbeat.grace_period, GRACE_PERIOD)
        watching.cancel()
        self.failureResultOf(watching)
