"""The lengths of rectangles, found without decoding them."""

from struct import pack

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.rfb.pixel_format import PixelSize
from novnc_twisted.rfb.rectangles import Skip, is_readable, rectangle

SIZE = PixelSize(4, 3)


def length_of(data: bytes, encoding: int, width: int, height: int) -> int:
    """Return the length of a rectangle's body that begins with ``data``; the end of a long body may be missing."""
    reader, at = rectangle(SIZE), 0
    data = pack(">HHHHi", 0, 0, width, height, encoding) + data
    try:
        wanted = next(reader)
        while True:
            if isinstance(wanted, Skip):
                at += wanted.length
                wanted = reader.send(b"")
            else:
                at += wanted
                wanted = reader.send(data[at - wanted : at])
    except StopIteration:
        return at - 12


class RectangleTests(SynchronousTestCase):
    def test_tight(self) -> None:
        """The low four bits of the first byte reset streams; the high ones are the stream (0 to 3) or the kind."""
        for data, size, length in (
            (b"\x00", (1, 1), 1 + 3),  # basic, too small to be compressed
            (b"\x10", (1, 1), 1 + 3),  # the same in stream 1, which is not an explicit filter
            (b"\x30\x05", (9, 9), 1 + 1 + 5),  # compressed, in stream 3
            (
                b"\x40\x01\x01",
                (9, 2),
                1 + 1 + 1 + 2 * 3 + 2 * 2,
            ),  # a filter: a palette of two colours, a bit for a pixel
            (b"\x40\x02\x85\x01", (9, 9), 1 + 1 + 2 + 133),  # a filter: gradient; a length of two bytes
            (b"\x80", (9, 9), 1 + 3),  # fill
            (b"\x90\x81\x82\x01", (9, 9), 1 + 3 + (1 << 14 | 2 << 7 | 1)),  # JPEG; a length of three bytes
        ):
            self.assertEqual(length_of(data, 7, *size), length, data)

    def test_hextile(self) -> None:
        """One tile: its mask, and what the bits of the mask announce."""
        for data, length in (
            (b"\x00", 1),
            (b"\x01", 1 + 2 * 2 * 4),  # raw
            (b"\x06", 1 + 2 * 4),  # background and foreground
            (b"\x08\x03", 1 + 1 + 3 * 2),  # three subrectangles
            (b"\x18\x03", 1 + 1 + 3 * 6),  # coloured ones
        ):
            self.assertEqual(length_of(data, 5, 2, 2), length, data)

    def test_readable_encodings(self) -> None:
        for encoding in (0, 16, -223, -308, -312, -313, -32, -23, -512, -412):
            self.assertTrue(is_readable(encoding), encoding)
        for encoding in (3, 17, -311, -314, -316, -305, -22, -33, -513):
            self.assertFalse(is_readable(encoding), encoding)
