"""The time that a method of consoleauth may take, including all calls that it makes."""

import math
from typing import Final

from twisted.internet.interfaces import IReactorTime

ANSWERED: Final = 4.5
"""Seconds within which a method answers.  Its caller waits 5 s, which include sending the call and the answer."""

LAST: Final = 0.5
"""Seconds that a method reserves for the last call that it makes."""


class TimeLimit:
    """One limit for all calls that a method makes.  It begins when this object is made.

    :param clock: measures the time.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._until = clock.seconds() + ANSWERED

    def left(self, most: float = math.inf, *, reserve: float = 0.0) -> float:
        """Return the deadline of the next call in seconds.  With 0 or less, a call fails at once.

        :param most: the deadline if there is enough time.
        :param reserve: seconds to leave for later calls.
        """
        return min(most, self._until - self._clock.seconds() - reserve)
