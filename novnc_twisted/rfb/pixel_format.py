"""PIXEL_FORMAT: how many bytes a pixel has (RFC 6143, section 7.4)."""

import struct
from dataclasses import dataclass
from typing import Final, Self

_FORMAT: Final = struct.Struct(">4B3H3B3x")


@dataclass(frozen=True, slots=True)
class PixelSize:
    """The sizes that follow from a PIXEL_FORMAT.

    :ivar pixel: bytes of a PIXEL.
    :ivar tpixel: bytes of a TPIXEL, which the Tight encoding uses (rfbproto, "Tight Encoding").
    """

    pixel: int
    tpixel: int

    @classmethod
    def of(cls, pixel_format: bytes) -> Self:
        """Read a PIXEL_FORMAT of 16 bytes."""
        bits, depth, _, true_colour, *maxima = _FORMAT.unpack(pixel_format)[:7]
        pixel = max(1, bits // 8)
        whole_bytes = bits == 32 and depth == 24 and true_colour and maxima == [255, 255, 255]
        return cls(pixel, 3 if whole_bytes else pixel)
