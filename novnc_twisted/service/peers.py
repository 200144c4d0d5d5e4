"""Values that the workers of one command send to each other through their supervisor."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

MAX_WAITING: Final = 20_000
"""Maximum number of values that wait for a worker.  If one more is added, the oldest one is dropped."""


def _nobody(_: Any) -> None:
    """Do nothing, because there are no other workers, or because this process does not use their values."""


@dataclass(slots=True)
class Peers:
    """Sends values to the other workers of a command, and receives values from them.

    :ivar send: sends a JSON value to all other workers.
    :ivar take: called with each value that another worker has sent.
    """

    send: Callable[[Any], None] = _nobody
    take: Callable[[Any], None] = _nobody


class Outbox:
    """Sends values to one worker in batches.  The next batch follows when the worker has taken the previous one.

    :param send: sends a batch.
    """

    def __init__(self, send: Callable[[list[Any]], None]) -> None:
        self._send = send
        self._waiting: deque[Any] = deque(maxlen=MAX_WAITING)
        self._sent = False

    def add(self, value: Any) -> None:
        """Send a value, now or with the next batch."""
        self._waiting.append(value)
        if not self._sent:
            self._flush()

    def taken(self) -> None:
        """Record that the worker has taken the last batch, and send the next one if values are waiting."""
        self._sent = False
        if self._waiting:
            self._flush()

    def _flush(self) -> None:
        batch, self._sent = list(self._waiting), True
        self._waiting.clear()
        self._send(batch)
