"""The client address, scheme and path prefix of a request, as trusted reverse proxies report them."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final, TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

UNKNOWN: Final = "unknown"
"""Stands for a client's address that is not known, for example because a trusted proxy sent an invalid one.

The proxy's own address must not be used instead, because all its clients would have this address.  Each client could
then use the console links of the others, although the option ``bind_address`` makes a link valid from one client
address only.  With ``bind_address``, consoleauth refuses a client with the address ``unknown``.
"""


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Read the addresses and networks (``10.0.0.0/8``) of trusted proxies.

    :raises ValueError: a text is neither an address nor a network.
    """
    return tuple(ipaddress.ip_network(text.strip().removeprefix("[").removesuffix("]"), strict=False) for text in texts)


def is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    """Return whether an address is that of a trusted proxy.

    A connection on a unix socket has an empty address, and counts as 127.0.0.1.
    """
    if not trusted:
        return False
    try:
        # Only a process on this machine can connect to a unix socket.
        text = address.partition("%")[0] or "127.0.0.1"
        ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in network for network in trusted)


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return the client's address, from the connection or from ``X-Forwarded-For``.

    If ``peer`` is not a trusted proxy, or if there is no ``X-Forwarded-For``, the result is ``peer``.  Otherwise, it is
    the last entry in ``X-Forwarded-For`` that is not a trusted proxy; if all entries are trusted proxies, the first
    entry.

    :param peer: the address from which the connection came.
    :param forwarded_for: the values of X-Forwarded-For, in order.
    :return: the address, or :data:`UNKNOWN` if a trusted proxy wrote an entry that is not an address.  Entries to the
        left of this entry are not used, because the client itself may have written them.
    """
    hops = [hop for value in forwarded_for for hop in value.split(",")]
    # Read from the right, because each proxy appends the address of its peer.  Entries to the left of an untrusted
    # address may be forged, so stop there.
    while hops and is_trusted(peer, trusted):
        address = read_address(hops.pop())
        if address is None:
            return UNKNOWN
        peer = address
    return peer


def read_address(text: str) -> str | None:
    """Return the address in an entry of ``X-Forwarded-For``; None if the entry is not an address.

    Proxies use these forms: ``192.0.2.7``, ``192.0.2.7:51008`` (Azure Application Gateway), ``2001:db8::7``,
    ``[2001:db8::7]``, ``[2001:db8::7]:51008``, each of them also in double quotes (RFC 7239, section 6).

    :return: the address in its shortest form, without a port or a zone.  For an IPv4-mapped IPv6 address, this is the
        IPv4 address.
    """
    text = text.strip(" \t")
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    address = _address(text)
    if address is None:
        host, _, port = text.rpartition(":")
        # The whole text was tried first, because an IPv6 address without brackets may also end in a colon and digits.
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
"""The values of X-Forwarded-Proto, each with the scheme of the page.  Traefik sends ``wss`` for a WebSocket."""


def forwarded_proto(peer: str, values: Sequence[str], trusted: Sequence[Network]) -> str | None:
    """Return the scheme by which the client connected to a trusted proxy, ``http`` or ``https``.

    :param values: the values of X-Forwarded-Proto.
    :return: the scheme; None if the peer is not a trusted proxy, or did not send exactly one valid value.  If several
        proxies have added values, it is unknown which value to trust.
    """
    if len(values) == 1 and is_trusted(peer, trusted):
        return _SCHEMES.get(values[0].strip().lower())
    return None


MAX_PREFIX: Final = 256
"""Maximum length in characters of a path prefix."""

# Only unreserved characters of RFC 3986: the prefix becomes a part of links, and must not change their meaning.
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)+")


def forwarded_prefix(peer: str, values: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return the path below which a trusted proxy publishes this service.

    :param values: the values of X-Forwarded-Prefix.
    :return: a path without a trailing slash, such as ``/compute``; empty if the peer is not a trusted proxy, or did not
        send exactly one valid path.
    """
    if len(values) != 1 or not is_trusted(peer, trusted):
        return ""
    prefix = values[0].strip(" \t").removesuffix("/")
    return prefix if len(prefix) <= MAX_PREFIX and _PREFIX.fullmatch(prefix) else ""
