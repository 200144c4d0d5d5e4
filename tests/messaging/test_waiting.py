"""Deadlines, sleeps and the end of loops."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.messaging.waiting import Late, ended, peek, sleep, within


class WithinTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.work: Deferred[Any] = Deferred()

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_result_in_time(self) -> None:
        waiting = within(self.work, 5, self.clock)
        self.work.callback(7)
        self.assertEqual(self.successResultOf(waiting), 7)

    def test_a_failure_in_time(self) -> None:
        waiting = within(self.work, 5, self.clock)
        self.work.errback(KeyError("x"))
        self.failureResultOf(waiting, KeyError)

    def test_late(self) -> None:
        cancelled: list[Any] = []
        waiting = within(Deferred(cancelled.append), 5, self.clock)
        self.clock.advance(4.9)
        self.assertNoResult(waiting)
        self.clock.advance(0.1)
        self.failureResultOf(waiting, Late)
        self.assertEqual(len(cancelled), 1)

    def test_no_time_at_all(self) -> None:
        for seconds in (0, -3):
            waiting = within(Deferred(), seconds, self.clock)
            self.clock.advance(0)
            self.failureResultOf(waiting, Late)

    def test_work_that_swallows_its_cancellation(self) -> None:
        """Its late result is returned."""
        work: Deferred[str] = Deferred(lambda found: found.callback("anyway"))
        waiting = within(work, 1, self.clock)
        self.clock.advance(1)
        self.assertEqual(self.successResultOf(waiting), "anyway")

    def test_work_that_cancels_something_of_its_own(self) -> None:
        """Its CancelledError is not turned into Late before the deadline."""
        waiting = within(self.work, 1, self.clock)
        self.work.errback(CancelledError())
        self.failureResultOf(waiting, CancelledError)

    def test_cancelled_from_outside(self) -> None:
        waiting = within(self.work, 1, self.clock)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)


class LoopTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def test_sleep(self) -> None:
        pause = sleep(2, self.clock)
        self.clock.advance(1.9)
        self.assertNoResult(pause)
        self.clock.advance(0.1)
        self.assertIsNone(self.successResultOf(pause))

    def test_a_cancelled_sleep_leaves_no_timer(self) -> None:
        pause = sleep(2, self.clock)
        pause.cancel()
        self.failureResultOf(pause, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_ended(self) -> None:
        async def loop() -> None:
            while True:
                await sleep(1, self.clock)

        running = Deferred.fromCoroutine(loop())
        ending = Deferred.fromCoroutine(ended(running, self.clock))
        self.assertNoResult(ending)
        self.clock.advance(0)
        self.successResultOf(ending)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_ended_by_the_loop_itself(self) -> None:
        ending: list[Deferred[None]] = []

        async def loop() -> None:
            await sleep(1, self.clock)
            ending.append(Deferred.fromCoroutine(ended(running, self.clock)))
            await sleep(60, self.clock)

        running = Deferred.fromCoroutine(loop())
        self.clock.advance(1)
        self.clock.advance(0)
        self.successResultOf(ending[0])

    def test_a_loop_that_had_failed(self) -> None:
        """ended() fails with the failure of the loop."""
        running: Deferred[None] = Deferred()
        running.errback(KeyError("x"))
        ending = Deferred.fromCoroutine(ended(running, self.clock))
        self.clock.advance(0)
        self.failureResultOf(ending, KeyError)


class PeekTests(SynchronousTestCase):
    """Several callers wait for one Deferred."""

    def test_each_gets_the_result(self) -> None:
        fired: Deferred[int] = Deferred()
        before = [Deferred.fromCoroutine(peek(fired)) for _ in range(3)]
        fired.callback(7)
        after = Deferred.fromCoroutine(peek(fired))
        self.assertEqual([self.successResultOf(one) for one in (*before, after)], [7] * 4)
        self.assertEqual(self.successResultOf(fired), 7)

    def test_one_that_gives_up_takes_nothing_from_the_others(self) -> None:
        fired: Deferred[int] = Deferred()
        first, second = (Deferred.fromCoroutine(peek(fired)) for _ in range(2))
        first.cancel()
        self.failureResultOf(first, CancelledError)
        fired.callback(7)
        self.assertEqual(self.successResultOf(second), 7)
