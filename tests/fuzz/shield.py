"""The shield, compared with a model from the documents that reads the whole stream at once."""

import contextlib
import struct
import zlib
from typing import NamedTuple

from novnc_twisted.errors import MessageTooBig, ProtocolViolation, Refusal
from novnc_twisted.rfb.shield import Shield

from .tools import Target, broken, cuttings, holds, same

MOST_HELD = 4100
MIB = 1 << 20
AUDIO, GII, XVP, FENCE, CONTINUOUS, BUTTONS = -259, -305, -309, -312, -313, -316
CLIPBOARD = struct.unpack(">i", b"\xc0\xa1\xe5\xce")[0]


class Judged(NamedTuple):
    """The expected result for a stream.

    :ivar passed: what is passed on of all complete valid messages.
    :ivar more: what may be passed on of a clipboard text that is found to be invalid later.
    :ivar refusal: the reason of the end; None if there is no end.
    :ivar held: bytes of the incomplete last message.
    """

    passed: bytes
    more: bytes
    refusal: type[Refusal] | None
    held: int


class Refused(Exception):
    """The model refuses the stream."""

    def __init__(self, refusal: type[Refusal] = ProtocolViolation, more: bytes = b"") -> None:
        self.refusal, self.more = refusal, more


class Unfinished(Exception):
    """A message is incomplete; ``passed`` is the part of it that is passed on early."""

    def __init__(self, passed: bytes = b"") -> None:
        self.passed = passed


def judge(data: bytes) -> Judged:
    """Read a whole stream, message by message, by RFC 6143, section 7.5, rfbproto and docs/security.md."""
    at, passed, listed = 0, b"", set[int]()
    try:
        while at < len(data):
            size, out = message(data[at:], listed)
            passed, at = passed + out, at + size
    except Refused as refused:
        return Judged(passed, refused.more, refused.refusal, 0)
    except Unfinished as unfinished:
        return Judged(passed + unfinished.passed, b"", None, 0 if unfinished.passed else len(data) - at)
    return Judged(passed, b"", None, 0)


def message(data: bytes, listed: set[int]) -> tuple[int, bytes]:
    """The first message: its size, and what is passed on instead."""
    kind = data[0]
    if kind == 6:
        return cut_text(data, listed)
    size = {0: 20, 2: 4, 3: 10, 4: 8, 5: 6, 150: 10, 248: 9, 250: 4, 251: 8, 255: 4}.get(kind)
    if size is None:
        raise Refused
    head = whole(data, size)
    if kind == 2:
        count = struct.unpack(">H", head[2:])[0]
        if count > 1024:
            raise Refused(MessageTooBig)
        body = whole(data, size + 4 * count)
        numbers = struct.unpack(f">{count}i", body[4:])
        listed.update(numbers)
        kept = [number for number in numbers if number not in (GII, XVP, BUTTONS)] or [0]
        return len(body), body[:2] + struct.pack(f">H{len(kept)}i", len(kept), *kept)
    if kind == 248:
        if head[8] > 64:
            raise Refused
        size += head[8]
    elif kind == 251:
        size += 16 * head[6]
    elif kind == 255:
        if head[1] == 0:
            size += 8
        elif head[1] == 1 and head[2] == 0 and head[3] <= 2:
            size += 6 * (head[3] == 2)
        else:
            raise Refused
    body = whole(data, size)
    needed = {150: CONTINUOUS, 248: FENCE, 255: AUDIO if body[1] else None}.get(kind)
    if needed is not None and needed not in listed:
        raise Refused
    if kind == 0:
        pixel_format(*struct.unpack(">4x4B3H3B3x", body))
    if kind == 255 and body[1:4] == b"\1\0\2":
        sample, channels, frequency = struct.unpack(">BBI", body[4:])
        if sample > 5 or channels not in (1, 2) or not 1 <= frequency <= 48000:
            raise Refused
    return size, b"" if kind == 250 else body


def whole(data: bytes, size: int) -> bytes:
    """The first bytes; raise Unfinished if some are missing."""
    if len(data) < size:
        raise Unfinished
    return data[:size]


def pixel_format(bits: int, depth: int, _: int, true_colour: int, *channels: int) -> None:
    """Check that each channel is a run of ones within the pixel, and that a colour map has at most 256 entries."""
    if bits not in (8, 16, 32) or depth > bits or (not true_colour and bits > 8):
        raise Refused
    for most, shift in zip(channels[:3], channels[3:], strict=True):
        if true_colour and (most not in [(1 << width) - 1 for width in range(1, 17)] or most << shift >= 1 << bits):
            raise Refused


