"""The engine of the detached relay by itself: when it calls which side."""

import itertools
import os
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from novnc_twisted.errors import Refusal, ServiceUnavailable
from novnc_twisted.relay.detached.engine import SLICE, Engine


class Restless:
    """Replaces a side: each event makes it ready again, as if a peer answered at once."""

    def __init__(self, engine: Engine, rounds: int = 10**6, act: Any = None) -> None:
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK)
        self.engine, self.rounds, self.act = engine, rounds, act
        self.calls = 0
        self.ends: list[Refusal] = []
        engine.add(self)  # type: ignore[arg-type]
        self.again()

    def again(self) -> None:
        os.eventfd_write(self.descriptor, 1)

    def ready(self, events: int) -> None:
        self.calls += 1
        if self.calls < self.rounds:
            self.again()
        if self.act is not None:
            self.act(self)

    def pump(self) -> None:
        self.calls += 1

    def end_lost(self, cause: Refusal) -> None:
        self.ends.append(cause)

    def close(self) -> None:
        if self.descriptor in self.engine._sides:
            self.engine.remove(self)  # type: ignore[arg-type]
        os.close(self.descriptor)


class EngineTests(TestCase):
    def setUp(self) -> None:
        self.engine = Engine(reactor)
        self.addCleanup(self.engine._epoll.close)

    def side(self, *how: Any) -> Restless:
        made = Restless(self.engine, *how)
        self.addCleanup(made.close)
        return made

    def test_an_answer_that_is_there_needs_no_turn_of_the_reactor(self) -> None:
        side = self.side(5)
        self.engine.doRead()
        self.assertEqual(side.calls, 5)

    def test_peers_that_never_rest_leave_the_reactor_its_turn(self) -> None:
        """Each round takes a quarter of SLICE.  The first round that begins after SLICE is the last one."""
        sides = [self.side(), self.side()]
        seconds = itertools.count(100.0, SLICE / 4)
        self.engine._seconds = lambda: next(seconds)
        self.engine.doRead()
        self.assertEqual([side.calls for side in sides], [6, 6])

    async def test_who_has_more_to_read_waits_for_the_others(self) -> None:
        side = self.side(10**6, lambda side: side.engine.go_on(side))
        self.engine.doRead()
        self.assertEqual(side.calls, 1)
        self.assertEqual(list(self.engine._again), [side])
        self.engine._next_round()
        self.assertEqual((side.calls, self.engine._again), (2, {}))
        for call in reactor.getDelayedCalls():  # type: ignore[attr-defined]
            if call.func == self.engine._next_round:
                call.cancel()

    def test_a_side_that_was_removed_meanwhile_is_not_called(self) -> None:
        """Both are ready in one round; the first one removes the other."""
        sides: list[Restless] = []

        def end_other(side: Restless) -> None:
            other = sides[1 - sides.index(side)]
            if other.descriptor in self.engine._sides:
                self.engine.remove(other)  # type: ignore[arg-type]

        sides += [self.side(1, end_other), self.side(1, end_other)]
        self.engine.doRead()
        self.assertEqual(sorted(side.calls for side in sides), [0, 1])

    def test_a_mistake_of_ours_ends_one_session(self) -> None:
        def mistake(side: Restless) -> None:
            raise KeyError("ours")

        wrong, right = self.side(1, mistake), self.side(3)
        self.engine._seconds = lambda: 0.0  # logging the traceback may take longer than SLICE
        self.engine.doRead()
        self.assertEqual(right.calls, 3)
        self.assertEqual([type(cause) for cause in wrong.ends], [ServiceUnavailable])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
