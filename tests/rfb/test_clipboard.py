"""The ends of a server's messages, in every encoding, and the clipboard texts that pass the limits."""

import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import ConsoleUnreachable, MessageTooBig, ProtocolViolation
from novnc_twisted.rfb.clipboard import UNLIMITED, ClipboardLimits, ClipboardPolicy
from novnc_twisted.rfb.pixel_format import PixelSize
from novnc_twisted.rfb.rectangles import READERS
from novnc_twisted.rfb.server_messages import ServerMessages
from tests.rfb.server_stream import ENCODINGS, TRUE_COLOUR, messages
from tests.support.untimed import untimed

FORMATS = {
    (4, 3): TRUE_COLOUR,
    (4, 4): struct.pack(">4B3H3B3x", 32, 30, 0, 1, 1023, 1023, 1023, 20, 10, 0),
    (2, 2): struct.pack(">4B3H3B3x", 16, 16, 0, 1, 31, 63, 31, 11, 5, 0),
    (1, 1): struct.pack(">4B3H3B3x", 8, 8, 0, 0, 0, 0, 0, 0, 0, 0),
}
REQUEST = struct.pack(">BBHHHH", 3, 1, 0, 0, 640, 400)
CONTINUOUS = struct.pack(">BBHHHH", 150, 1, 0, 0, 640, 400)
KEY = struct.pack(">BBxxI", 4, 1, 97)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """Divide the data into pieces of these sizes, which are used in turn."""
    pieces, at, turn = [], 0, 0
    while at < len(data):
        step = sizes[turn % len(sizes)]
        pieces.append(data[at : at + step])
        at, turn = at + step, turn + 1
    return pieces


chunks = st.lists(st.integers(1, 300), min_size=1, max_size=5)


def text(content: bytes, kind: int = 3) -> bytes:
    return struct.pack(">B3xi", kind, len(content)) + content


def encodings(*numbers: int) -> bytes:
    return struct.pack(f">BxH{len(numbers)}i", 2, len(numbers), *numbers)


def set_format(pixel_format: bytes) -> bytes:
    return b"\0\0\0\0" + pixel_format


class FramingTests(SynchronousTestCase):
    @untimed
    @given(messages, chunks)
    def test_every_message_in_any_pieces(self, stream: list[bytes], sizes: list[int]) -> None:
        reader = ServerMessages(PixelSize.of(TRUE_COLOUR))
        for message in stream:
            pieces = [piece for data in cut(message, sizes) for piece in reader.receive(data)]
            self.assertEqual(b"".join(piece.data for piece in pieces), message)
            self.assertEqual({piece.kind for piece in pieces}, {message[0]})
            self.assertTrue(reader.between)

    @untimed
    @given(messages, chunks)
    def test_texts_are_removed_and_nothing_else(self, stream: list[bytes], sizes: list[int]) -> None:
        for limit in (0, 10, 1000):
            policy = ClipboardPolicy(ClipboardLimits(from_server=limit), TRUE_COLOUR)
            passed = b"".join(policy.from_upstream(data) for data in cut(b"".join(stream), sizes))
            kept = [one for one in stream if one[0] != 3 or 0 < struct.unpack(">i", one[4:8])[0] <= limit]
            self.assertEqual(passed, b"".join(kept))

    def test_the_streams_have_every_encoding(self) -> None:
        self.assertEqual({*ENCODINGS, -224}, set(READERS))

    def test_pixel_sizes(self) -> None:
        for sizes, pixel_format in FORMATS.items():
            size = PixelSize.of(pixel_format)
            self.assertEqual((size.pixel, size.tpixel), sizes)

    def test_wide_rectangles(self) -> None:
        """A width of 65,535 is accepted, because the policy needs only the end of a rectangle."""
        for encoding, more in ((0, bytes(4 * 65535)), (2, bytes(8)), (6, bytes(4)), (7, b"\x80123"), (16, bytes(4))):
            data = struct.pack(">BxHHHHHi", 0, 1, 0, 0, 65535, 1, encoding) + more
            reader = ServerMessages(PixelSize.of(TRUE_COLOUR))
            self.assertEqual(b"".join(piece.data for piece in reader.receive(data)), data)
            self.assertTrue(reader.between)

    def test_what_cannot_be_followed(self) -> None:
        def rectangle(encoding: int, width: int = 16, height: int = 16, more: bytes = b"") -> bytes:
            return struct.pack(">BxHHHHHi", 0, 1, 0, 0, width, height, encoding) + more

        for data in (
            b"\4",
            b"\x63",
            rectangle(15),
            rectangle(21),
            rectangle(-305),
            rectangle(0, 65535, 65535),
            rectangle(7, more=b"\xa0"),
            rectangle(7, more=b"\xf0"),
            rectangle(-260, more=b"\xb0"),
            rectangle(7, more=b"\x40\3"),
            rectangle(6, more=b"\xff\xff\xff\xff"),
            rectangle(2, more=b"\xff\xff\xff\xff1234"),
            rectangle(0x574D5664, more=b"\2\0"),
            struct.pack(">B3xi", 3, -(1 << 31)),
            struct.pack(">B3xi", 3, 1 << 30),
            b"\xf8" + bytes(7) + b"\x41",
            b"\xff\2\0\0",
            b"\xff\1\0\3",
            b"\xff\1\0\2\xff\xff\xff\xff",
        ):
            reader = ServerMessages(PixelSize.of(TRUE_COLOUR))
            self.assertRaises(ConsoleUnreachable, list, reader.receive(data))

    @untimed
    @given(st.binary(max_size=2000), chunks)
    def test_nonsense_takes_no_memory(self, data: bytes, sizes: list[int]) -> None:
        reader = ServerMessages(PixelSize.of(TRUE_COLOUR))
        try:
            for piece in cut(data, sizes):
                list(reader.receive(piece))
                self.assertLess(len(reader._held), 1100)
        except ConsoleUnreachable:
            pass


