"""What reverse proxies write about a request: client address, scheme, path prefix.  Only trusted ones are believed."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final, TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

UNKNOWN: Final = "unknown"
"""The client's address where a trusted proxy wrote something else than an address.

Never the proxy's own address: the failures of one client would count for all, and ``bind_address`` would admit all.
"""


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and networks (``10.0.0.0/8``) of trusted proxies.

    :raises ValueError: for a text that is neither.
    """
    return tuple(ipaddress.ip_network(text.strip().removeprefix("[").removesuffix("]"), strict=False) for text in texts)


def is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    """Whether this address is a trusted proxy's."""
    if not trusted:
        return False
    try:
        ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in network for network in trusted)


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """The client's address: the peer's, or the last one in ``X-Forwarded-For`` that is not a trusted proxy's.

    :param peer: the address that the connection came from.
    :param forwarded_for: the values of X-Forwarded-For, in order.  They are read from the right, as long as the one
        who wrote an entry is trusted.
    :return: :data:`UNKNOWN` where a trusted proxy wrote something that :func:`read_address` cannot read.  What stands
        before it is not used: the client itself may have written it.
    """
    hops = [hop for value in forwarded_for for hop in value.split(",")]
    while hops and is_trusted(peer, trusted):
        address = read_address(hops.pop())
        if address is None:
            return UNKNOWN
        peer = address
    return peer


def read_address(text: str) -> str | None:
    """The address in one entry of ``X-Forwarded-For``; None if the entry holds no address.

    Reads what proxies write: ``192.0.2.7``, ``192.0.2.7:51008`` (Azure Application Gateway), ``2001:db8::7``,
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
"""What proxies write, as the scheme of a page: some say ``wss`` of an upgrade (Traefik does)."""


def forwarded_proto(peer: str, values: Sequence[str], trusted: Sequence[Network]) -> str | None:
    """How the client came to a trusted proxy, ``http`` or ``https``, by its ``X-Forwarded-Proto``.

    :return: None where the peer is no trusted proxy, or did not send exactly one that says so: a list of several is
        what a chain of proxies makes, and whose word counts in it can't be known.
    """
    if len(values) == 1 and is_trusted(peer, trusted):
        return _SCHEMES.get(values[0].strip().lower())
    return None


MAX_PREFIX: Final = 256
"""Characters of the longest path prefix that is taken from a proxy."""

# Unreserved characters of RFC 3986 alone: the prefix goes into links, and must not change what they mean.
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)+")


def forwarded_prefix(peer: str, values: Sequence[str], trusted: Sequence[Network]) -> str:
    """The path below which a trusted proxy publishes this service, by its ``X-Forwarded-Prefix``.

    :return: a path without a trailing slash, as ``/compute``; empty where the peer is not a trusted proxy, or did not
        send exactly one usable path.
    """
    if len(values) != 1 or not is_trusted(peer, trusted):
        return ""
    prefix = values[0].strip(" \t").removesuffix("/")
    return prefix if len(prefix) <= MAX_PREFIX and _PREFIX.fullmatch(prefix) else ""
