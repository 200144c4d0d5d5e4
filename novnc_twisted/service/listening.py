"""Listening sockets, opened before the log begins, so that a port in use is one line and an exit code."""

import ipaddress
import socket

from twisted.internet.interfaces import IListeningPort, IReactorSocket
from twisted.internet.protocol import ServerFactory

from novnc_twisted.service.flagfile import Unusable


def open_socket(host: str, port: int, option: str) -> socket.socket:
    """A socket that listens on a host name or address.

    :param option: the name of the option, for the line that people see.
    :raises Unusable: where the address can't be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise Unusable(f"{option}: {host}: {error.strerror}") from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "::" means both families, as in today's proxies; an address of its own can't.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise Unusable(f"{option}: can't listen on {host} port {port}: {error.strerror}") from None
    listener.setblocking(False)
    return listener


def adopt(reactor: IReactorSocket, listener: socket.socket, factory: ServerFactory) -> IListeningPort:
    """Let the reactor accept on it."""
    port = reactor.adoptStreamPort(listener.fileno(), listener.family, factory)
    listener.close()
    return port


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
