"""Notifies systemd of the service's state (sd_notify(3)).  Without systemd, nothing is sent."""

import math
import os
import socket

STOP_EXTENSION = 15.0
"""Seconds that systemd gives a service to end after ``drain_timeout``.  The units contain it as ``TimeoutStopSec``."""


def watchdog_interval() -> float | None:
    """Return the seconds within which systemd expects WATCHDOG=1 (sd_watchdog_enabled(3)); None: no watchdog."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or not int(microseconds):
        return None
    # systemd may watch another process, such as the parent.  Then the variables are not for this process.
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(microseconds) / 1e6


def stopping(drain: float) -> str:
    """Return the state to send when a service begins to end; sessions go on for at most ``drain`` seconds."""
    # Without EXTEND_TIMEOUT_USEC, systemd would kill the service after TimeoutStopSec.  ``drain`` is infinite only in
    # the old process of a take-over, which no longer sends anything to systemd.
    extend = f"\nEXTEND_TIMEOUT_USEC={math.ceil((drain + STOP_EXTENSION) * 1e6)}" if 0 < drain < math.inf else ""
    return f"STOPPING=1{extend}"


def notify(state: str) -> None:
    """Send a state, such as ``READY=1``, to NOTIFY_SOCKET; errors are ignored."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    # Non-blocking, because a full queue of systemd must not block the reactor.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as to:
        try:
            to.sendto(state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
        except OSError:
            return
