"""The VNC server to which a token leads."""

from dataclasses import dataclass, field
from typing import Any, Final

from novnc_twisted.access.hosts import host_name, is_ip

_SOCKET: Final = "unix_socket:"
"""Precedes the path of a unix socket, as in websockify."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A VNC server.

    :ivar host: a host name or an address; empty for a unix socket.
    :ivar port: the TCP port.
    :ivar socket: the path of a unix socket; None: host and port are used.
    :ivar expires_at: Unix time in seconds when the token expires; None: not known.
    :ivar password: the VNC password; None: the source of the token gives no password.
    """

    host: str = ""
    port: int = 0
    socket: str | None = None
    expires_at: float | None = None
    password: str | None = field(default=None, repr=False)


def parse_target(text: str) -> Target:
    """Read ``host:port``, ``[IPv6 address]:port`` or ``unix_socket:/path``.

    :raises ValueError: the text has another form; the error does not quote the text.
    """
    text = text.strip()
    if text.startswith(_SOCKET):
        path = text.removeprefix(_SOCKET)  # which may contain colons
        if not path.startswith("/") or "\0" in path:
            raise ValueError("not an absolute path of a socket")
        return Target(socket=path)
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError("not of the form host:port")
    return target_of(host, port)


def target_of(host: Any, port: Any) -> Target:
    """Make a target from a host and a port of an untrusted source.

    :raises ValueError: the host or the port is invalid; the error quotes neither value.
    """
    if not isinstance(host, str) or len(host) > 255 or isinstance(port, bool) or not isinstance(port, int | str):
        raise ValueError("host or port has a wrong type, or the host is too long")
    host, digits = host.removeprefix("[").removesuffix("]"), str(port)
    if not is_ip(host):
        try:
            host_name(host)
        except ValueError:
            raise ValueError("the host is neither a name nor an address") from None
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and 0 < int(digits) < 65536):
        raise ValueError("the port is not a number from 1 to 65535")
    return Target(host=host, port=int(digits))
