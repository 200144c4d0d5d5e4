"""What was logged during a test, as text."""

from twisted.logger import LogEvent, eventAsText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase


class Logged:
    """Collects what is logged until the test ends.

    :param case: the test.
    """

    def __init__(self, case: SynchronousTestCase) -> None:
        self._events: list[LogEvent] = []
        globalLogPublisher.addObserver(self._events.append)
        case.addCleanup(globalLogPublisher.removeObserver, self._events.append)

    def lines(self, part: str = "") -> list[str]:
        """The log lines that contain a text; a traceback is part of its line."""
        texts = [eventAsText(event, includeTimestamp=False, includeSystem=False) for event in self._events]
        return [text for text in texts if part in text]

    def clear(self) -> None:
        """Forget what was logged so far."""
        self._events.clear()
