"""Makes the clock of the reactor monotonic."""

import time
from typing import Any


def use_monotonic_clock(reactor: Any) -> None:
    """Make ``reactor.seconds()`` monotonic.  Call this function before anything is scheduled.

    Twisted's reactors read ``time.time``.  The wall clock may step back, for example by NTP, or in a resumed VM.  All
    pending timers would then be late by the size of the step, among them heartbeats, deadlines and reconnects.

    Code that needs the time of day calls ``time.time`` itself.
    """
    reactor.seconds = time.monotonic
