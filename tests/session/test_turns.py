"""One new connection at a time to each VNC server."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.session.upstream.turns import Turn, Turns

PLACE = "192.0.2.1:5900"


class TurnTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.turns = Clock(), Turns()

    def take(self, place: str = PLACE) -> Turn:
        return self.turns.take(self.clock, place)

    def begins(self, turn: Turn) -> Deferred[None]:
        assert turn.begins is not None
        return turn.begins

    def test_one_after_the_other(self) -> None:
        first, second, third = self.take(), self.take(), self.take()
        self.assertIsNone(first.begins)
        first.give_back()
        self.clock.advance(0)
        self.successResultOf(self.begins(second))
        self.assertNoResult(self.begins(third))
        second.give_back()
        second.give_back()
        self.clock.advance(0)
        self.successResultOf(self.begins(third))
        third.give_back()
        self.assertEqual((len(self.turns), self.clock.getDelayedCalls()), (0, []))

    def test_places_do_not_wait_for_each_other(self) -> None:
        self.take()
        self.assertIsNone(self.take("192.0.2.2:5900").begins)

    def test_a_wait_that_was_cancelled(self) -> None:
        """The session ended while it waited, or at the moment when its turn began."""
        first, second, third, last = self.take(), self.take(), self.take(), self.take()
        for turn in (second, third):
            self.begins(turn).addErrback(lambda _: None)
        self.begins(second).cancel()
        second.give_back()
        first.give_back()
        self.begins(third).cancel()
        self.clock.advance(0)
        third.give_back()
        self.clock.advance(0)
        self.successResultOf(self.begins(last))

    def test_hundreds_that_end_at_once(self) -> None:
        """As when the server stops listening: the turns do not call each other recursively."""
        first, *others = (self.take() for _ in range(2000))
        for turn in others:
            self.begins(turn).addCallback(lambda _, turn=turn: turn.give_back())
        first.give_back()
        for _ in others:
            self.clock.advance(0)
        self.assertEqual(len(self.turns), 0)
