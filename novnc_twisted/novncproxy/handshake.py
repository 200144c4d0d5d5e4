"""The opening handshake (RFC 6455, section 4.2): what a request must say, and the answer to it.

The Origin is judged elsewhere, by our own rules.  Extensions are never agreed to, so what is said of them is not read.
"""

import re
from base64 import b64encode
from hashlib import sha1
from typing import Final

from novnc_twisted.access.request_head import RequestHead

SUBPROTOCOL: Final = "binary"
"""What noVNC before 1.2 asks for; a client that asks for none, or for others, is accepted without one."""

VERSION: Final = "13"
"""Of RFC 6455, the only one."""

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # section 1.3
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")  # 16 bytes in Base64
_HOST = re.compile(r"[^:]*|.*\]|.*:[0-9]+")  # a name or address, [an IPv6 address]; the port after it


class HandshakeFailed(Exception):
    """It is no proper handshake; says why."""


def accept(head: RequestHead) -> bytes:
    """The whole 101 response.

    :raises HandshakeFailed: where a header that the upgrade needs is missing, double or wrong.
    """
    if head.method != "GET" or head.minor != 1:
        raise HandshakeFailed("not a GET of HTTP/1.1")
    host = head.one("host")
    if host is None or not _HOST.fullmatch(host):
        raise HandshakeFailed("no Host, several of them, or one with a port that is none")
    if "websocket" not in head.lists("upgrade") or "upgrade" not in head.lists("connection"):
        raise HandshakeFailed("no upgrade to WebSocket")
    if head.all("sec-websocket-version") != [VERSION]:
        raise HandshakeFailed("another version of WebSocket than 13")
    key = head.one("sec-websocket-key")
    if key is None or not _KEY.fullmatch(key):
        raise HandshakeFailed("no Sec-WebSocket-Key, several of them, or one that is not 16 bytes in Base64")
    protocols = [name.strip() for value in head.all("sec-websocket-protocol") for name in value.split(",")]
    if len(set(protocols)) != len(protocols):
        raise HandshakeFailed("the same subprotocol twice")
    chosen = f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n" if SUBPROTOCOL in protocols else ""
    answer = b64encode(sha1((key + _GUID).encode()).digest()).decode()  # noqa: S324 -- the RFC's, and no secret
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
        f"{chosen}Sec-WebSocket-Accept: {answer}\r\n\r\n"
    ).encode()
