"""The PROXY protocol, versions 1 and 2: the header in which a load balancer sends the client's address.

Grammar and limits: haproxy's proxy-protocol.txt, sections 2.1 and 2.2.  The parser is strict: it refuses a connection
that does not begin with a valid header.
"""

import ipaddress
import struct
from typing import Final, NamedTuple

from novnc_twisted.access.forwarded import UNKNOWN

_V1_START: Final = b"PROXY "
_V1_LONGEST: Final = 107
"""Maximum length in bytes of a header of version 1, with its end of line."""

_V2_START: Final = b"\r\n\r\n\0\r\nQUIT\n"
_V2_FIXED: Final = 16

MAX_PAYLOAD: Final = 2048
"""Maximum number of bytes of addresses and extensions (TLVs) in a header of version 2; clouds send a few hundred."""

_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED, _TCP4, _TCP6, _UNIX = 0x00, 0x11, 0x21, 0x31
_LENGTHS: Final = {_UNSPECIFIED: 0, _TCP4: 12, _TCP6: 36, _UNIX: 216}
"""Bytes of both addresses with their ports."""

_SIZES: Final = {_TCP4: 4, _TCP6: 16}
"""Bytes of an IP address."""


class BadProxyHeader(ValueError):
    """The data is not a PROXY header; the text says why, and does not quote the data."""


class ProxyHeader(NamedTuple):
    """A complete header.

    :ivar host: the client's address; ``unknown`` if the header has no usable IP address; None if the load
        balancer made the connection for itself (LOCAL: a health check).
    :ivar port: the client's port; 0 if ``host`` is not an IP address.
    :ivar length: the length of the header in bytes; the bytes after it belong to the client.
    """

    host: str | None
    port: int
    length: int


def read_proxy_header(data: bytes) -> ProxyHeader | None:
    """Return the header at the beginning of the data; None while it is incomplete.

    :param data: all bytes received so far.  A header has at most about 2 KiB.
    :raises BadProxyHeader: the data cannot become a valid header.  A line of version 1 is checked when it is complete.
    """
    # Compare even a few bytes, so that the connection is refused at the first wrong one.
    if data.startswith(_V2_START[: len(data)]):
        return _version_2(data)
    if data.startswith(_V1_START[: len(data)]):
        return _version_1(data)
    raise BadProxyHeader("no PROXY header")


def _version_1(data: bytes) -> ProxyHeader | None:
    # Search no further than the limit of section 2.1, so that a longer line is refused even if it is complete.
    end = data.find(b"\r\n", 0, _V1_LONGEST)
    if end < 0:
        if len(data) >= _V1_LONGEST:
            raise BadProxyHeader("invalid PROXY header: version 1: the line is too long")
        return None
    try:
        words = data[:end].decode("ascii").split(" ")
    except UnicodeDecodeError:
        raise BadProxyHeader("invalid PROXY header: version 1: not ASCII") from None
    if words[1] == "UNKNOWN":
        return ProxyHeader(UNKNOWN, 0, end + 2)
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise BadProxyHeader("invalid PROXY header: version 1: a protocol, two addresses and two ports are expected")
    kind = ipaddress.IPv4Address if words[1] == "TCP4" else ipaddress.IPv6Address
    try:
        source, _ = kind(words[2]), kind(words[3])
    except ValueError:
        raise BadProxyHeader("invalid PROXY header: version 1: invalid address") from None
    port, _ = _port(words[4]), _port(words[5])
    return _header(source, port, end + 2)


def _port(word: str) -> int:
    # Accept one form of each number only: str(int()) removes leading zeros.
    if not (word.isdecimal() and len(word) <= 5 and int(word) <= 0xFFFF and str(int(word)) == word):
        raise BadProxyHeader("invalid PROXY header: version 1: invalid port")
    return int(word)


def _version_2(data: bytes) -> ProxyHeader | None:
    if len(data) < _V2_FIXED:
        return None
    command, family, payload = struct.unpack_from(">BBH", data, len(_V2_START))
    if command not in (_LOCAL, _PROXY):
        raise BadProxyHeader("invalid PROXY header: version 2: neither LOCAL nor PROXY")
    if payload > MAX_PAYLOAD:
        raise BadProxyHeader(
            f"invalid PROXY header: version 2: more than {MAX_PAYLOAD} bytes of addresses and extensions"
        )
    length = _V2_FIXED + payload
    if command == _PROXY:
        if family not in _LENGTHS:
            raise BadProxyHeader("invalid PROXY header: version 2: not the addresses of a stream")
        if payload < _LENGTHS[family]:
            raise BadProxyHeader("invalid PROXY header: version 2: too short for its addresses")
    if len(data) < length:
        return None
    # The addresses in a LOCAL header must be ignored (section 2.2).
    if command == _LOCAL:
        return ProxyHeader(None, 0, length)
    size = _SIZES.get(family)
    if size is None:
        return ProxyHeader(UNKNOWN, 0, length)
    source = ipaddress.ip_address(data[_V2_FIXED : _V2_FIXED + size])
    (port,) = struct.unpack_from(">H", data, _V2_FIXED + 2 * size)
    return _header(source, port, length)


def _header(source: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, length: int) -> ProxyHeader:
    """Return a header in which an IPv4-mapped IPv6 address is written as IPv4, as everywhere in the program."""
    mapped = source.ipv4_mapped if isinstance(source, ipaddress.IPv6Address) else None
    return ProxyHeader(str(mapped or source), port, length)
