"""WebSocket frames, compared with a reader of RFC 6455 that reads the whole stream at once."""

from itertools import cycle
from typing import NamedTuple

from novnc_twisted.errors import MessageTooBig, ProtocolViolation, Refusal, TextRefused
from novnc_twisted.relay import frames

from .tools import Target, cuttings, holds, same

MOST_HELD = 139
LIMITS = (frames.MESSAGE_LIMIT, 200, 8)


class Decoded(NamedTuple):
    """The content of a stream."""

    payload: bytes
    pings: list[bytes]
    close_code: int | None
    failure: type[Refusal] | None


def decode(chunks: list[bytes], limit: int) -> Decoded:
    """Read it with the decoder under test."""
    decoder = frames.FrameDecoder(limit)
    payload, pings = b"", []
    for chunk in chunks:
        payload += decoder.receive(chunk)
        pings += decoder.pings
        decoder.pings.clear()
        held = sum(len(value) for name in decoder.__slots__ if isinstance(value := getattr(decoder, name), bytes))
        holds(held <= MOST_HELD + 4, "holds too much", held)
    holds(decoder.closed is (decoder.close_code is not None), "closed, or not")
    if decoder.closed or decoder.failure is not None:
        same(decoder.receive(b"\x82\x80\0\0\0\0"), b"", "what comes after the end")
    failure = None if decoder.failure is None else type(decoder.failure)
    return Decoded(payload, pings, decoder.close_code, failure)


def read(data: bytes, limit: int) -> Decoded:
    """Read it by RFC 6455, section 5, one frame after the other."""
    payload, pings, at, open_size = b"", list[bytes](), 0, -1

    def over(failure: type[Refusal] | None = None, code: int | None = None) -> Decoded:
        return Decoded(payload, pings, code, failure)

    while len(data) - at >= 2:
        final, opcode, length = data[at] >> 7, data[at] & 15, data[at + 1] & 127
        if data[at] & 0x70 or not data[at + 1] >> 7 or 2 < opcode < 8 or opcode > 10:
            return over(ProtocolViolation)
        if opcode >= 8 and (not final or length > 125):
            return over(ProtocolViolation)
        if opcode < 8:
            if (opcode == 0) != (open_size >= 0):
                return over(ProtocolViolation)
            if opcode == 1:
                return over(TextRefused)
        wide = {126: 2, 127: 8}.get(length, 0)
        begin = at + 2 + wide + 4
        if len(data) < begin:
            return over()
        if wide:
            length = int.from_bytes(data[at + 2 : at + 2 + wide], "big")
            if length < (126 if wide == 2 else 65536) or length >= 1 << 63:
                return over(ProtocolViolation)
        if opcode < 8 and max(open_size, 0) + length > limit:
            return over(MessageTooBig)
        mask = data[begin - 4 : begin]
        body = bytes(byte ^ key for byte, key in zip(data[begin : begin + length], cycle(mask), strict=False))
        if opcode < 8:
            payload += body
            open_size = -1 if final else max(open_size, 0) + length
        elif len(body) < length:
            return over()
        elif opcode == 9:
            pings.append(body)
        elif opcode == 8:
            code = _close_code(body)
            return over(ProtocolViolation) if code is None else over(None, code)
        at = begin + length
    return over()


def _close_code(body: bytes) -> int | None:
    """The code of a close frame; None if it is invalid."""
    code = int.from_bytes(body[:2], "big")
    if not body:
        return frames.NO_CODE
    try:
        body[2:].decode()
    except UnicodeDecodeError:
        return None
    return None if len(body) == 1 or not frames.good_close_code(code) else code


def run(data: bytes) -> None:
    """First byte: the limit of a message; the rest: a browser's stream."""
    if not data:
        return
    limit, wire = LIMITS[data[0] % len(LIMITS)], data[1:]
    wanted = read(wire, limit)
    for chunks in ([wire], *cuttings(wire)):
        same(decode(chunks, limit), wanted, "what was decoded")
    head = frames.binary_header(len(wire))
    head = bytes([head[0], head[1] | 0x80]) + head[2:]
    mask = bytes([data[0], *(wire + b"\1\2\3")[:3]])
    if len(wire) <= limit:
        same(decode([head + mask + frames.unmask(wire, mask)], limit).payload, wire, "what was encoded")


TARGETS = (
    Target(
        "frames",
        run,
        768,
        (
            b"\x82\x86\1\2\3\4abcdef",
            b"\x82\xfe\0\x7e\1\2\3\4",
            b"\x82\xff\0\0\0\0\0\1\0\0\1\2\3\4",
            b"\x02\x81\1\2\3\4a",
            b"\x80\x81\1\2\3\4a",
            b"\x89\x81\1\2\3\4a",
            b"\x8a\x80\1\2\3\4",
            b"\x88\x82\0\0\0\0\3\xe8",
            b"\x88\x80\0\0\0\0",
            b"\x81\x80\0\0\0\0",
        ),
    ),
)
