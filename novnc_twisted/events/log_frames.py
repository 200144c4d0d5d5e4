"""The log of frames that browsers do not show, which stays short however many there are."""

from collections.abc import Callable
from typing import Final

from twisted.logger import Logger

from novnc_twisted.events.records import FrameBlocked

INTERVAL: Final = 60.0
"""Seconds between two lines about the same origin."""

MAX_ORIGINS: Final = 100
"""Origins with lines in one interval; further ones, which a client may invent, leave none."""

# Of the module: a Logger that is an attribute of a class takes the name of the class, whatever its namespace says.
_log: Final = Logger(namespace="novnc_twisted.novncproxy")


class FrameLog:
    """Logs blocked frames, each origin once a minute at most.

    :param clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._logged: dict[str, float] = {}

    def __call__(self, event: FrameBlocked) -> None:
        """Log a blocked frame, unless there was a line about its origin within the last minute."""
        now = self._clock()
        # In the order of their lines: the oldest are first.
        while self._logged and now - next(iter(self._logged.values())) >= INTERVAL:
            del self._logged[next(iter(self._logged))]
        if event.origin in self._logged or len(self._logged) >= MAX_ORIGINS:
            return
        self._logged[event.origin] = now
        _log.info(
            "{service}: the browser of {address} will not show the console in a frame of {origin}. To allow it: "
            "{option}",
            event="frame_blocked",
            service=event.service,
            address=event.address or "a unix socket",
            origin=event.origin,
            option=event.option,
        )
