"""A reactor whose deadlines pass only when a test lets them, however long its steps take on a busy machine."""

from typing import Any

from twisted.internet import reactor
from twisted.internet.task import Clock

SHORT = 1.0
"""Seconds.  Shorter timers run in real time."""


class HeldTime:
    """The reactor, except that its timers of a second and more run only by :meth:`spend`."""

    def __init__(self) -> None:
        self._clock = Clock()

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)

    def seconds(self) -> float:
        """See IReactorTime."""
        return float(self._clock.seconds())

    def callLater(self, delay: float, function: Any, *arguments: Any, **more: Any) -> Any:
        """See IReactorTime."""
        timers: Any = reactor if delay < SHORT else self._clock
        return timers.callLater(delay, function, *arguments, **more)

    def spend(self, seconds: float) -> None:
        """Let this time pass."""
        self._clock.advance(seconds)
