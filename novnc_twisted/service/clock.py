"""The clock of the reactor in our commands."""

import time
from typing import Any


def use_monotonic_clock(reactor: Any) -> None:
    """Make ``reactor.seconds()`` monotonic; call it before anything is scheduled.

    Twisted's reactors read ``time.time``.  When the wall clock steps back (NTP after a late start, a resumed VM), every
    timer that is pending would be late by the size of the step: heartbeats, deadlines and reconnects would stand still.
    Code that needs the time of day reads ``time.time`` itself.
    """
    reactor.seconds = time.monotonic
