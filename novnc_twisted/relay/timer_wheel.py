"""One timer for all that has seconds to wait: pings, stalled peers, idle viewers, kept tokens.

Thousands of sessions would keep thousands of delayed calls in the reactor's heap, of which nearly all are cancelled.
Here they wait in sets, one for each second, and the reactor has a single call: for the next second that has anything.
"""

import math
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary, ref

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

RESOLUTION: Final = 1.0
"""Seconds: nothing is early, and nothing later than by this."""

AT_ONCE: Final = 8
"""Seconds that are fired in one reactor iteration: hundreds of timers may be due in each, and keys must not wait."""

_HAIR: Final = 0.001  # by so much a clock may be read too low when its call comes


class Timer:
    """What waits; the part of IDelayedCall that is used here."""

    __slots__ = ("_arguments", "_function", "_second", "_wheel")

    def __init__(
        self, wheel: "TimerWheel", second: int, function: Callable[..., object], arguments: tuple[Any, ...]
    ) -> None:
        self._wheel, self._second = wheel, second
        self._function: Callable[..., object] | None = function
        self._arguments = arguments

    def active(self) -> bool:
        """Whether it still waits."""
        return self._function is not None

    def cancel(self) -> None:
        """Let it be; does nothing where it is over."""
        if self._function is not None:
            self._function = None
            self._wheel.forget(self, self._second)

    def run(self) -> None:
        """It is time; does nothing where it was cancelled."""
        function, self._function = self._function, None
        if function is not None:
            function(*self._arguments)


class TimerWheel:
    """All that waits on one clock."""

    log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = ref(clock)
        self._seconds: dict[int, set[Timer]] = {}
        self._call: IDelayedCall | None = None
        self._at = 0  # the second of the call

    def __len__(self) -> int:
        return sum(map(len, self._seconds.values()))

    def callLater(self, delay: float, function: Callable[..., object], *arguments: Any) -> Timer:
        """Call a function in so many seconds, or up to one second later."""
        clock = self._clock()
        if clock is None:
            raise RuntimeError("the clock of this wheel is gone")
        now = clock.seconds()
        second = math.ceil((now + delay) / RESOLUTION - _HAIR)
        turn = Timer(self, second, function, arguments)
        self._seconds.setdefault(second, set()).add(turn)
        if self._call is None or second < self._at:
            self._set(second, clock, now)
        return turn

    def forget(self, turn: Timer, second: int) -> None:
        """It was cancelled.  (Where that leaves nothing, the reactor is left in peace.)"""
        turns = self._seconds.get(second)
        if turns is None:  # it is being run
            return
        turns.discard(turn)
        if not turns:
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
        now = clock.seconds() / RESOLUTION + _HAIR
        left = AT_ONCE
        for second in sorted(second for second in self._seconds if second <= now):
            turns = self._seconds.get(second, set())
            while turns and left:
                left -= 1
                try:
                    turns.pop().run()
                except Exception:  # the others' turns come all the same
                    self.log.failure("a timer failed because of a bug in this program")
            if not turns and self._seconds.get(second) is turns:
                del self._seconds[second]
        if self._seconds:  # of this second too, where there are many: once the reactor has been round
            self._set(min(self._seconds), clock, clock.seconds())
        else:  # one may have been set for a turn that was cancelled at once
            self._unset()


_wheels: "WeakKeyDictionary[IReactorTime, TimerWheel]" = WeakKeyDictionary()


def timer_wheel_of(clock: IReactorTime) -> TimerWheel:
    """The wheel of a reactor, or of a test's clock: always the same."""
    wheel = _wheels.get(clock)
    if wheel is None:
        wheel = _wheels[clock] = TimerWheel(clock)
    return wheel
