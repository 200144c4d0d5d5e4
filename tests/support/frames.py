"""Encode the WebSocket frames that a client sends, and decode the bytes that it receives."""

import struct
from collections.abc import Iterator

from novnc_twisted.relay.frames import unmask


def frame(opcode: int, payload: bytes, *, fin: bool = True, mask: bytes = b"\1\2\3\4") -> bytes:
    """A client's frame."""
    head = bytes([opcode | (0x80 if fin else 0)])
    if len(payload) < 126:
        head += bytes([0x80 | len(payload)])
    elif len(payload) < 65536:
        head += b"\xfe" + struct.pack(">H", len(payload))
    else:
        head += b"\xff" + struct.pack(">Q", len(payload))
    return head + mask + unmask(payload, mask)


def frames_of(heard: bytes) -> Iterator[tuple[int, bytes]]:
    """The complete frames of a server, after its 101 response: opcode and payload."""
    head, _, rest = heard.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101 "):
        return
    while len(rest) >= 2:
        length, at = rest[1], 2
        if length > 125:
            wide = 2 if length == 126 else 8
            length, at = int.from_bytes(rest[2 : 2 + wide], "big"), 2 + wide
        if len(rest) < at + length:
            return
        yield rest[0] & 0x0F, rest[at : at + length]
        rest = rest[at + length :]


def close_of(heard: bytes) -> tuple[int, str] | None:
    """Code and reason of the close frame; None if there is no close frame."""
    for opcode, payload in frames_of(heard):
        if opcode == 8:
            return int.from_bytes(payload[:2], "big"), payload[2:].decode()
    return None


def stream_of(heard: bytes) -> bytes:
    """The payloads of all binary messages."""
    return b"".join(payload for opcode, payload in frames_of(heard) if opcode == 2)


def status_of(heard: bytes) -> tuple[int, str]:
    """HTTP status and reason; (0, "") if nothing was received."""
    if not heard:
        return 0, ""
    version, status, reason = heard.partition(b"\r\n")[0].decode("latin-1").split(" ", 2)
    assert version == "HTTP/1.1", heard[:80]
    return int(status), reason


def refusal_of(stream: bytes) -> str | None:
    """The sentence of an RFB refusal (3.7 and later); None if there is no refusal."""
    assert stream[:12] in (b"", b"RFB 003.008\n"), stream[:40]
    if len(stream) < 17 or stream[12]:
        return None
    length = int.from_bytes(stream[13:17], "big")
    assert len(stream) == 17 + length, "bytes follow a refusal"
    return stream[17:].decode()
