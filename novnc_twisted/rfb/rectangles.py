"""Finds the lengths of rectangles in a FramebufferUpdate without decoding them (RFC 6143, section 7.7; rfbproto).

Each reader is a generator that reads the body of one rectangle.  It yields the number of bytes that it needs next, and
:mod:`.server_messages` sends these bytes into it.  For bytes whose content does not matter, it yields :class:`Skip`,
and :mod:`.server_messages` sends nothing into it.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from novnc_twisted.errors import ConsoleUnreachable

from .constants import Encoding
from .pixel_format import PixelSize


@dataclass(frozen=True, slots=True)
class Skip:
    """A number of bytes that belong to the message, but whose content does not matter."""

    length: int


Reader: TypeAlias = Generator[int | Skip, bytes, None]
"""Yields what it needs; see the module."""

MAX_BODY: Final = 1 << 28
"""Maximum number of bytes of one part of a rectangle: four times a raw screen of 4096 x 4096 pixels of 4 bytes."""

_TIGHT_FILL, _TIGHT_JPEG, _TIGHT_PNG = 8, 9, 10
_PALETTE, _GRADIENT = 1, 2
_TIGHT_SMALL: Final = 12
"""Tight data with fewer bytes than this is not compressed, and has no length field."""


def unreadable(what: str) -> ConsoleUnreachable:
    """Return the refusal for a message whose end cannot be found.

    The detail names the clipboard policy, because only this policy needs the ends of server messages.
    """
    return ConsoleUnreachable(f"the clipboard policy can't be applied, because the VNC server sent {what}")


def _skip(length: int) -> Skip:
    if not 0 <= length <= MAX_BODY:
        raise unreadable(f"a part of {length} bytes")
    return Skip(length)


def _raw(width: int, height: int, size: PixelSize) -> Reader:
    yield _skip(width * height * size.pixel)


def _fixed(length: int) -> "Read":
    def read(width: int, height: int, size: PixelSize) -> Reader:
        yield Skip(length)

    return read


def _with_length(before: int = 0, after: int = 0) -> "Read":
    """Return a reader of a head and of data.  The head contains the length of the data, a 32-bit number.

    :param before: bytes before the length.
    :param after: bytes between the length and the data.
    """

    def read(width: int, height: int, size: PixelSize) -> Reader:
        head = yield before + 4 + after
        yield _skip(int.from_bytes(head[before : before + 4], "big"))

    return read


def _subrectangles(place: int) -> "Read":
    """Return a reader of RRE or CoRRE.

    :param place: the number of bytes of a subrectangle's position and size: 8 for RRE, 4 for CoRRE.
    """

    def read(width: int, height: int, size: PixelSize) -> Reader:
        head = yield 4 + size.pixel
        yield _skip(int.from_bytes(head[:4], "big") * (size.pixel + place))

    return read


def _hextile(width: int, height: int, size: PixelSize) -> Reader:
    # ``if width``: a rectangle of width 0 is only a head of twelve bytes, and must not cause thousands of iterations.
    for top in range(0, height if width else 0, 16):
        for left in range(0, width, 16):
            yield from _tile(min(16, width - left), min(16, height - top), size.pixel)


def _tile(width: int, height: int, pixel: int) -> Reader:
    # The bits of the mask (RFC 6143, section 7.7.4): 1 Raw, 2 BackgroundSpecified, 4 ForegroundSpecified,
    # 8 AnySubrects, 16 SubrectsColored.
    mask = (yield 1)[0]
    if mask & 1:
        yield Skip(width * height * pixel)
        return
    colours = pixel * (bool(mask & 2) + bool(mask & 4))
    if not mask & 8:
        yield Skip(colours)
        return
    count = (yield colours + 1)[-1]
    yield Skip(count * (2 + (pixel if mask & 16 else 0)))


def _tight(width: int, height: int, size: PixelSize) -> Reader:
    yield from _tight_rectangle(width, height, size, png=False)


def _tight_png(width: int, height: int, size: PixelSize) -> Reader:
    yield from _tight_rectangle(width, height, size, png=True)


def _tight_rectangle(width: int, height: int, size: PixelSize, *, png: bool) -> Reader:
    kind = (yield 1)[0] >> 4
    if kind == _TIGHT_FILL:
        yield Skip(size.tpixel)
    elif kind == _TIGHT_JPEG or (png and kind == _TIGHT_PNG):
        yield from _compact()
    elif kind < _TIGHT_FILL:  # basic compression; QEMU also uses it in TightPNG, for screens with 8 bits
        # If the bit with the value 4 is set in ``kind``, the next byte names the filter.  If not, no filter is used
        # (rfbproto).
        yield from _tight_basic(width, height, size, explicit=bool(kind & 4))
    else:
        raise unreadable(f"Tight compression {kind}")


def _tight_basic(width: int, height: int, size: PixelSize, *, explicit: bool) -> Reader:
    chosen = (yield 1)[0] if explicit else 0
    length = width * height * size.tpixel
    if chosen == _PALETTE:
        colours = (yield 1)[0] + 1
        yield Skip(colours * size.tpixel)
        length = (width + 7) // 8 * height if colours <= 2 else width * height
    elif chosen > _GRADIENT:
        raise unreadable(f"Tight filter {chosen}")
    if length >= _TIGHT_SMALL:
        yield from _compact()
    else:
        yield Skip(length)


def _compact() -> Reader:
    """Read a length of one to three bytes (with seven, seven and eight bits), and the data with this length."""
    length = 0
    for shift in (0, 7, 14):
        byte = (yield 1)[0]
        length |= (byte if shift == 14 else byte & 0x7F) << shift
        if not byte & 0x80:
            break
    yield Skip(length)


def _cursor(width: int, height: int, size: PixelSize) -> Reader:
    yield _skip(width * height * size.pixel + (width + 7) // 8 * height)


def _x_cursor(width: int, height: int, size: PixelSize) -> Reader:
    if width * height:
        yield _skip(6 + 2 * ((width + 7) // 8) * height)


def _vmware_cursor(width: int, height: int, size: PixelSize) -> Reader:
    kind = (yield 2)[0]
    if kind > 1:
        raise unreadable(f"VMware cursor {kind}")
    yield _skip(width * height * (4 if kind else 2 * size.pixel))


def _screens(width: int, height: int, size: PixelSize) -> Reader:
    count = (yield 4)[0]
    yield Skip(16 * count)


Read: TypeAlias = Callable[[int, int, PixelSize], Reader]
"""Takes the width, the height and the pixel size of a rectangle; returns the reader of its body."""

LAST_RECT: Final = -224

READERS: Final[Mapping[int, Read]] = MappingProxyType(
    {
        0: _raw,
        1: _fixed(4),  # CopyRect
        2: _subrectangles(8),  # RRE
        4: _subrectangles(4),  # CoRRE
        5: _hextile,
        6: _with_length(),  # zlib
        7: _tight,
        16: _with_length(),  # ZRLE
        50: _with_length(after=4),  # H.264: length, flags
        -223: _fixed(0),  # DesktopSize
        LAST_RECT: _fixed(0),
        -232: _fixed(0),  # pointer position
        Encoding.CURSOR: _cursor,
        -240: _x_cursor,
        -257: _fixed(0),  # QEMU: relative pointer
        -258: _fixed(0),  # QEMU: extended key events
        -259: _fixed(0),  # QEMU: audio
        -260: _tight_png,
        -261: _fixed(1),  # QEMU: LED state
        -307: _with_length(),  # DesktopName
        -308: _screens,  # ExtendedDesktopSize
        Encoding.VMWARE_CURSOR: _vmware_cursor,
    }
)
"""Encoding -> its reader."""

_NEVER_SENT: Final = frozenset(
    (*range(-32, -22), *range(-256, -246), *range(-512, -411), *range(-768, -762), -312, -313)
)
"""Pseudo-encodings without rectangles: they only request quality, compression, fences or continuous updates."""


def is_readable(encoding: int) -> bool:
    """Return whether the ends of rectangles with this encoding can be found."""
    return encoding in READERS or encoding in _NEVER_SENT


def rectangle(size: PixelSize) -> Generator[int | Skip, bytes, bool]:
    """Read one rectangle; return whether it was LastRect.

    :raises ConsoleUnreachable: its length cannot be found.
    """
    head = yield 12
    width, height = int.from_bytes(head[4:6], "big"), int.from_bytes(head[6:8], "big")
    encoding = int.from_bytes(head[8:12], "big", signed=True)
    read = READERS.get(encoding)
    if read is None:
        raise unreadable(f"a rectangle with encoding {encoding}")
    yield from read(width, height, size)
    return encoding == LAST_RECT