class EmptyTests(SynchronousTestCase):
    def test_empty_rectangles_take_no_time(self) -> None:
        """Even if the server claims a huge height or width."""
        size = PixelSize.of(TRUE_COLOUR)
        for width, height in ((0, 1 << 60), (1 << 60, 0)):
            self.assertEqual(list(READERS[5](width, height, size)), [])


class ViewerTests(SynchronousTestCase):
    def policy(self, to_server: int = UNLIMITED, from_server: int = UNLIMITED) -> ClipboardPolicy:
        return ClipboardPolicy(ClipboardLimits(to_server, from_server), TRUE_COLOUR)

    @untimed
    @given(
        st.lists(st.sampled_from((REQUEST, KEY, text(b"", 6), text(b"hello", 6), text(b"x" * 50, 6)))),
        st.sampled_from((0, 5, 49, 50, UNLIMITED)),
        chunks,
    )
    def test_texts_to_the_server(self, stream: list[bytes], limit: int, sizes: list[int]) -> None:
        policy = self.policy(to_server=limit, from_server=0)
        passed = b"".join(policy.from_client(data) for data in cut(b"".join(stream), sizes))
        room = limit if limit != UNLIMITED else 1 << 20
        kept = [one for one in stream if one[0] != 6 or 0 < len(one) - 8 <= room]
        self.assertEqual(passed, b"".join(kept))

    def test_the_extended_clipboard(self) -> None:
        extended = struct.pack(">B3xi", 6, -8) + b"\x10\0\0\1abcd"
        for limits in ((0, 0), (UNLIMITED, 0), (0, UNLIMITED)):
            policy = self.policy(*limits)
            self.assertEqual(policy.from_client(encodings(7, -1063131698, 0)), encodings(7, 0))
            self.assertEqual(policy.from_client(extended + KEY), KEY)

    def test_encodings_that_cannot_be_followed(self) -> None:
        listed = encodings(7, 15, 21, 16, -305, -23, -256, -312, 0)
        self.assertEqual(self.policy(from_server=0).from_client(listed), encodings(7, 16, -23, -256, -312, 0))
        self.assertEqual(self.policy(to_server=0).from_client(listed), listed)
        self.assertEqual(self.policy(from_server=0).from_client(encodings(21)), encodings(0))

    def test_the_size_of_pixels(self) -> None:
        small = set_format(FORMATS[(2, 2)])
        raw = struct.pack(">BxHHHHHi", 0, 1, 0, 0, 3, 3, 0) + b"p" * 18
        policy = self.policy(from_server=0)
        self.assertEqual(policy.from_client(small + REQUEST), small + REQUEST)
        self.assertEqual(policy.from_upstream(raw + text(b"secret") + raw), raw + raw)
        self.assertEqual(policy.from_client(small), small)
        self.assertRaises(ProtocolViolation, policy.from_client, set_format(TRUE_COLOUR))
        for asked in (REQUEST, KEY + CONTINUOUS, encodings(0, -239), encodings(0, 0x574D5664)):
            late = self.policy(from_server=0)
            self.assertEqual(late.from_client(asked), asked)
            self.assertRaises(ProtocolViolation, late.from_client, small)
        early = self.policy(from_server=0)
        self.assertEqual(early.from_client(encodings(0, 7) + small), encodings(0, 7) + small)

    def test_the_size_of_pixels_does_not_matter_for_texts_to_the_server(self) -> None:
        policy = self.policy(to_server=1024)
        stream = REQUEST + set_format(FORMATS[(2, 2)]) + REQUEST + set_format(TRUE_COLOUR)
        self.assertEqual(policy.from_client(stream), stream)

    def test_without_a_shield(self) -> None:
        policy = self.policy(to_server=0)
        for piece in cut(KEY + text(b"hello", 6), [3]):
            policy.from_client(piece)
        self.assertEqual(policy.unfinished, 0)
        self.assertRaises(ProtocolViolation, policy.from_client, b"\x63")
        self.assertRaises(MessageTooBig, policy.from_client, struct.pack(">B3xi", 6, 1 << 30))

    def test_no_limit(self) -> None:
        self.assertFalse(ClipboardLimits().limited)
        self.assertEqual(self.policy(to_server=0).from_upstream(b"anything"), b"anything")
