"""WebSocket frames, with and without texts, compared with a reader of RFC 6455 that reads the whole stream at once."""

from itertools import cycle
from typing import NamedTuple

from novnc_twisted.errors import MessageTooBig, ProtocolViolation, Refusal, TextRefused
from novnc_twisted.relay import frames
from novnc_twisted.relay.text_frames import TEXT_LIMIT, TextFrameDecoder, text_header

from .tools import Target, clean_text_of, cuttings, holds, same

MOST_HELD = 139
LIMITS = (frames.MESSAGE_LIMIT, 200, 8)


class Decoded(NamedTuple):
    """The content of a stream."""

    payload: bytes
    pings: list[bytes]
    close_code: int | None
    failure: type[Refusal] | None
    texts: list[str]


def decode(chunks: list[bytes], decoder: frames.FrameDecoder) -> Decoded:
    """Decode a stream with the decoder under test."""
    reads_text = isinstance(decoder, TextFrameDecoder)
    slots = [name for kind in type(decoder).__mro__ for name in getattr(kind, "__slots__", ())]
    most = MOST_HELD + 4 + (TEXT_LIMIT if reads_text else 0)
    payload, pings, texts = b"", [], list[str]()
    for chunk in chunks:
        payload += decoder.receive(chunk)
        pings += decoder.pings
        decoder.pings.clear()
        if isinstance(decoder, TextFrameDecoder):
            holds(decoder.news or not decoder.texts, "a text that is not reported")
            texts += decoder.texts
            decoder.texts.clear()
            decoder.news = False
        held = sum(len(value) for name in slots if isinstance(value := getattr(decoder, name), bytes))
        holds(held <= most, "holds too much", held)
    holds(decoder.closed is (decoder.close_code is not None), "closed and close_code disagree")
    if decoder.closed or decoder.failure is not None:
        same(decoder.receive(b"\x82\x80\0\0\0\0"), b"", "the payload after the end")
    failure = None if decoder.failure is None else type(decoder.failure)
    return Decoded(payload, pings, decoder.close_code, failure, texts)


def read(data: bytes, limit: int, text_limit: int | None = None) -> Decoded:
    """Decode a stream by RFC 6455, section 5, one frame after the other.

    :param text_limit: bytes of the longest text message; None: text is refused.
    """
    payload, pings, at, open_size = b"", list[bytes](), 0, -1
    texts = list[str]()
    text: bytes | None = None  # of the unfinished text message

    def over(failure: type[Refusal] | None = None, code: int | None = None) -> Decoded:
        return Decoded(payload, pings, code, failure, texts)

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
                if text_limit is None:
                    return over(TextRefused)
                text = b""
        wide = {126: 2, 127: 8}.get(length, 0)
        begin = at + 2 + wide + 4
        if len(data) < begin:
            return over()
        if wide:
            length = int.from_bytes(data[at + 2 : at + 2 + wide], "big")
            if length < (126 if wide == 2 else 65536) or length >= 1 << 63:
                return over(ProtocolViolation)
        if opcode < 8 and max(open_size, 0) + length > (limit if text is None else text_limit or 0):
            return over(MessageTooBig)
        mask = data[begin - 4 : begin]
        body = bytes(byte ^ key for byte, key in zip(data[begin : begin + length], cycle(mask), strict=False))
        if opcode < 8:
            if text is None:
                payload += body
            elif len(body) < length:
                return over()
            else:
                text += body
            if text is not None and final:
                try:
                    texts.append(text.decode())
                except UnicodeDecodeError:
                    return over(ProtocolViolation)
                text = None
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
        same(decode(chunks, frames.FrameDecoder(limit)), wanted, "what was decoded")
    head = frames.binary_header(len(wire))
    head = bytes([head[0], head[1] | 0x80]) + head[2:]
    mask = bytes([data[0], *(wire + b"\1\2\3")[:3]])
    if len(wire) <= limit:
        decoded = decode([head + mask + frames.unmask(wire, mask)], frames.FrameDecoder(limit))
        same(decoded.payload, wire, "what was encoded")


def run_text(data: bytes) -> None:
    """A browser's stream in a session with the channel, whose messages are texts."""
    wanted = read(data, frames.MESSAGE_LIMIT, TEXT_LIMIT)
    for chunks in ([data], *cuttings(data)):
        same(decode(chunks, TextFrameDecoder()), wanted, "what was decoded")
    text = clean_text_of(data)
    body = text.encode()
    if len(body) <= TEXT_LIMIT:
        head = text_header(len(body))
        sent = bytes([head[0], head[1] | 0x80]) + head[2:] + bytes(4) + body
        same(decode([sent], TextFrameDecoder()).texts, [text], "what was encoded")


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
    Target(
        "text-frames",
        run_text,
        768,
        (
            b"\x81\x83\0\0\0\0abc",
            b"\x81\xfe\0\x7e\0\0\0\0",
            b"\x81\xfe\x10\0\0\0\0\0",
            b"\x01\x81\1\2\3\4a",
            b"\x01\x81\0\0\0\0\xc3",
            b"\x80\x81\0\0\0\0\xa9",
            b"\0\x81\0\0\0\0a",
            b"\x82\x86\1\2\3\4abcdef",
            b"\x02\x81\1\2\3\4a",
            b"\x89\x81\1\2\3\4a",
            b"\x88\x80\0\0\0\0",
        ),
    ),
)
