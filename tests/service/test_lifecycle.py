"""A service ends in time and in order, also when a peer does not answer."""

import math
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.service.console_service import ConsoleService
from novnc_twisted.service.context import Gate
from novnc_twisted.service.notify import stopping
from novnc_twisted.service.shutdown import SECONDS, Phase, Shutdown, Step
from tests.support.logged import Logged


class ShutdownCase(SynchronousTestCase):
    """Steps of a shutdown that end when the test says so."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.logged = Logged(self)
        self.taken: list[Phase] = []
        self.cancelled: list[Phase] = []
        self.waiting: dict[Phase, Deferred[None]] = {}

    def shutdown(self, **more: Any) -> Shutdown:
        return Shutdown(self.clock, **more)

    def hang(self, phase: Phase) -> Step:
        """A step that waits for a peer that does not answer."""

        def step() -> Deferred[None]:
            self.taken.append(phase)
            self.waiting[phase] = Deferred(lambda _: self.cancelled.append(phase))
            return self.waiting[phase]

        return step

    def quick(self, phase: Phase) -> Step:
        async def step() -> None:
            self.taken.append(phase)

        return step

    def hanging(self, **more: Any) -> Shutdown:
        """A shutdown with a step in each phase; every step hangs."""
        shutdown = self.shutdown(**more)
        for phase in Phase:
            shutdown.add(phase, self.hang(phase))
        return shutdown

    def run_it(self, shutdown: Shutdown) -> Deferred[None]:
        return Deferred.fromCoroutine(shutdown.run())


class PhaseTests(ShutdownCase):
    def test_order(self) -> None:
        """Each phase begins when the one before is done; the order of adding does not matter."""
        shutdown = self.shutdown()
        phases = [phase for phase in Phase if phase is not Phase.WAIT_FOR_SESSIONS]
        for phase in reversed(phases):
            shutdown.add(phase, self.hang(phase))
        over = self.run_it(shutdown)
        for number, phase in enumerate(phases, 1):
            self.assertEqual(self.taken, phases[:number])
            self.waiting[phase].callback(None)
        self.successResultOf(over)
        self.assertEqual((self.clock.getDelayedCalls(), self.logged.lines()), ([], []))

    def test_steps_of_a_phase_run_side_by_side(self) -> None:
        shutdown = self.shutdown()
        shutdown.add(Phase.END_SESSIONS, self.hang(Phase.END_SESSIONS), self.quick(Phase.END_SESSIONS))
        self.run_it(shutdown)
        self.assertEqual(len(self.taken), 2)

    def test_everything_hangs(self) -> None:
        """All phases begin, sessions have 3 s of their own, and the shutdown takes 4 of the permitted 5 s."""
        over = self.run_it(self.hanging())
        began = {}
        for _ in range(4010):
            self.clock.advance(0.001)
            for phase in self.taken:
                began.setdefault(phase, self.clock.seconds())
            if over.called:
                break
        self.successResultOf(over)
        self.assertLess(self.clock.seconds(), 4.01)
        self.assertEqual(self.taken, [phase for phase in Phase if phase is not Phase.WAIT_FOR_SESSIONS])
        self.assertGreater(began[Phase.STOP_SERVICES] - began[Phase.END_SESSIONS], 3)
        self.assertEqual(self.cancelled, self.taken)
        self.assertEqual(len(self.logged.lines("did not stop in time")), 5)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_step_that_waits_for_several_peers(self) -> None:
        """It is cancelled like any other, and this is not logged as a bug."""
        shutdown = self.shutdown()
        inner = gatherResults([Deferred(), Deferred()], consumeErrors=True)
        shutdown.add(Phase.STOP_SERVICES, lambda: gatherResults([Deferred(), inner], consumeErrors=True))
        over = self.run_it(shutdown)
        self.clock.advance(10)
        self.successResultOf(over)
        self.assertEqual(len(self.logged.lines("did not stop in time")), 1)
        self.assertEqual(self.logged.lines("Traceback"), [])

    def test_a_late_step_goes_on(self) -> None:
        """The next phase does not wait for it, and it may still finish."""
        shutdown = self.shutdown()
        shutdown.add(Phase.LEAVE_PRESENCE, self.hang(Phase.LEAVE_PRESENCE))
        shutdown.add(Phase.END_SESSIONS, self.hang(Phase.END_SESSIONS))
        over = self.run_it(shutdown)
        self.assertEqual(self.taken, [Phase.LEAVE_PRESENCE])
        self.clock.advance(SECONDS[Phase.STOP_ACCEPTING] + SECONDS[Phase.LEAVE_PRESENCE])
        self.assertEqual(self.taken, [Phase.LEAVE_PRESENCE, Phase.END_SESSIONS])
        self.waiting[Phase.LEAVE_PRESENCE].callback(None)
        self.waiting[Phase.END_SESSIONS].callback(None)
        self.successResultOf(over)
        self.assertEqual((self.cancelled, self.logged.lines()), ([], []))

    def test_unused_time_is_left_to_later_phases(self) -> None:
        """A process without sessions has nearly all of the time for its services."""
        shutdown = self.shutdown()
        shutdown.add(Phase.STOP_SERVICES, self.hang(Phase.STOP_SERVICES))
        over = self.run_it(shutdown)
        self.clock.advance(3.5)
        self.assertNoResult(over)
        self.clock.advance(0.101)
        self.successResultOf(over)

    def test_a_failing_step(self) -> None:
        shutdown = self.shutdown()

        def fail() -> None:
            raise ZeroDivisionError

        shutdown.add(Phase.STOP_ACCEPTING, fail, self.quick(Phase.STOP_ACCEPTING))
        shutdown.add(Phase.DISCONNECT, self.quick(Phase.DISCONNECT))
        self.successResultOf(self.run_it(shutdown))
        self.assertEqual(self.taken, [Phase.STOP_ACCEPTING, Phase.DISCONNECT])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_draining(self) -> None:
        """If all sessions end, the drain ends early; the other phases keep their time."""
        shutdown = self.hanging(drain=60)
        self.run_it(shutdown)
        self.clock.pump([0.1, 0.2])
        self.assertEqual(self.taken[-1], Phase.WAIT_FOR_SESSIONS)
        self.clock.advance(20)
        self.assertEqual(self.taken[-1], Phase.WAIT_FOR_SESSIONS)
        self.waiting[Phase.WAIT_FOR_SESSIONS].callback(None)
        self.assertEqual(self.taken[-1], Phase.END_SESSIONS)
        self.clock.advance(SECONDS[Phase.END_SESSIONS] - 0.01)
        self.assertEqual(self.taken[-1], Phase.END_SESSIONS)
        self.clock.advance(0.02)
        self.assertEqual(self.taken[-1], Phase.STOP_SERVICES)

    def test_the_end_of_draining(self) -> None:
        self.run_it(self.hanging(drain=60))
        self.clock.pump([0.1, 0.2, 59.9])
        self.assertEqual(self.taken[-1], Phase.WAIT_FOR_SESSIONS)
        self.clock.advance(0.2)
        self.assertEqual(self.taken[-1], Phase.END_SESSIONS)

    def test_a_late_end_of_draining(self) -> None:
        """On a busy machine, the timer of the drain is late: the other phases have less time."""
        over = self.run_it(self.hanging(drain=60))
        self.clock.pump([0.1, 0.2, 62])
        self.assertEqual(self.taken[-1], Phase.END_SESSIONS)
        self.clock.pump([1.5, 0.2, 0.41])
        self.successResultOf(over)

    def test_the_drain_is_cut_short(self) -> None:
        """A second SIGTERM ends it now; the other phases keep their time."""
        shutdown = self.hanging(drain=60)
        self.run_it(shutdown)
        self.clock.pump([0.1, 0.2, 20])
        shutdown.wait_at_most(0)
        self.clock.advance(0)
        self.assertEqual(self.taken[-1], Phase.END_SESSIONS)
        self.clock.advance(SECONDS[Phase.END_SESSIONS] + 0.01)
        self.assertEqual(self.taken[-1], Phase.STOP_SERVICES)

    def test_a_drain_without_limit(self) -> None:
        """It has no timer, and can get a limit later."""
        shutdown = self.hanging(drain=math.inf)
        self.run_it(shutdown)
        self.clock.pump([0.1, 0.2, 10**8])
        self.assertEqual((self.taken[-1], self.clock.getDelayedCalls()), (Phase.WAIT_FOR_SESSIONS, []))
        shutdown.wait_at_most(30)
        self.clock.advance(29.9)
        self.assertEqual(self.taken[-1], Phase.WAIT_FOR_SESSIONS)
        self.clock.advance(0.2)
        self.assertEqual(self.taken[-1], Phase.END_SESSIONS)

    def test_a_drain_of_nothing(self) -> None:
        """Without sessions it takes no time."""
        shutdown = self.shutdown(drain=60)
        shutdown.add(Phase.WAIT_FOR_SESSIONS, self.quick(Phase.WAIT_FOR_SESSIONS))
        self.successResultOf(self.run_it(shutdown))
        self.assertEqual((self.taken, self.clock.getDelayedCalls()), ([Phase.WAIT_FOR_SESSIONS], []))


class NotifyTests(SynchronousTestCase):
    """The state that systemd gets."""

    def test_stopping(self) -> None:
        """systemd waits as long as the drain lasts, and 15 s more."""
        self.assertEqual(stopping(0), "STOPPING=1")
        self.assertEqual(stopping(60.5), "STOPPING=1\nEXTEND_TIMEOUT_USEC=75500000")


class Stopping(Clock):
    """A reactor that counts how often it is stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.stopped = 0

    def stop(self) -> None:
        self.stopped += 1

    def callFromThread(self, function: Any, *arguments: Any) -> None:
        function(*arguments)


