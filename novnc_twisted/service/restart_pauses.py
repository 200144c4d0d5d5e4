"""How long the supervisor waits before it replaces a worker that has died."""

from typing import Final

LONG_LIFE: Final = 10.0
"""Seconds.  A worker that dies after a longer life is replaced without a pause."""

LONGEST_PAUSE: Final = 30.0
"""Maximum number of seconds until a worker that dies repeatedly is replaced."""


class RestartPauses:
    """Counts deaths for each worker number, so that a worker that dies repeatedly does not delay the others."""

    def __init__(self) -> None:
        self._deaths: dict[int, int] = {}

    def after_death(self, number: int, lived: float) -> float:
        """Return the seconds until a worker is replaced: 0 after the first death, then 1, 2, 4 and so on.

        The maximum is :data:`LONGEST_PAUSE`.

        :param number: the number of the worker.
        :param lived: how many seconds the worker lived.  If :data:`LONG_LIFE` or more, this death counts as the first.
        """
        deaths = self._deaths[number] = 1 if lived >= LONG_LIFE else self._deaths.get(number, 0) + 1
        # The exponent is limited, because 2.0 ** 1024 raises OverflowError.
        return min(LONGEST_PAUSE, 2.0 ** min(deaths - 2, 10)) if deaths > 1 else 0.0
