"""Raises the limit of file descriptors as far as possible, and divides it among the connections of a process."""

import resource
from collections.abc import Iterator

PER_SESSION = 2
"""File descriptors of a session: the viewer's connection and the VNC server's."""

RESERVE = 100
"""File descriptors for everything else: files, the bus, the monitoring port, connections that are being refused."""

MANY = 1000
"""If ``max_sessions`` is off and fewer sessions than this are possible, the operator gets a warning."""

API_CONNECTIONS = 1000
"""Maximum number of connections of the API, if there are descriptors for them."""

MOST = 100_000
"""Maximum number of connections of the proxies of one process if ``max_connections`` is 0.

Each connection takes some kilobytes of memory.
"""


def connections_of_api(limit: int, *, with_proxies: bool) -> int:
    """Return the maximum number of connections of the API.

    :param limit: the limit of descriptors of the process.
    :param with_proxies: whether the proxies are in the same process.  The API then gets at most a quarter of the
        descriptors.
    """
    if limit == resource.RLIM_INFINITY:
        return API_CONNECTIONS
    # At least one, so that a service with very few descriptors still answers.
    return max(1, min(API_CONNECTIONS, (limit - RESERVE) // (4 if with_proxies else 1)))


def connections_of_proxies(limit: int, *, with_api: bool) -> int:
    """Return the maximum number of connections of all proxies in a process.  Each connection may become a session."""
    if limit == resource.RLIM_INFINITY:
        return MOST
    return min(MOST, _room(limit, with_api=with_api))


def _room(limit: int, *, with_api: bool) -> int:
    """Return the number of connections of the proxies for which there are enough descriptors."""
    room = limit - RESERVE - (connections_of_api(limit, with_proxies=True) if with_api else 0)
    return max(1, room // PER_SESSION)


def current_limit() -> int:
    """Return the limit of descriptors of this process."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def raise_limit() -> int:
    """Raise the soft limit to the hard limit, also for child processes; return the soft limit after that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # the hard limit exceeds the kernel's fs.nr_open
        return soft
    return hard


def too_many_connections(limit: int, max_connections: int, *, with_api: bool) -> Iterator[str]:
    """Yield a warning if there are not enough descriptors for ``max_connections``."""
    fits = _room(limit, with_api=with_api)
    if limit != resource.RLIM_INFINITY and max_connections > fits:
        yield (
            f"[console] max_connections = {max_connections} is more than RLIMIT_NOFILE allows: {limit} descriptors "
            f"are enough for {fits} connections of a process; lower max_connections, or raise LimitNOFILE of the "
            "systemd unit"
        )


def too_few(limit: int, max_sessions: int, *, with_api: bool) -> Iterator[str]:
    """Yield a warning if there are not enough descriptors for the sessions of one process.

    :param limit: the limit of descriptors of the process.
    :param max_sessions: the option; 0 is off.
    :param with_api: whether the API, which also needs descriptors, is in the same process.
    """
    if limit == resource.RLIM_INFINITY:
        return
    room = connections_of_proxies(limit, with_api=with_api)
    if room < min(max_sessions or MANY, MOST):
        need = (max_sessions or MANY) * PER_SESSION
        # Of the descriptors besides RESERVE, the API gets a quarter and the sessions three quarters, so the API gets a
        # third of what the sessions get.
        need += RESERVE + (min(API_CONNECTIONS, (need - 1) // 3) if with_api else 0)
        wanted = f"max_sessions = {max_sessions} needs" if max_sessions else f"{MANY} sessions need"
        yield (
            f"RLIMIT_NOFILE: at most {limit} file descriptors are allowed, which is enough for {room} sessions of a "
            f"process; {wanted} {need}: raise LimitNOFILE of the systemd unit, or the hard limit (ulimit -Hn)"
        )
