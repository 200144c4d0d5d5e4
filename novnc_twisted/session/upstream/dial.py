"""To the VNC server: TCP by name or address, or a unix socket of this host."""

import ipaddress
import socket
from typing import Any, Final

from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import IReactorFDSet, IStreamClientEndpoint
from twisted.internet.protocol import Factory

from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.errors import ConsoleClosed, ConsoleUnreachable
from novnc_twisted.relay.stream_end import StreamEnd
from novnc_twisted.relay.transports import connected
from novnc_twisted.relay.upstream_protocol import EndProtocol
from novnc_twisted.session.settings import SessionSettings
from novnc_twisted.session.upstream.connect import connect
from novnc_twisted.session.upstream.socket_path import pinned_socket

STALL: Final = 60.0
"""Seconds for which a VNC server may leave our buffer full: it hangs, and its viewer's leaving would go unnoticed."""


async def dial(reactor: Any, info: ConnectInfo, settings: SessionSettings) -> StreamEnd:
    """Connect to where the console is.  The caller has the deadline; cancelling gives everything back.

    :raises ConsoleUnreachable: where that can't be done, or may not.
    """
    peer = info.socket if info.socket else f"{info.host}:{info.port}"
    protocol = EndProtocol(reactor, peer, lost=ConsoleClosed, stall=STALL)
    factory = Factory.forProtocol(lambda: protocol)
    factory.noisy = False
    try:
        if info.socket:
            _check_host(info, settings)
            with pinned_socket(info.socket, settings.socket_directories) as path:
                await UNIXClientEndpoint(reactor, path).connect(factory)
        elif IReactorFDSet.providedBy(reactor) and (found := _numeric(info.host, info.port)) is not None:
            connected(reactor, await connect(reactor, *found), protocol)
        else:
            await _endpoint(reactor, info.host, info.port).connect(factory)
    except ConsoleUnreachable:
        raise
    except Exception as error:  # whatever a resolver, the kernel or Twisted makes of it: it can't be reached
        raise ConsoleUnreachable(f"can't connect to {peer}: {type(error).__name__}: {error}") from None
    return protocol.end


def _numeric(host: str, port: int) -> tuple[int, Any] | None:
    """Family and socket address of an IP address (IPv6 with or without brackets), which needs no search."""
    host = host.removeprefix("[").removesuffix("]")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None
    return found[0][0], found[0][4]


def _endpoint(reactor: Any, host: str, port: int) -> IStreamClientEndpoint:
    """By name: whichever of its addresses answers first; an address (IPv6 with or without brackets) needs no search."""
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
