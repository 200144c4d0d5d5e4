"""Builds streams of a VNC server message by message, so that their boundaries are known (RFC 6143, section 7.6)."""

import struct
from collections.abc import Callable

from hypothesis import strategies as st

TRUE_COLOUR = struct.pack(">4B3H3B3x", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
"""The pixel format of these streams: 4 bytes for a pixel, and 3 in Tight."""

Draw = Callable[..., int]


def body(draw: Draw, encoding: int, width: int, height: int) -> bytes:
    """The body of a rectangle."""

    def number(least: int, most: int) -> int:
        return draw(st.integers(least, most))

    def some(length: int) -> bytes:
        return bytes((number(0, 255),)) * length

    def compact() -> bytes:
        length = draw(st.sampled_from((1, 127, 128, 200, 16383, 16384, 20000)))
        head = bytes((length & 0x7F | (0x80 if length > 0x7F else 0),))
        if length > 0x7F:
            head += bytes((length >> 7 & 0x7F | (0x80 if length > 0x3FFF else 0),))
        if length > 0x3FFF:
            head += bytes((length >> 14,))
        return head + some(length)

    def tile(wide: int, high: int) -> bytes:
        mask = number(0, 31)
        if mask & 1:
            return bytes((mask,)) + some(wide * high * 4)
        made = bytes((mask,)) + some(4 * (bool(mask & 2) + bool(mask & 4)))
        if mask & 8:
            count = number(0, 5)
            made += bytes((count,)) + some(count * (6 if mask & 16 else 2))
        return made

    def basic() -> bytes:
        chosen = draw(st.sampled_from((None, 0, 1, 2)))
        length, palette = width * height * 3, b""
        if chosen == 1:
            colours = number(1, 256)
            palette = bytes((colours - 1,)) + some(colours * 3)
            length = (width + 7) // 8 * height if colours <= 2 else width * height
        head = bytes((number(0, 3) << 4 | number(0, 15),)) if chosen is None else bytes((0x40, chosen))
        return head + palette + (some(length) if length < 12 else compact())

    if encoding == 0:
        return some(width * height * 4)
    if encoding == 1:
        return some(4)
    if encoding in (2, 4):
        count = number(0, 9)
        return struct.pack(">I", count) + some(4 + count * (12 if encoding == 2 else 8))
    if encoding == 5:
        return b"".join(
            tile(min(16, width - left), min(16, height - top))
            for top in range(0, height, 16)
            for left in range(0, width, 16)
        )
    if encoding in (6, 16, -307):
        length = number(0, 70)
        return struct.pack(">I", length) + some(length)
    if encoding == 50:
        length = number(0, 70)
        return struct.pack(">II", length, 0) + some(length)
    if encoding in (7, -260):
        kind = draw(st.sampled_from(("fill", "jpeg", "basic") if encoding == 7 else ("fill", "jpeg", "png", "basic")))
        return {
            "fill": lambda: b"\x80" + some(3),
            "jpeg": lambda: b"\x90" + compact(),
            "png": lambda: b"\xa0" + compact(),
            "basic": basic,
        }[kind]()
    if encoding == -239:
        return some(width * height * 4 + (width + 7) // 8 * height)
    if encoding == -240:
        return some(6 + 2 * ((width + 7) // 8) * height) if width * height else b""
    if encoding == -261:
        return some(1)
    if encoding == -308:
        count = number(0, 3)
        return bytes((count, 0, 0, 0)) + some(16 * count)
    if encoding == 0x574D5664:
        kind = number(0, 1)
        return bytes((kind, 0)) + some(width * height * (4 if kind else 8))
    return b""


ENCODINGS = (0, 1, 2, 4, 5, 6, 7, 16, 50, -223, -232, -239, -240, -257, -258, -259, -260, -261, -307, -308, 0x574D5664)


@st.composite
def updates(draw: Draw) -> bytes:
    """A FramebufferUpdate; some end with LastRect."""
    rectangles = b""
    count = draw(st.integers(0, 4))
    for _ in range(count):
        encoding = draw(st.sampled_from(ENCODINGS))
        width, height = draw(st.integers(0, 40)), draw(st.integers(0, 40))
        rectangles += struct.pack(">HHHHi", 0, 0, width, height, encoding) + body(draw, encoding, width, height)
    if draw(st.booleans()):
        return struct.pack(">BxH", 0, 0xFFFF) + rectangles + struct.pack(">HHHHi", 0, 0, 0, 0, -224)
    return struct.pack(">BxH", 0, count) + rectangles


@st.composite
def cut_texts(draw: Draw) -> bytes:
    """A ServerCutText; a negative length marks the extended form."""
    length = draw(st.one_of(st.integers(0, 30), st.integers(-30, -4)))
    return struct.pack(">B3xi", 3, length) + b"c" * abs(length)


@st.composite
def others(draw: Draw) -> bytes:
    """One of the other messages."""
    count = draw(st.integers(0, 9))
    return draw(
        st.sampled_from(
            (
                struct.pack(">BxHH", 1, 0, count) + b"m" * (6 * count),
                b"\2",
                b"\x96",
                b"\xf8" + bytes(7) + bytes((count,)) + b"f" * count,
                b"\xfa\0\1\2",
                b"\xff\1\0\0",
                b"\xff\1\0\1",
                b"\xff\1\0\2" + struct.pack(">I", count) + b"s" * count,
            )
        )
    )


messages = st.lists(st.one_of(updates(), cut_texts(), others()), max_size=6)
