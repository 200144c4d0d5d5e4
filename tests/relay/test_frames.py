"""The decoder and the encoder of WebSocket frames (RFC 6455, section 5), with bytes in chunks of any size."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import MessageTooBig, ProtocolViolation, Refusal, TextRefused
from novnc_twisted.relay.frames import (
    MESSAGE_LIMIT,
    NO_CODE,
    FrameDecoder,
    binary_header,
    close_frame,
    control_frame,
    good_close_code,
    small_messages,
    unmask,
)
from tests.session.harness import frame

GOOD = st.one_of(
    st.binary(max_size=300).map(lambda data: frame(2, data)),
    # A few repeated bytes, because hypothesis would take milliseconds to draw 65,000 bytes.
    st.tuples(st.integers(65530, 65540), st.binary(min_size=1, max_size=7)).map(
        lambda drawn: frame(2, (drawn[1] * drawn[0])[: drawn[0]])
    ),
    st.tuples(st.binary(max_size=20), st.binary(max_size=20), st.binary(max_size=9)).map(
        lambda parts: frame(2, parts[0], fin=False) + frame(9, parts[2]) + frame(0, parts[1])
    ),
    st.binary(max_size=125).map(lambda data: frame(9, data)),
    st.binary(max_size=125).map(lambda data: frame(10, data)),
)
ANY = st.one_of(GOOD, st.binary(max_size=30), st.just(frame(8, b"\x03\xe8bye")), st.just(frame(1, b"text")))


def outcome(chunks: list[bytes]) -> tuple[bytes, list[bytes], int | None, str]:
    decoder = FrameDecoder()
    payload = b"".join(decoder.receive(chunk) for chunk in chunks)
    return payload, decoder.pings, decoder.close_code, str(decoder.failure)


class Decoding(SynchronousTestCase):
    @settings(max_examples=150, deadline=None)
    @given(frames=st.lists(ANY, max_size=6), cuts=st.lists(st.integers(0, 70000), max_size=12))
    def test_chunking_makes_no_difference(self, frames: list[bytes], cuts: list[int]) -> None:
        data = b"".join(frames)
        edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
        chunks = [data[a:b] for a, b in pairwise(edges)]
        self.assertEqual(outcome(chunks), outcome([data]))

    @settings(max_examples=60, deadline=None)
    @given(frames=st.lists(ANY, max_size=4).map(lambda parts: b"".join(parts)[:400]))
    def test_byte_by_byte(self, frames: bytes) -> None:
        self.assertEqual(outcome([bytes([byte]) for byte in frames]), outcome([frames]))

    @given(data=st.binary(max_size=100_000), mask=st.binary(min_size=4, max_size=4))
    @settings(max_examples=50, deadline=None)
    def test_unmask(self, data: bytes, mask: bytes) -> None:
        self.assertEqual(unmask(data, mask), bytes(byte ^ mask[at % 4] for at, byte in enumerate(data)))

    @given(
        messages=st.lists(st.tuples(st.binary(max_size=130), st.binary(min_size=4, max_size=4)), max_size=40),
        cuts=st.lists(st.integers(0, 5000), max_size=3),
    )
    @settings(max_examples=100, deadline=None)
    def test_runs_of_small_messages(self, messages: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
        data = b"".join(frame(2, payload, mask=mask) for payload, mask in messages)
        edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
        wanted = b"".join(payload for payload, _ in messages)
        self.assertEqual(outcome([data[a:b] for a, b in pairwise(edges)]), (wanted, [], None, "None"))

    def test_a_run_ends_before_any_other_frame(self) -> None:
        run = frame(2, b"a", mask=b"1234") + frame(2, b"b", mask=b"5678")
        for name, what in {
            "empty": frame(2, b""),
            "ping": frame(9, b"?"),
            "pieces": frame(2, b"c", fin=False) + frame(0, b"d"),
            "longer": frame(2, bytes(126)),
            "unfinished": frame(2, b"cde")[:-1],
            "half a header": b"\x82\x85ab",
        }.items():
            payload, at = small_messages(run + what, 0, 125)
            self.assertEqual((payload, at), (b"ab", len(run)), name)
        self.assertEqual(small_messages(frame(2, b"abc"), 0, 2), (b"", 0), "longer than the limit")

    def test_every_length(self) -> None:
        for length in (0, 1, 125, 126, 127, 65535, 65536, MESSAGE_LIMIT):
            data = bytes(length)
            self.assertEqual(outcome([frame(2, data)]), (data, [], None, "None"))

    def test_pieces_with_a_ping_between(self) -> None:
        data = frame(2, b"ab", fin=False) + frame(9, b"?") + frame(0, b"", fin=False) + frame(0, b"cd")
        self.assertEqual(outcome([data + frame(2, b"e")]), (b"abcde", [b"?"], None, "None"))

    def test_an_empty_message_is_a_heartbeat(self) -> None:
        """It counts alone, between others, and byte by byte.  An empty message in fragments is not a heartbeat."""
        for data, heartbeat in (
            (frame(2, b""), True),
            (frame(2, b"key") + frame(2, b"") + frame(2, b"key"), True),
            (frame(2, b"key"), False),
            (frame(2, b"", fin=False) + frame(0, b""), False),
            (frame(9, b""), False),
        ):
            for step in (1, len(data)):
                decoder = FrameDecoder()
                payload = b"".join(decoder.receive(data[at : at + step]) for at in range(0, len(data), step))
                self.assertEqual((decoder.heartbeat, payload), (heartbeat, b"keykey"[: data.count(b"\x83") * 3]))
                self.assertEqual(decoder.news, heartbeat or bool(decoder.pings))

    def test_close(self) -> None:
        self.assertEqual(outcome([frame(8, b"") + frame(2, b"late")])[2], NO_CODE)
        self.assertEqual(outcome([frame(8, b"\x03\xe9going")])[2], 1001)

    def failure(self, data: bytes) -> type[Refusal]:
        decoder = FrameDecoder()
        payload = decoder.receive(frame(2, b"before") + data)
        self.assertEqual(payload, b"before", "bytes before the violation are passed on")
        self.assertEqual(decoder.receive(frame(2, b"after")), b"")
        assert decoder.failure is not None
        return type(decoder.failure)

    def test_violations(self) -> None:
        for name, data in {
            "reserved bit": b"\xc2\x80\0\0\0\0",
            "not masked": b"\x82\x01a",
            "reserved opcode": frame(3, b""),
            "reserved control opcode": frame(11, b""),
            "continuation of nothing": frame(0, b""),
            "message in a message": frame(2, b"", fin=False) + frame(2, b""),
            "ping in pieces": frame(9, b"", fin=False),
            "long ping": frame(9, bytes(126)),
            "length 125 in 2 bytes": b"\x82\xfe\0\x7d\0\0\0\0",
            "length 65535 in 8 bytes": b"\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0",
            "length of 64 bits": b"\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0",
            "close of one byte": frame(8, b"\x03"),
            "close with 1005": frame(8, b"\x03\xed"),
            "close with 999": frame(8, b"\x03\xe7"),
            "close with 2000": frame(8, b"\x07\xd0"),
            "close with invalid UTF-8": frame(8, b"\x03\xe8\xff"),
        }.items():
            self.assertIs(self.failure(data), ProtocolViolation, name)

    def test_text(self) -> None:
        self.assertIs(self.failure(frame(1, b"hello")), TextRefused)
        self.assertIs(self.failure(frame(1, b"", fin=False)), TextRefused)

    def test_too_big(self) -> None:
        self.assertIs(self.failure(b"\x82\xff" + (MESSAGE_LIMIT + 1).to_bytes(8, "big") + bytes(4)), MessageTooBig)
        self.assertIs(self.failure(b"\x82\xff" + (1 << 62).to_bytes(8, "big") + bytes(4)), MessageTooBig)

    def test_too_big_and_small(self) -> None:
        decoder = FrameDecoder(limit=10)
        self.assertEqual(decoder.receive(frame(2, b"before") + frame(2, bytes(11))), b"before")
        self.assertIsInstance(decoder.failure, MessageTooBig)

    def test_too_big_in_pieces(self) -> None:
        decoder = FrameDecoder(limit=10)
        decoder.receive(frame(2, bytes(6), fin=False))
        self.assertIsNone(decoder.failure)
        decoder.receive(frame(0, bytes(5)))
        self.assertIsInstance(decoder.failure, MessageTooBig)

    def test_the_limit_is_per_message(self) -> None:
        decoder = FrameDecoder(limit=10)
        for _ in range(5):
            decoder.receive(frame(2, bytes(5), fin=False) + frame(0, bytes(5)))
        self.assertIsNone(decoder.failure)


class Encoding(SynchronousTestCase):
    def test_headers(self) -> None:
        for length, header in {
            0: b"\x82\0",
            125: b"\x82\x7d",
            126: b"\x82\x7e\0\x7e",
            65535: b"\x82\x7e\xff\xff",
            65536: b"\x82\x7f\0\0\0\0\0\1\0\0",
        }.items():
            self.assertEqual(binary_header(length), header)

    def test_close_reasons_are_cut_between_characters(self) -> None:
        self.assertEqual(close_frame(4401, "é" * 100), b"\x88\x7c\x11\x31" + "é".encode() * 61)

    def test_control_frames_are_short(self) -> None:
        self.assertRaises(ValueError, control_frame, 9, bytes(126))

    def test_codes(self) -> None:
        self.assertEqual(
            [code for code in range(998, 1018) if good_close_code(code)], [*range(1000, 1004), *range(1007, 1015)]
        )
        self.assertTrue(good_close_code(4999))
        self.assertFalse(good_close_code(5000))
