"""Admission of requests that call other services: refuses a request at once if it cannot be answered in time.

A request that waits behind too many others is answered after its client has given up, and still delays the requests
behind it.  So the number of requests in work has a limit, which follows the measured rate of answers.  With N requests
in work and R answers a second, a new request is answered after about N / R seconds (Little's law).

This module has nothing to do with the admissions of consoleauth, which are permissions for uses of tokens.
"""

from math import ceil
from typing import Final

from twisted.internet.interfaces import IReactorTime

DEADLINE: Final = 3.0
"""Seconds within which an admitted request should be answered.

A call on the bus usually times out after 5 s.  The difference is a reserve, because the rate is an estimate.
"""

ALWAYS_ADMITTED: Final = 64
"""With fewer requests than this in work, a new one is always admitted.  So there are enough requests to keep all
services busy while the rate is measured."""

ASSUMED_RATE: Final = 30.0
"""Answers a second that are assumed until the rate has been measured."""

MAX_WAIT: Final = 30
"""Maximum Retry-After, in seconds."""

_BUSY: Final = 8
"""Minimum number of requests in work for a measurement of the rate.  With fewer requests, the rate would show how many
requests arrive, not how fast the services are."""

_PERIOD: Final = 0.5
"""Minimum busy time, in seconds, for one sample of the rate.  The busy time is the time with at least :data:`_BUSY`
requests in work."""

_WEIGHT: Final = 0.25
"""Weight of one sample in the average.  With this weight, the average follows a change within some seconds."""


class Admission:
    """Counts the requests in work and measures how fast they are answered.

    :param clock: gives the time.
    :ivar in_work: number of requests that were admitted and have not been answered or given up yet.
    :ivar rate: answers a second while the services were busy: an average in which newer samples have more weight.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self.in_work = 0
        self.rate = ASSUMED_RATE
        self._counted_at = 0.0
        self._busy_time = 0.0
        self._answered = 0

    def admit(self) -> int:
        """Admit a request, or refuse it because too many are in work.

        For each admitted request, :meth:`leave` must be called once, when it is answered or given up.

        :return: 0: the request is admitted; otherwise, the seconds after which the client may try again.
        """
        # Measured before the count changes, because the time until now belongs to the old count.
        self._measure()
        if self.in_work >= max(ALWAYS_ADMITTED, DEADLINE * self.rate):
            return min(MAX_WAIT, ceil(self.in_work / max(self.rate, 1.0)))
        self.in_work += 1
        return 0

    def leave(self, *, answered: bool) -> None:
        """End the work for a request.

        :param answered: False if a service did not answer in time, if the client left before the answer, or if the
            request failed with an unexpected error.
        """
        self._measure()
        if self.in_work >= _BUSY:
            # Unanswered requests are left out, because their end does not show how fast the services are.
            self._answered += answered
        self.in_work -= 1

    def _measure(self) -> None:
        """Add the time since the last call of this method to the busy time, if the services were busy.

        When the busy time is long enough for a sample, add a sample to the rate.
        """
        now = self._clock.seconds()
        if self.in_work >= _BUSY:
            self._busy_time += now - self._counted_at
        self._counted_at = now
        if self._busy_time >= _PERIOD:
            # A busy time of several periods is still one sample: the whole process may have paused in this time.
            # Counted as several samples, the pause would lower the rate too much.
            self.rate += _WEIGHT * (self._answered / self._busy_time - self.rate)
            self._busy_time, self._answered = 0.0, 0
