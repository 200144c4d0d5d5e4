"""A reactor whose deadlines end when a test says so: how long its steps take is chance on a busy machine."""

from typing import Any

from twisted.internet import reactor
from twisted.internet.task import Clock

SHORT = 1.0
"""Seconds.  Timers that are shorter are the reactor's own."""


class HeldTime:
    """The reactor, for whose timers of a second and more only :meth:`spend` lets time pass."""

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
