"""Text messages beside the stream: the decoder, with chunks of any size, and ChannelEnd."""

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase, TestCase

from novnc_twisted.errors import ClientLeft, MessageTooBig, ProtocolViolation, Refusal
from novnc_twisted.relay.channel_end import ChannelEnd
from novnc_twisted.relay.frames import FrameDecoder
from novnc_twisted.relay.stream_end import VIEWER_STALL, StreamEnd
from novnc_twisted.relay.text_frames import TEXT_LIMIT, TextFrameDecoder, text_header
from tests.relay.socket_ends import SocketEnds, flow
from tests.session.harness import WebSocket
from tests.support.frames import frame

TEXTS = st.text(max_size=200).map(str.encode)
FRAMES = st.one_of(
    st.binary(max_size=300).map(lambda data: frame(2, data)),
    TEXTS.map(lambda text: frame(1, text)),
    st.tuples(TEXTS, TEXTS).map(
        lambda parts: frame(1, parts[0], fin=False) + frame(9, b"p") + frame(0, parts[1], fin=True)
    ),
    st.binary(max_size=9).map(lambda data: frame(9, data)),
)


def outcome(chunks: list[bytes]) -> tuple[bytes, list[str], list[bytes], str]:
    decoder = TextFrameDecoder()
    payload = b"".join(decoder.receive(chunk) for chunk in chunks)
    return payload, decoder.texts, decoder.pings, str(decoder.failure)


class Decoding(SynchronousTestCase):
    @settings(max_examples=100, deadline=None)
    @given(frames=st.lists(FRAMES, max_size=6), cuts=st.lists(st.integers(0, 3000), max_size=12))
    def test_chunking_makes_no_difference(self, frames: list[bytes], cuts: list[int]) -> None:
        data = b"".join(frames)
        edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
        self.assertEqual(outcome([data[a:b] for a, b in pairwise(edges)]), outcome([data]))

    @settings(max_examples=50, deadline=None)
    @given(data=st.lists(FRAMES, max_size=4).map(lambda parts: b"".join(parts)[:600]))
    def test_without_text_nothing_differs(self, data: bytes) -> None:
        plain = FrameDecoder()
        expected = plain.receive(data)
        if plain.failure is None:
            self.assertEqual(outcome([data])[0], expected)

    def test_order(self) -> None:
        decoder = TextFrameDecoder()
        sent = frame(2, b"ab") + frame(1, "é".encode()) + frame(2, b"c") + frame(1, b"")
        self.assertEqual(decoder.receive(sent), b"abc")
        self.assertEqual((decoder.texts, decoder.news), (["é", ""], True))

    def test_headers(self) -> None:
        for length, header in ((125, b"\x81\x7d"), (126, b"\x81\x7e\x00\x7e"), (65535, b"\x81\x7e\xff\xff")):
            self.assertEqual(text_header(length), header)

    def refusal(self, *frames: bytes) -> Refusal | None:
        decoder = TextFrameDecoder()
        decoder.receive(b"".join(frames))
        self.assertEqual(decoder.receive(frame(2, b"x")), b"")
        return decoder.failure

    def test_refused(self) -> None:
        half = TEXT_LIMIT // 2
        for kind, frames in (
            (MessageTooBig, [frame(1, bytes(TEXT_LIMIT + 1))[:10]]),
            (MessageTooBig, [frame(1, bytes(half), fin=False), frame(0, bytes(half + 1))[:10]]),
            (ProtocolViolation, [frame(1, b"\xff")]),
            (ProtocolViolation, [frame(1, b"a", fin=False), frame(1, b"b")]),
            (ProtocolViolation, [frame(1, b"a", fin=False), frame(2, b"b")]),
            (ProtocolViolation, [frame(2, b"a", fin=False), frame(1, b"b")]),
            (ProtocolViolation, [b"\x81\x01a"]),
            (ProtocolViolation, [b"\xc1\x81\0\0\0\0a"]),
            (ProtocolViolation, [frame(0, b"a")]),
        ):
            self.assertIsInstance(self.refusal(*frames), kind, frames)
        decoder = TextFrameDecoder()
        decoder.receive(frame(1, b"a" * TEXT_LIMIT))
        self.assertEqual(decoder.texts, ["a" * TEXT_LIMIT])


class _Narrow(StringTransport):
    """A transport whose buffer is full again after each write, as with a viewer that does not read."""

    def write(self, data: bytes) -> None:
        super().write(data)
        self.producer.pauseProducing()


class SlowReaders(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.end = ChannelEnd(self.clock, ping_every=0)
        self.transport = _Narrow()
        self.end.makeConnection(self.transport)

    def test_room_that_the_waiting_messages_fill_again(self) -> None:
        """Of the later messages, only the newest of each kind waits.  A viewer that reads nothing counts as lost."""
        self.end.write_text("people", "0")
        for number in range(1, 100):
            self.end.write_text("people", str(number))
            if number % 10 == 0:
                self.end.resumeProducing()
        self.assertEqual(self.transport.value(), b"".join(frame_to_page(n) for n in range(0, 100, 10)))
        self.clock.pump([1] * int(VIEWER_STALL + 2))
        self.assertIsInstance(self.end._over, ClientLeft)

    def test_a_pong_fills_it_again(self) -> None:
        self.end.pauseProducing()
        self.end.dataReceived(frame(9, b"p"))
        self.end.write_text("people", "0")
        self.end.resumeProducing()
        self.assertEqual(self.transport.value(), b"\x8a\x01p")
        self.end.resumeProducing()
        self.assertEqual(self.transport.value(), b"\x8a\x01p" + frame_to_page(0))


def frame_to_page(number: int) -> bytes:
    text = str(number).encode()
    return text_header(len(text)) + text


class _ChannelCase(SocketEnds):
    detached: bool

    async def joined(self) -> Any:
        self.client, self.viewer = await self.connected(ChannelEnd)
        self.upstream, self.server = await self.connected(StreamEnd)
        self.heard: list[str] = []
        self.client.on_text = self.heard.append
        return flow(self.client, self.upstream, detached=self.detached)

    async def test_texts_between_pictures(self) -> None:
        """While our buffer is full, the newest text of each kind waits; then it is sent between two binary messages."""
        from twisted.internet import reactor

        cause = await self.joined()
        self.viewer.transport.pauseProducing()
        self.server.write(b"x" * (4 << 20))
        while not self.client._full:
            await deferLater(reactor, 0)
        for number in range(100):
            self.client.write_text("people", f"p{number}")
        self.client.write_text("mode", "m")
        self.assertEqual(len(self.client._unsent), 2)
        self.viewer.transport.resumeProducing()
        socket = WebSocket(self.viewer)
        texts, size = [], 0
        while size < 4 << 20:
            opcode, payload = await socket.frame()
            if opcode == 1:
                texts.append(payload)
            else:
                size += len(payload)
        self.assertEqual(texts, [b"p99", b"m"])
        self.viewer.write(frame(1, b"hello") + frame(2, b"key"))
        self.assertEqual(await self.server.until(b"key"), b"key")
        self.assertEqual(self.heard, ["hello"])
        self.client.on_text = None
        self.viewer.write(frame(1, b"hello"))
        self.assertIsInstance(await cause, ProtocolViolation)


class Detached(_ChannelCase, TestCase):
    detached = True


class OnTransports(_ChannelCase, TestCase):
    detached = False