class ConsoleTests(ShutdownCase):
    """The service of a command."""

    def console(self, shutdown: Shutdown) -> ConsoleService:
        self.reactor = Stopping()
        context: Any = SimpleNamespace(
            reactor=self.reactor, shutdown=shutdown, limits=[None] * 2, gate=Gate(), monitor=None, trail=None
        )
        return ConsoleService("console", context, [], [])

    def test_the_second_signal(self) -> None:
        """The first one stops the reactor, and the second one ends the drain."""
        shutdown = self.shutdown(drain=60)
        console = self.console(shutdown)
        console._signalled()
        self.assertEqual((self.reactor.stopped, shutdown.drain), (1, 60))
        console.stopService()
        self.assertEqual(len(self.logged.lines("live sessions: 2; they may go on for 60 s")), 1)
        console._signalled()
        self.assertEqual(shutdown.drain, 0)

    def test_a_worker_gets_each_signal_twice(self) -> None:
        """From systemd and from its supervisor, so the second one does not end the drain."""
        shutdown = self.shutdown(drain=60)
        console = self.console(shutdown)
        console.second_signal_ends_sessions = False
        console._signalled()
        console._signalled()
        self.assertEqual(shutdown.drain, 60)

    def test_ends_with_its_phases(self) -> None:
        shutdown = self.shutdown()
        shutdown.add(Phase.DISCONNECT, self.hang(Phase.DISCONNECT))
        stopped = self.console(shutdown).stopService()
        self.assertNoResult(stopped)
        self.waiting[Phase.DISCONNECT].callback(None)
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])
