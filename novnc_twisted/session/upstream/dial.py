"""Connecting to the VNC server: TCP by name or address, or a unix socket of this host."""

import ipaddress
import socket
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import IAddress, IReactorFDSet, IStreamClientEndpoint
from twisted.internet.protocol import Factory

from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.errors import ConsoleUnreachable
from novnc_twisted.relay.transports import connected
from novnc_twisted.session.settings import SessionSettings
from novnc_twisted.session.upstream.connect import connect
from novnc_twisted.session.upstream.end import UpstreamEnd
from novnc_twisted.session.upstream.socket_path import pinned_socket


def place_of(info: ConnectInfo) -> str:
    """Return where the console is, for messages: ``host:port``, or the path of a socket."""
    return info.socket or f"{info.host}:{info.port}"


async def dial(reactor: Any, info: ConnectInfo, settings: SessionSettings) -> UpstreamEnd:
    """Connect to the VNC server.  The caller has the deadline; cancelling closes everything.

    :raises ConsoleUnreachable: the connection fails, or is not allowed.
    """
    end = UpstreamEnd(reactor, place_of(info))
    try:
        # A unix socket is a path on the VM's own host, so it must not be looked up on this one.
        if info.socket:
            _check_host(info, settings)
            with pinned_socket(info.socket, settings.socket_directories) as path:
                await UNIXClientEndpoint(reactor, path).connect(_EndFactory(end))
        elif IReactorFDSet.providedBy(reactor) and (found := _numeric(info.host, info.port)) is not None:
            # Tests and other reactors have no descriptors to watch; they use endpoints.
            connected(reactor, await connect(reactor, *found), end)
        else:
            await _endpoint(reactor, info.host, info.port).connect(_EndFactory(end))
    except ConsoleUnreachable:
        raise
    except Exception as error:  # a resolver, the kernel and Twisted have many kinds of errors for it
        raise ConsoleUnreachable(f"can't connect to {end.peer}: {type(error).__name__}: {error}") from None
    return end


class _EndFactory(Factory):
    """Gives an endpoint the end that waits for its connection."""

    noisy = False

    def __init__(self, end: UpstreamEnd) -> None:
        self._end = end

    def buildProtocol(self, addr: IAddress | None) -> UpstreamEnd:  # type: ignore[override]  # it is an IProtocol
        """See Factory: return the end that waits."""
        return self._end


def _numeric(host: str, port: int) -> tuple[int, Any] | None:
    """Return family and socket address of an IP address (IPv6 with or without brackets), or None for a name."""
    try:
        socket.inet_pton(socket.AF_INET, host)
    except (OSError, ValueError):
        host = host.removeprefix("[").removesuffix("]")
    else:
        return socket.AF_INET, (host, port)  # nearly every console; getaddrinfo is 3 % of a set-up
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None
    return found[0][0], found[0][4]


def _endpoint(reactor: Any, host: str, port: int) -> IStreamClientEndpoint:
    """Return an endpoint; for a name, the first of its addresses that answers counts."""
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
            f"{settings.host!r}: run a proxy there with the same host option, or let the VM listen on TCP "
            "(<graphics type='vnc' listen=...>)"
        )
