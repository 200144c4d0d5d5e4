"""The limit of file descriptors: raised as far as it goes, and what the connections of a process may use of it."""

import resource
from collections.abc import Iterator

PER_SESSION = 2
"""The viewer's connection and the VNC server's."""

RESERVE = 100
"""The program's own, and connections that are being refused or fetch the page."""

MANY = 1000
"""Sessions that should fit where max_sessions names no number."""


API_CONNECTIONS = 1000
"""Connections of the API at a time, where there are descriptors for them."""

MOST = 100_000
"""Connections of the proxies of one process, however high the limit is: each takes some kilobytes of memory."""


def connections_of_api(limit: int, *, with_proxies: bool) -> int:
    """How many connections the API may have.

    :param limit: descriptors that the process may have.
    :param with_proxies: whether the proxies are in the same process; the API has a quarter then.
    """
    if limit == resource.RLIM_INFINITY:
        return API_CONNECTIONS
    return max(1, min(API_CONNECTIONS, (limit - RESERVE) // (4 if with_proxies else 1)))


def connections_of_proxies(limit: int, *, with_api: bool) -> int:
    """How many connections the proxies of a process may have together: each may become a session."""
    if limit == resource.RLIM_INFINITY:
        return MOST
    room = limit - RESERVE - (connections_of_api(limit, with_proxies=True) if with_api else 0)
    return max(1, min(MOST, room // PER_SESSION))


def current_limit() -> int:
    """Descriptors that this process may have."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def raise_limit() -> int:
    """Raise the soft limit to the hard one, which children inherit; the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # more than the kernel's fs.nr_open
        return soft
    return hard


def too_many_connections(limit: int, max_connections: int, *, with_api: bool) -> Iterator[str]:
    """A line where the option ``max_connections`` names more connections than there are descriptors for."""
    fits = connections_of_proxies(limit, with_api=with_api)
    if limit != resource.RLIM_INFINITY and max_connections > fits:
        yield (
            f"[console] max_connections = {max_connections} is more than RLIMIT_NOFILE allows: {limit} descriptors "
            f"are enough for {fits} connections of a process: lower it, or raise LimitNOFILE of the systemd unit"
        )


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
