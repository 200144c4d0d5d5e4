"""The timer wheel: timers are never early and at most a second late, and the reactor has at most one call."""

import gc
from weakref import ref

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.relay.timer_wheel import AT_ONCE, TimerWheel, timer_wheel_of


class Turning(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.wheel = TimerWheel(self.clock)
        self.called: list[object] = []

    @given(delays=st.lists(st.floats(0, 50), max_size=20), start=st.floats(0, 1e9), steps=st.floats(0.05, 7))
    @settings(max_examples=100, deadline=None)
    def test_never_early_and_at_most_a_second_late(self, delays: list[float], start: float, steps: float) -> None:
        clock = Clock()
        clock.advance(start)
        wheel = TimerWheel(clock)
        waiting = {at: start + delay for at, delay in enumerate(delays)}
        for at, delay in enumerate(delays):
            wheel.callLater(delay, waiting.pop, at)
        while waiting:
            self.assertEqual((len(wheel), len(clock.getDelayedCalls())), (len(waiting), 1))
            before = set(waiting.items())
            clock.advance(steps)
            for _, due in before - set(waiting.items()):
                self.assertGreaterEqual(clock.seconds(), due - 0.002)
            for due in waiting.values():
                self.assertLess(clock.seconds(), due + 1.002)
        self.assertEqual((len(wheel), clock.getDelayedCalls()), (0, []))

    def test_one_call_for_all(self) -> None:
        timers = [self.wheel.callLater(delay, self.called.append, delay) for delay in (30, 20, 40)]
        (call,) = self.clock.getDelayedCalls()
        self.assertEqual(call.getTime(), 20)
        timers.insert(1, self.wheel.callLater(20, self.called.append, 20))
        self.assertIs(self.clock.getDelayedCalls()[0], call, "another timer of this second needs no new call")
        self.clock.advance(20)
        self.assertEqual(self.called, [20, 20])
        self.assertEqual([timer.active() for timer in timers], [True, False, False, True])
        self.assertEqual([call.getTime() for call in self.clock.getDelayedCalls()], [30])

    def test_the_last_that_is_cancelled_leaves_no_call(self) -> None:
        timers = [self.wheel.callLater(5, self.called.append, None), self.wheel.callLater(9, self.called.append, None)]
        for timer in (*timers, *timers):
            timer.cancel()
            self.assertFalse(timer.active())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(10)
        self.assertEqual(self.called, [])

    def test_one_cancels_another_of_its_second_and_begins_again(self) -> None:
        def first() -> None:
            self.called.append("ran")
            for timer in timers:
                timer.cancel()
            self.wheel.callLater(1, self.called.append, "next")

        timers = [self.wheel.callLater(1, first) for _ in range(3)]
        self.clock.advance(1)
        self.assertEqual(self.called, ["ran"])
        self.clock.advance(1)
        self.assertEqual(self.called, ["ran", "next"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_reactor_runs_between_many(self) -> None:
        count = 3 * AT_ONCE + 1
        timers = [self.wheel.callLater(1, self.called.append, number) for number in range(count)]
        rounds = []
        self.clock.rightNow = 1.0  # Clock.advance would run all rounds in one
        while self.clock.calls:
            call = self.clock.calls.pop(0)
            self.assertLessEqual(call.getTime(), 1.0)
            before = len(self.called)
            call.func(*call.args)
            rounds.append(len(self.called) - before)
            if len(rounds) == 1:
                waits = next(timer for timer in timers if timer.active())
                waits.cancel()
        self.assertEqual(rounds, [AT_ONCE] * 3)
        self.assertEqual(len(set(self.called)), count - 1)
        self.assertEqual(len(self.wheel), 0)

    def test_an_exception_stops_no_other_timer(self) -> None:
        self.wheel.callLater(1, lambda: 1 / 0)
        self.wheel.callLater(1, self.called.append, "same second")
        self.wheel.callLater(2, self.called.append, "next")
        self.clock.pump([1, 1])
        self.assertEqual(self.called, ["same second", "next"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_clock_has_one_wheel_and_is_not_kept_by_it(self) -> None:
        clock = Clock()
        self.assertIs(timer_wheel_of(clock), timer_wheel_of(clock))
        gone = ref(clock)
        del clock
        gc.collect()
        self.assertIsNone(gone())
