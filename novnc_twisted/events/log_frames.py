"""Logs blocked frames (HTML, see :class:`.FrameBlocked`), with a limited number of lines."""

from collections.abc import Callable
from typing import Final

from twisted.logger import Logger

from novnc_twisted.events.refused import FrameBlocked

INTERVAL: Final = 60.0
"""Minimum number of seconds between two lines about the same origin (the site that has the frame)."""

MAX_ORIGINS: Final = 100
"""Maximum number of origins that are logged in one interval, so that clients cannot fill the log with invented ones."""

# Not a class attribute: there, Logger ignores ``namespace`` and uses the name of the class.
_log: Final = Logger(namespace="novnc_twisted.novncproxy")


class FrameLog:
    """Logs blocked frames, at most once a minute for each origin.

    :param clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._logged: dict[str, float] = {}

    def __call__(self, event: FrameBlocked) -> None:
        """Log a blocked frame.

        Do nothing if its origin, or :data:`MAX_ORIGINS` other origins, were logged within the last minute.
        """
        now = self._clock()
        # The dictionary has the origins in the order in which they were logged, the oldest first.
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
