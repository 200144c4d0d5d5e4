"""Client address, scheme and path prefix of a request, as trusted reverse proxies report them."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final, TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

UNKNOWN: Final = "unknown"
"""The client's address if a trusted proxy reported something else than an address.

The address of the proxy is never used instead: the failures of one client would count for all clients, and
``bind_address`` would admit all of them.
"""


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Read addresses and networks (``10.0.0.0/8``) of trusted proxies.

    :raises ValueError: a text is neither.
    """
    return tuple(ipaddress.ip_network(text.strip().removeprefix("[").removesuffix("]"), strict=False) for text in texts)


def is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    """Whether an address is that of a trusted proxy; an empty one, of a unix socket, counts as 127.0.0.1."""
    if not trusted:
        return False
    try:
        # What can reach a unix socket runs on this machine.
        text = address.partition("%")[0] or "127.0.0.1"
        ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in network for network in trusted)


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return the client's address: the peer, or the last address in ``X-Forwarded-For`` that is not a trusted proxy.

    :param peer: the address from which the connection came.
    :param forwarded_for: the values of X-Forwarded-For, in order.  They are read from the right, as long as the proxy
        that wrote an entry is trusted.
    :return: :data:`UNKNOWN` if a trusted proxy wrote an entry that :func:`read_address` cannot read.  Entries before it
        are not used, because the client itself may have written them.
    """
    hops = [hop for value in forwarded_for for hop in value.split(",")]
    # From the right: the last entry was written by the peer; whatever stands before the first untrusted one is a claim.
    while hops and is_trusted(peer, trusted):
        address = read_address(hops.pop())
        if address is None:
            return UNKNOWN
        peer = address
    return peer


def read_address(text: str) -> str | None:
    """Return the address in an entry of ``X-Forwarded-For``; None if the entry holds no address.

    Proxies write it in these forms: ``192.0.2.7``, ``192.0.2.7:51008`` (Azure Application Gateway), ``2001:db8::7``,
    ``[2001:db8::7]``, ``[2001:db8::7]:51008``, each of them also in double quotes (RFC 7239, section 6).

    :return: the address in its shortest form, without a port and a zone; an IPv4 address that is mapped into IPv6 as
        IPv4.
    """
    text = text.strip(" \t")
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    address = _address(text)
    if address is None:
        host, _, port = text.rpartition(":")
        # A bare IPv6 address also ends in a colon and digits, so it was tried as a whole first.
        if 0 < len(port) <= 5 and port.isascii() and port.isdigit():
            address = _address(host)
    return address


def _address(text: str) -> str | None:
    if text[:1] == "[" and text[-1:] == "]":
        text = text[1:-1]
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return str(mapped or ip).partition("%")[0]


_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
"""The values that proxies write, and the scheme of the page.  Traefik writes ``wss`` for an upgrade."""


def forwarded_proto(peer: str, values: Sequence[str], trusted: Sequence[Network]) -> str | None:
    """Return the scheme by which the client connected to a trusted proxy, ``http`` or ``https``.

    :param values: the values of X-Forwarded-Proto.
    :return: None if the peer is not a trusted proxy, or did not send exactly one usable value.  A chain of proxies
        makes a list of values, in which the value to trust is unknown.
    """
    if len(values) == 1 and is_trusted(peer, trusted):
        return _SCHEMES.get(values[0].strip().lower())
    return None


MAX_PREFIX: Final = 256
"""Characters of the longest path prefix that is accepted."""

# Only unreserved characters of RFC 3986: the prefix becomes a part of links, and must not change their meaning.
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)+")


def forwarded_prefix(peer: str, values: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return the path below which a trusted proxy publishes this service.

    :param values: the values of X-Forwarded-Prefix.
    :return: a path without a trailing slash, such as ``/compute``; empty if the peer is not a trusted proxy, or did not
        send exactly one usable path.
    """
    if len(values) != 1 or not is_trusted(peer, trusted):
        return ""
    prefix = values[0].strip(" \t").removesuffix("/")
    return prefix if len(prefix) <= MAX_PREFIX and _PREFIX.fullmatch(prefix) else ""
