"""Hedged calls: when they are repeated, and which result counts."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import InstanceNotRunning, InvalidToken, ServiceUnavailable
from novnc_twisted.messaging.hedged import AFTER, MAX_CALLS, MOST, PAUSE, SHARE, HedgedCalls


class FakeTransport:
    """Records calls; the test answers them.

    :ivar calls: the Deferred of each call, and its deadline.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[Deferred[Any], float]] = []
        self.cancelled = 0

    def call(self, topic: str, method: str, /, *, deadline: float, **arguments: Any) -> Deferred[Any]:
        assert (topic, method, arguments) == ("t", "m", {"value": 1})
        call: Deferred[Any] = Deferred(self._cancelled)
        self.calls.append((call, deadline))
        return call

    def _cancelled(self, _call: object) -> None:
        self.cancelled += 1


class HedgedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.transport: Any = FakeTransport()
        inconclusive = (ServiceUnavailable, InvalidToken)
        self.hedged = HedgedCalls(self.transport, self.clock, inconclusive=inconclusive)

    def call(self, deadline: float = 5.0) -> Deferred[Any]:
        return self.hedged.call("t", "m", deadline=deadline, value=1)

    def answer(self, number: int, answer: object) -> None:
        call = self.transport.calls[number][0]
        if isinstance(answer, Exception):
            call.errback(answer)
        else:
            call.callback(answer)

    def test_an_answer_in_time(self) -> None:
        called = self.call()
        self.answer(0, "first")
        self.assertEqual(self.successResultOf(called), "first")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_answer(self) -> None:
        """The second call's deadline is the remaining time."""
        called = self.call()
        self.clock.advance(AFTER - 0.1)
        self.assertEqual(len(self.transport.calls), 1)
        self.clock.advance(0.1)
        self.assertEqual([deadline for _, deadline in self.transport.calls], [5.0, 5.0 - AFTER])
        self.answer(1, "second")
        self.assertEqual(self.successResultOf(called), "second")
        self.assertEqual(self.transport.cancelled, 1)

    def test_the_first_is_only_slow(self) -> None:
        called = self.call()
        self.clock.advance(AFTER)
        self.answer(0, "first")
        self.assertEqual(self.successResultOf(called), "first")
        self.assertEqual(self.transport.cancelled, 1)

    def test_refusals(self) -> None:
        """A conclusive refusal counts at once; after an inconclusive one, the other call is waited for."""
        for first, expected in ((InstanceNotRunning(), InstanceNotRunning), (InvalidToken("a"), None)):
            self.transport.calls.clear()
            called = self.call()
            self.clock.advance(AFTER)
            self.answer(1, first)
            if expected is None:
                self.assertNoResult(called)
                self.answer(0, "good")
                self.assertEqual(self.successResultOf(called), "good")
            else:
                self.failureResultOf(called, expected)

    def test_both_are_refused(self) -> None:
        """The refusal that is not a ServiceUnavailable is passed on."""
        called = self.call(deadline=AFTER + PAUSE)
        self.clock.advance(AFTER)
        self.answer(1, InvalidToken("used"))
        self.assertNoResult(called)
        self.answer(0, ServiceUnavailable("late"))
        self.failureResultOf(called, InvalidToken)

    def test_lost(self) -> None:
        """Redis was lost: the call is repeated, up to MAX_CALLS in total."""
        called = self.call()
        for number in range(MAX_CALLS - 1):
            self.answer(number, ServiceUnavailable("Redis was lost before it answered"))
            self.assertEqual(len(self.transport.calls), number + 1)
            self.clock.advance(PAUSE)
        self.answer(MAX_CALLS - 1, "good")
        self.assertEqual(self.successResultOf(called), "good")
        self.assertEqual([deadline for _, deadline in self.transport.calls], [5 - n * PAUSE for n in range(MAX_CALLS)])

    def test_the_second_is_lost(self) -> None:
        """A third call is made although the first is pending: the first was probably lost as well."""
        called = self.call()
        self.clock.advance(AFTER)
        self.answer(1, ServiceUnavailable("Redis was lost before it answered"))
        self.clock.advance(PAUSE)
        self.answer(2, "good")
        self.assertEqual(self.successResultOf(called), "good")

    def test_always_refused(self) -> None:
        called = self.call()
        for number in range(MAX_CALLS):
            self.assertNoResult(called)
            self.answer(number, ServiceUnavailable("nobody serves t"))
            self.clock.advance(PAUSE)
        self.failureResultOf(called, ServiceUnavailable)
        self.assertEqual(len(self.transport.calls), MAX_CALLS)

    def test_the_time_is_over(self) -> None:
        called = self.call()
        self.clock.advance(5 - PAUSE)
        for number in (0, 1):
            self.answer(number, ServiceUnavailable("late"))
        self.failureResultOf(called, ServiceUnavailable)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        called = self.call()
        self.clock.advance(AFTER)
        called.addErrback(lambda _: None)
        called.cancel()
        self.assertEqual(self.transport.cancelled, 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_short_deadline(self) -> None:
        self.call(deadline=AFTER)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_an_overload(self) -> None:
        """Unanswered calls are repeated only within the budget."""
        for _ in range(200):
            self.call()
        self.clock.advance(AFTER)
        self.assertEqual(len(self.transport.calls), 200 + int(MOST))
        for _ in range(int(1 / SHARE) + 1):
            self.call()
        self.clock.advance(AFTER)
        self.assertEqual(len(self.transport.calls), 200 + int(MOST) + int(1 / SHARE) + 1 + 1)

    def test_refused_in_an_overload(self) -> None:
        """Only refusals in the budget are delayed; the others are passed on."""
        calls = [self.call() for _ in range(int(MOST) + 5)]
        for number in range(len(calls)):
            self.answer(number, ServiceUnavailable("full"))
        self.clock.advance(PAUSE)
        self.assertEqual(len([call for call in calls if call.called]), len(calls) - int(MOST))
        for call in calls:
            call.addErrback(lambda failure: failure.trap(ServiceUnavailable) and None)
