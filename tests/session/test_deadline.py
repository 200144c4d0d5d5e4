"""Each wait has a deadline, one cause ends all waits, and no timer is left."""

from inspect import CORO_CLOSED, getcoroutinestate
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import ClientLeft, ServiceUnavailable, Stopping
from novnc_twisted.session.deadline import Deadline


class Waiting(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.deadline = Deadline(self.clock)

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def wait(self, what: Any, seconds: float | None = 5) -> Deferred[Any]:
        return self.deadline.wait(what, seconds, ServiceUnavailable, "late")

    def test_the_result(self) -> None:
        async def seven() -> int:
            return 7

        what: Deferred[int] = Deferred()
        waiting = self.wait(what)
        self.assertNoResult(waiting)
        what.callback(5)
        self.assertEqual(self.successResultOf(waiting), 5)
        self.assertEqual(self.successResultOf(self.wait(seven())), 7)
        self.assertEqual(self.successResultOf(self.wait(succeed(9))), 9)

    def test_something_else_that_can_be_awaited(self) -> None:
        class Odd:
            def __await__(self) -> Any:
                return (yield from succeed(3).__await__())

        self.assertEqual(self.successResultOf(self.wait(Odd())), 3)

    def test_a_failure(self) -> None:
        what: Deferred[int] = Deferred()
        waiting = self.wait(what)
        what.errback(ZeroDivisionError())
        self.failureResultOf(waiting, ZeroDivisionError)

    def test_the_deadline(self) -> None:
        cancelled = []
        what: Deferred[int] = Deferred(cancelled.append)
        waiting = self.wait(what)
        self.clock.advance(4.9)
        self.assertNoResult(waiting)
        self.clock.advance(0.1)
        self.assertEqual(self.failureResultOf(waiting, ServiceUnavailable).value.detail, "late")
        self.assertEqual(cancelled, [what])

    def test_a_wait_within_a_wait(self) -> None:
        """The end of the outer wait cancels the inner wait and its timer."""
        cancelled = []
        what: Deferred[int] = Deferred(cancelled.append)
        inner = Deadline(self.clock)

        async def within() -> int:
            return await inner.wait(what, 5, ServiceUnavailable, "late")

        waiting = self.wait(within())
        self.deadline.end(ClientLeft())
        self.failureResultOf(waiting, ClientLeft)
        self.assertEqual(cancelled, [what])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_time_left(self) -> None:
        waiting = self.wait(Deferred(), -3)
        self.clock.advance(0)
        self.failureResultOf(waiting, ServiceUnavailable)

    def test_the_end_while_waiting(self) -> None:
        what: Deferred[int] = Deferred()
        waiting = self.wait(what)
        self.deadline.end(ClientLeft())
        self.failureResultOf(waiting, ClientLeft)
        self.failureResultOf(self.wait(Deferred()), ClientLeft)

    def test_the_first_cause_stays(self) -> None:
        self.deadline.end(ClientLeft())
        self.deadline.end(Stopping())
        self.failureResultOf(self.wait(Deferred()), ClientLeft)

    def test_what_comes_after_the_end_does_not_begin(self) -> None:
        begun = []

        async def never() -> None:
            begun.append(1)

        self.deadline.end(Stopping())
        coroutine, cancelled = never(), []
        self.failureResultOf(self.wait(coroutine), Stopping)
        self.assertEqual((begun, getcoroutinestate(coroutine)), ([], CORO_CLOSED))
        self.failureResultOf(self.wait(Deferred(cancelled.append)), Stopping)
        self.assertEqual(len(cancelled), 1)

    def test_a_coroutine_that_ends_everything_as_it_begins(self) -> None:
        cancelled: list[Deferred[None]] = []

        async def ending() -> None:
            self.deadline.end(Stopping())
            await Deferred(cancelled.append)

        self.failureResultOf(self.wait(ending()), Stopping)
        self.assertEqual(len(cancelled), 1)

    def test_a_coroutine_that_ignores_cancellation_delays_nothing(self) -> None:
        async def stubborn() -> str:
            for _ in range(3):
                try:
                    await Deferred()
                except CancelledError:
                    continue
            return "late"

        waiting = self.wait(stubborn())
        self.clock.advance(5)
        self.failureResultOf(waiting, ServiceUnavailable)
