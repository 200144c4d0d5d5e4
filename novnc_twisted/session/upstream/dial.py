"""Connecting to the VNC server: TCP by name or address, or a unix socket of this host."""

import errno
import ipaddress
import socket
from contextlib import suppress
from random import uniform
from typing import Any, Final

from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IAddress, IReactorFDSet, IStreamClientEndpoint
from twisted.internet.protocol import Factory

from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.errors import ConsoleUnreachable
from novnc_twisted.messaging.waiting import Late, sleep
from novnc_twisted.relay.transports import connected
from novnc_twisted.session.settings import SessionSettings
from novnc_twisted.session.upstream.connect import connect
from novnc_twisted.session.upstream.end import UpstreamEnd
from novnc_twisted.session.upstream.loss import Dropped
from novnc_twisted.session.upstream.socket_path import pinned_socket

ANSWER: Final = (0.5, 1.0)
"""Minimum and maximum seconds for one attempt to connect.  The time is random, so that many attempts spread out."""

ATTEMPTS: Final = 5
"""Number of attempts that are limited to the time in :data:`ANSWER`.

One more attempt gets all the remaining time: the network may be slow.
"""


def place_of(info: ConnectInfo) -> str:
    """Return where the console is: ``host:port``, or the path of a socket."""
    return info.socket or f"{info.host}:{info.port}"


async def dial(reactor: Any, info: ConnectInfo, settings: SessionSettings) -> UpstreamEnd:
    """Connect to the VNC server.  The caller sets the deadline; cancelling closes everything.

    :raises ConsoleUnreachable: the connection fails, or is not allowed.
    :raises Dropped: the connection was reset at once.
    """
    end = UpstreamEnd(reactor, place_of(info))
    try:
        # A unix socket is a path on the VM's own host.  On another host, this path may lead to another VM.
        if info.socket:
            _check_host(info, settings)
            while not await _connect_unix(reactor, info.socket, settings, end):
                await sleep(uniform(0.02, 0.1), reactor)  # noqa: S311
        elif IReactorFDSet.providedBy(reactor) and (found := _numeric(info.host, info.port)) is not None:
            # Only for addresses, and reactors with file descriptors.  The endpoints below also look up names, and work
            # with the fake reactor of the tests.
            connected(reactor, await _connect_tcp(reactor, *found), end)
        else:
            await _endpoint(reactor, info.host, info.port).connect(_EndFactory(end))
    except ConsoleUnreachable:
        raise
    except Exception as error:  # the resolver, the kernel and Twisted raise many kinds of errors
        cause = ConsoleUnreachable(f"can't connect to {end.peer}: {type(error).__name__}: {error}")
        raise (Dropped(cause) if _number(error) == errno.ECONNRESET else cause) from None
    return end


async def _connect_tcp(reactor: Any, family: int, address: Any) -> socket.socket:
    """Connect, and try again if there is no answer within a random time (:data:`ANSWER`).

    The kernel alone would repeat its first packet after 1, 3 and 7 s.  If the network works again between two of these
    times, the kernel still waits for the later one.  Also, attempts that began together would be repeated together,
    and collide again.
    """
    for _ in range(ATTEMPTS):
        with suppress(Late):
            return await connect(reactor, family, address, uniform(*ANSWER))  # noqa: S311
    return await connect(reactor, family, address)


async def _connect_unix(reactor: Any, path: str, settings: SessionSettings, end: UpstreamEnd) -> bool:
    """Connect to a unix socket; return False if its accept queue is full, so that the caller tries again.

    If the queue is full, a non-blocking connect(2) to a unix socket fails at once with EAGAIN.
    """
    with pinned_socket(path, settings.socket_directories) as pinned:
        if not IReactorFDSet.providedBy(reactor):
            await UNIXClientEndpoint(reactor, pinned).connect(_EndFactory(end))
            return True
        try:
            connected(reactor, await connect(reactor, socket.AF_UNIX, pinned), end)
        except ConnectError as error:
            if _number(error) != errno.EAGAIN:
                raise
            return False
    return True


def _number(error: Exception) -> int | None:
    """Return the errno of a failed attempt to connect; None for any other error."""
    return error.osError if isinstance(error, ConnectError) else None


class _EndFactory(Factory):
    """Returns the given UpstreamEnd as the protocol of the connection."""

    noisy = False

    def __init__(self, end: UpstreamEnd) -> None:
        self._end = end

    def buildProtocol(self, addr: IAddress | None) -> UpstreamEnd:  # type: ignore[override]  # it is an IProtocol
        """See Factory: return the end."""
        return self._end


def _numeric(host: str, port: int) -> tuple[int, Any] | None:
    """Return family and socket address of an IP address (IPv6 with or without brackets), or None for a name."""
    try:
        socket.inet_pton(socket.AF_INET, host)
    except (OSError, ValueError):
        host = host.removeprefix("[").removesuffix("]")
    else:
        return socket.AF_INET, (host, port)  # most hosts are IPv4 addresses; getaddrinfo would take 3 % of a set-up
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None
    return found[0][0], found[0][4]


def _endpoint(reactor: Any, host: str, port: int) -> IStreamClientEndpoint:
    """Return an endpoint; for a name, it uses the first address that answers."""
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return HostnameEndpoint(reactor, host, port)
    kind = TCP4ClientEndpoint if address.version == 4 else TCP6ClientEndpoint
    return kind(reactor, str(address), port)


def _check_host(info: ConnectInfo, settings: SessionSettings) -> None:
    if info.compute_host != settings.host:
        raise ConsoleUnreachable(
            f"the console is a unix socket on compute host {info.compute_host!r}, and this proxy's host is "
            f"{settings.host!r}: run a proxy on that host, with the host option {info.compute_host}, or let the VM "
            "listen on TCP (<graphics type='vnc' listen=...>)"
        )
