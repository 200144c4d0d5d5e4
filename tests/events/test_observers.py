"""Several observers of the same events; one that fails does not affect the others."""

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.events import Event, Observers, TokenUsed


class ObserversTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.received: list[Event] = []

    def fail(self, event: Event) -> None:  # type: ignore[override]
        raise ZeroDivisionError

    def test_without_observers(self) -> None:
        Observers()(TokenUsed())

    def test_order(self) -> None:
        """Observers receive an event in the order of adding; one that is added later receives later events."""
        order: list[str] = []
        observers = Observers(lambda event: order.append("first"), self.received.append)
        first, second = TokenUsed(address="a"), TokenUsed(address="b")
        observers(first)
        observers.add(lambda event: order.append("third"))
        observers(second)
        self.assertEqual(order, ["first", "first", "third"])
        self.assertIs(self.received[0], first)
        self.assertIs(self.received[1], second)

    def test_a_failing_observer(self) -> None:
        """Its error is logged once, and the others receive every event."""
        observers = Observers(self.fail, self.received.append)
        for _ in range(3):
            observers(TokenUsed())
        self.assertEqual(len(self.received), 3)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        observers.add(lambda event: [].index(event))
        observers(TokenUsed())
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1, "another observer is logged for itself")
        self.assertEqual(self.flushLoggedErrors(ZeroDivisionError), [])
