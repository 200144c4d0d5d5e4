"""Timers for waits of seconds: pings, stalled peers, idle viewers, token leases.

Thousands of sessions would keep thousands of delayed calls in the reactor's heap, although nearly all of these calls
are cancelled before their time.  Here timers wait in sets, one set for each second.  The reactor has one delayed call,
for the earliest of these seconds.
"""

import math
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary, ref

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

RESOLUTION: Final = 1.0
"""Seconds by which a timer may be late if at most :data:`AT_ONCE` timers are due.

A timer may also be early, by at most two milliseconds: ``callLater()`` subtracts ``_TOLERANCE`` before it rounds up,
and ``_run()`` adds ``_TOLERANCE`` to the present time.
"""

AT_ONCE: Final = 8
"""Maximum number of timers fired in one reactor iteration.

Hundreds may expire in the same second, and keystrokes must not wait for all of them.
"""

# The reactor's delayed call may come slightly before the wanted second.  The delay is this second minus the present
# time, and the reactor adds the delay to the present time.  Both results are rounded floats.
_TOLERANCE: Final = 0.001  # seconds


class Timer:
    """A pending call: the part of IDelayedCall that is used here."""

    __slots__ = ("_arguments", "_function", "_second", "_wheel")

    def __init__(
        self, wheel: "TimerWheel", second: int, function: Callable[..., object], arguments: tuple[Any, ...]
    ) -> None:
        self._wheel, self._second = wheel, second
        self._function: Callable[..., object] | None = function
        self._arguments = arguments

    def active(self) -> bool:
        """Whether the call is still pending."""
        return self._function is not None

    def cancel(self) -> None:
        """Cancel the call; does nothing if the function was already called, or the call was cancelled."""
        if self._function is not None:
            self._function = None
            self._wheel.forget(self, self._second)

    def run(self) -> None:
        """Make the call; does nothing if it was cancelled."""
        function, self._function = self._function, None
        if function is not None:
            function(*self._arguments)


class TimerWheel:
    """All timers of one clock."""

    log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        # The clock is the weak key of this wheel in _wheels; a strong reference here would keep the clock for ever.
        self._clock = ref(clock)
        self._seconds: dict[int, set[Timer]] = {}
        self._call: IDelayedCall | None = None
        self._at = 0  # the key in _seconds for which _call is set

    def __len__(self) -> int:
        return sum(map(len, self._seconds.values()))

    def callLater(self, delay: float, function: Callable[..., object], *arguments: Any) -> Timer:
        """Call a function after about ``delay`` seconds (see :data:`RESOLUTION`).

        :raises RuntimeError: the clock no longer exists.
        """
        clock = self._clock()
        if clock is None:
            raise RuntimeError("the clock of this timer wheel no longer exists")
        now = clock.seconds()
        # Rounded up, since a timer must not be early, except by the tolerance.
        second = math.ceil((now + delay) / RESOLUTION - _TOLERANCE)
        timer = Timer(self, second, function, arguments)
        self._seconds.setdefault(second, set()).add(timer)
        # If the reactor's call is set for an earlier second, leave it: _run() then sets the next one.
        if self._call is None or second < self._at:
            self._set(second, clock, now)
        return timer

    def forget(self, timer: Timer, second: int) -> None:
        """Remove a cancelled timer, and the reactor's call if there is no other timer."""
        timers = self._seconds[second]
        timers.remove(timer)
        if not timers:
            del self._seconds[second]
            if not self._seconds:
                self._unset()

    def _unset(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _set(self, second: int, clock: IReactorTime, now: float) -> None:
        self._unset()
        self._at = second
        self._call = clock.callLater(max(0.0, second * RESOLUTION - now), self._run)

    def _run(self) -> None:
        self._call = None
        clock = self._clock()
        if clock is None:
            return
        now = clock.seconds() / RESOLUTION + _TOLERANCE
        left = AT_ONCE
        # The oldest first, so that a backlog is processed in order.
        for second in sorted(second for second in self._seconds if second <= now):
            # A timer of an earlier second may have cancelled all timers of this second, and so removed the set.
            timers = self._seconds.get(second, set())
            while timers and left:
                left -= 1
                try:
                    timers.pop().run()
                except Exception:  # the other timers still have to run
                    self.log.failure("a timer failed because of a bug in this program")
            # A timer that ran may have cancelled all others of this second, and so removed ``timers`` from _seconds.
            # If callLater() was then called for this second, _seconds has a new set, which must not be deleted.
            if not timers and self._seconds.get(second) is timers:
                del self._seconds[second]
        if self._seconds:  # timers of this second may be left, for the next iteration of the reactor
            self._set(min(self._seconds), clock, clock.seconds())
        else:
            # A timer that ran may have made and cancelled a new timer.  forget() then did not cancel the reactor's
            # call, because _seconds still had the empty set of the timer that ran.
            self._unset()


_wheels: "WeakKeyDictionary[IReactorTime, TimerWheel]" = WeakKeyDictionary()


def timer_wheel_of(clock: IReactorTime) -> TimerWheel:
    """Return the timer wheel of a reactor or a test's clock; each has only one."""
    wheel = _wheels.get(clock)
    if wheel is None:
        wheel = _wheels[clock] = TimerWheel(clock)
    return wheel