def cut_text(data: bytes, listed: set[int]) -> tuple[int, bytes]:
    """ClientCutText, plain or extended."""
    length = struct.unpack(">i", whole(data, 8)[4:])[0]
    if -4 < length < 0:
        raise Refused
    if abs(length) > MIB:
        raise Refused(MessageTooBig)
    if length == 0:
        return 8, b""
    size = 8 + abs(length)
    if length < 0:
        if CLIPBOARD not in listed:
            raise Refused
        flags = struct.unpack(">I", whole(data, 12)[8:])[0]
        actions = [bit for bit in range(24, 29) if flags >> bit & 1]
        if 24 not in actions and len(actions) != 1:
            raise Refused
        if actions == [28]:
            unpack(data[12:size], data[: min(size, len(data)) - 1])
    if len(data) < size:
        raise Unfinished(data)
    return size, data[:size]


def unpack(packed: bytes, most: bytes) -> None:
    """Check the text of a provide action: one zlib stream of at most 1 MiB, and nothing after it."""
    stream = zlib.decompressobj()
    room = MIB + 1
    try:
        # Byte by byte, because the first error counts: too big, or invalid zlib.
        for byte in packed if len(packed) < 4096 else ():
            room -= len(stream.decompress(bytes([byte]), room))
            if not room:
                raise Refused(MessageTooBig, most)
            if stream.unused_data:
                raise Refused(ProtocolViolation, most)
    except zlib.error:
        raise Refused(ProtocolViolation, most) from None


def through(shield: Shield, chunks: list[bytes]) -> tuple[bytes, type[Refusal] | None]:
    """What the shield passes on, and its refusal."""
    passed: list[bytes] = []
    try:
        for chunk in chunks:
            passed.append(shield.from_client(chunk))
            holds(shield.held <= MOST_HELD, "holds too much", shield.held)
    except Refusal as refusal:
        holds(refusal.detail, "a refusal without a reason")
        with contextlib.suppress(ProtocolViolation):
            broken("goes on after a refusal", shield.from_client(b"\5\0\0\0\0\0"))
        return b"".join(passed), type(refusal)
    return b"".join(passed), None


def run(data: bytes) -> None:
    """A viewer's stream after ClientInit: the shield passes what the documents say, with any chunks."""
    if not data:
        return
    wanted = judge(data)
    for chunks in ([data], *cuttings(data)):
        chunks = [chunk for chunk in chunks if chunk]
        shield = Shield()
        passed, refusal = through(shield, chunks)
        same(refusal, wanted.refusal, "the refusal")
        if refusal is None:
            same(passed, wanted.passed, "what passes")
            same(shield.held, wanted.held, "what is held")
        else:
            holds((wanted.passed + wanted.more).startswith(passed), "passes invalid data", passed, wanted)
            if len(chunks) == len(data):
                holds(len(passed) >= len(wanted.passed), "holds a valid message", passed, wanted)
    again, refusal = through(Shield(), [wanted.passed]) if wanted.passed else (b"", None)
    holds(wanted.refusal or refusal is None, "refuses what it passed", refusal)
    holds(wanted.refusal or again == wanted.passed, "changes what it passed", again)


def encodings(*numbers: int) -> bytes:
    """A SetEncodings."""
    return struct.pack(f">BxH{len(numbers)}i", 2, len(numbers), *numbers)


EVERYTHING = encodings(7, 0, AUDIO, FENCE, CONTINUOUS, CLIPBOARD)

TARGETS = (
    Target(
        "shield",
        run,
        512,
        (
            EVERYTHING,
            encodings(0, BUTTONS, XVP, GII),
            b"\5\1\0\2\0\3",
            b"\4\1\0\0\0\0\0\x41",
            b"\3\1" + bytes(8),
            b"\0\0\0\0\x20\x18\0\1\0\xff\0\xff\0\xff\x10\x08\0\0\0\0",
            b"\6\0\0\0\0\0\0\3abc",
            b"\6\0\0\0\xff\xff\xff\xfc\2\0\0\1",
            b"\6\0\0\0\xff\xff\xff\xea\x10\0\0\1",
            zlib.compress(b"\0\0\0\2x\0"),
            b"\xff\0\0\1" + bytes(8),
            b"\xff\1\0\2\3\2\0\0\xac\x44",
            b"\xf8" + bytes(7) + b"\2ab",
            b"\xfa\0\1\2",
            b"\x96\1" + bytes(8),
            b"\xfb\0\3\x20\2\x58\1\0" + bytes(16),
        ),
    ),
)
