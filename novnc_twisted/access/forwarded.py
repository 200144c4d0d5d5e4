"""What proxies in front of us say of a request, believed only where they are trusted."""

import ipaddress
from collections.abc import Sequence
from typing import TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and networks (``10.0.0.0/8``) of trusted proxies.

    :raises ValueError: for a text that is neither.
    """
    return tuple(ipaddress.ip_network(text.strip().removeprefix("[").removesuffix("]"), strict=False) for text in texts)


def is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    """Whether this address is a trusted proxy's."""
    try:
        ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in network for network in trusted)


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """The client's address: the peer's, or the last one of ``X-Forwarded-For`` that is no trusted proxy's.

    :param peer: the address that the connection came from.
    :param forwarded_for: the values of X-Forwarded-For, in order; believed from the right, as far as those who wrote
        it are trusted.
    """
    hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
    while hops and is_trusted(peer, trusted):
        try:
            peer = str(ipaddress.ip_address(hops.pop().removeprefix("[").removesuffix("]")))
        except ValueError:
            break
    return peer


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
