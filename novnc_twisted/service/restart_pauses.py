"""How long the supervisor waits before it replaces a worker that has died."""

from typing import Final

LONG_LIFE: Final = 10.0
"""Seconds.  A worker that has lived at least this long when it dies is replaced without a pause."""

LONGEST_PAUSE: Final = 30.0
"""Maximum number of seconds until a worker that dies repeatedly is replaced."""


class RestartPauses:
    """Counts deaths for each worker number, so that a worker that dies repeatedly does not delay the others."""

    def __init__(self) -> None:
        self._deaths: dict[int, int] = {}

    def after_death(self, number: int, lived: float) -> float:
        """Count a death, and return the seconds until the worker is replaced.

        The pause is 0 after the first death, then 1, 2, 4 and so on, at most :data:`LONGEST_PAUSE`.

        :param number: the number of the worker.
        :param lived: how many seconds the worker lived.  After :data:`LONG_LIFE` or more, the count begins again, and
            this death is the first one.
        """
        deaths = self._deaths[number] = 1 if lived >= LONG_LIFE else self._deaths.get(number, 0) + 1
        # The exponent is limited, because 2.0 ** 1024 raises OverflowError.
        return min(LONGEST_PAUSE, 2.0 ** min(deaths - 2, 10)) if deaths > 1 else 0.0
