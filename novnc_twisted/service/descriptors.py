"""The limit of file descriptors: raised as far as it goes, and named where that is not far enough."""

import resource
from collections.abc import Iterator

PER_SESSION = 2
"""The viewer's connection and the VNC server's."""

RESERVE = 100
"""The program's own, and connections that are being refused or fetch the page."""

MANY = 1000
"""Sessions that should fit where max_sessions names no number."""


def raise_limit() -> int:
    """Raise the soft limit to the hard one, which children inherit; the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # more than the kernel's fs.nr_open
        return soft
    return hard


def too_few(limit: int, max_sessions: int) -> Iterator[str]:
    """A line where the sessions of one process would not fit.

    :param limit: descriptors that a process may have.
    :param max_sessions: the option; 0 where it is off.
    """
    if limit == resource.RLIM_INFINITY:
        return
    room = max(0, (limit - RESERVE) // PER_SESSION)
    if room < (max_sessions or MANY):
        need = (max_sessions or MANY) * PER_SESSION + RESERVE
        wanted = f"max_sessions = {max_sessions} needs" if max_sessions else f"{MANY} sessions need"
        yield (
            f"RLIMIT_NOFILE: at most {limit} file descriptors are allowed, which is enough for {room} sessions of a "
            f"process; {wanted} {need}: raise LimitNOFILE of the systemd unit, or the hard limit (ulimit -Hn)"
        )
