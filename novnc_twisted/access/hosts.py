"""Checks IP addresses and host names from configuration files and requests."""

import ipaddress
import re
from typing import Final

_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)
_NUMERIC = re.compile(r"(?:0[xX][0-9A-Fa-f]*|[0-9]+)(?:\.(?:0[xX][0-9A-Fa-f]*|[0-9]+))*\.?")
HOST_PORT: Final = r"(?P<host>[A-Za-z0-9_.-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?"
"""A regular expression for a host with or without a port, as in a Host field or an Origin."""

_HOST = re.compile(HOST_PORT)
# A port follows "]" or a host without colons.  The last digits of an IPv6 address without brackets are not a port.
_PORT = re.compile(r"(?:^[^:]*|\]):[0-9]+$")


def is_ip(text: str) -> bool:
    """Whether a text is an IPv4 or IPv6 address, without brackets."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def host_name(text: str) -> None:
    """Check an ASCII host name or an IPv4 address; a name that looks like an IPv4 address must be one.

    An IPv6 address is refused, so callers that accept one try :func:`is_ip` first.

    :raises ValueError: the name is invalid; the error's text is one sentence.
    """
    if not text.isascii():
        raise ValueError(f"{text}: write the host name in its ASCII form (xn--...)")
    # Resolvers read 127.1 and 0x7f000001 as addresses.
    if not _NAME.fullmatch(text) or (_NUMERIC.fullmatch(text) and not is_ip(text)):
        raise ValueError(f"{text} is neither an IP address nor a host name")


def is_host(text: str) -> bool:
    """Whether a text is a name or an address, with or without a port, as in a Host field."""
    return _HOST.fullmatch(text) is not None


def is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, is a loopback address or ``localhost``."""
    name = host.rpartition(":")[0] if _PORT.search(host) else host
    name = name.strip("[]").lower().rstrip(".")
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    # Not every version of Python counts ::ffff:127.0.0.1 as a loopback address.
    return (mapped or address).is_loopback
