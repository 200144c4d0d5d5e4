"""What is true of each engine of the relay, on real sockets, TCP and unix."""

import fcntl
import hashlib
import sys
import termios
from typing import Any
from unittest import mock

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from novnc_twisted.errors import ClientLeft, ConsoleClosed, ProtocolViolation, Refusal, Stopping, TextRefused
from novnc_twisted.relay import StreamEnd, WebSocketEnd, stream_end, websocket_end
from novnc_twisted.relay.detached.side import StreamSide
from novnc_twisted.relay.frames import PING, PONG, close_frame
from tests.relay.socket_ends import SocketEnds, buffered, flow, reset
from tests.session.harness import Raw, WebSocket, frame

AMOUNT = 4 << 20
"""Bytes; more than all buffers between two peers hold (see harness.KERNEL_BUFFER)."""

PATTERN = bytes(range(256)) * 256


class Engines(SocketEnds):
    """The tests; run on each."""

    BOUND = 5 * 65536  # what was read at once comes on top of the transport's limit of 64 KiB
    detached: bool

    async def ends(self, *filters: Any, kind: Any = WebSocketEnd) -> None:
        self.client, self.viewer = await self.connected(kind)
        self.upstream, self.server = await self.connected(StreamEnd, lost=ConsoleClosed, stall=60)
        self.filters = filters

    def join(self) -> Deferred[Refusal]:
        cause = flow(self.client, self.upstream, self.filters, detached=self.detached)
        for end in (self.client, self.upstream):
            self.assertEqual(isinstance(end.transport, StreamSide), self.detached)
        return cause

    async def joined(self, *filters: Any, kind: Any = WebSocketEnd) -> Deferred[Refusal]:
        await self.ends(*filters, kind=kind)
        return self.join()

    async def close(self, cause: Refusal) -> None:
        """Hang both up; a viewer that answers no close frame is not waited for."""
        with mock.patch.object(stream_end, "CLOSE_GRACE", 0.1):
            self.upstream.close(cause)
            self.client.close(cause)
        await self.upstream.closed()
        await self.client.closed()

    def full(self, end: Any) -> Deferred[None]:
        """Fires when what is to be sent to this end's peer begins to wait."""
        full: Deferred[None] = Deferred()
        original = StreamEnd.pauseProducing

        def pauseProducing(self: Any) -> None:
            original(self)
            if self is end and not full.called:
                full.callback(None)

        self.patch(StreamEnd, "pauseProducing", pauseProducing)
        return full

    async def at_rest(self) -> None:
        """Until nothing moves any more."""
        before, still = -1, 0
        while still < 5:
            await deferLater(reactor, 0.01, lambda: None)
            now = self.client.bytes_in + self.upstream.bytes_in
            before, still = now, still + 1 if now == before else 0

    async def messages(self, amount: int) -> bytes:
        """So many bytes as the viewer gets them."""
        data = bytearray()
        while len(data) < amount:
            first, length = await self.viewer.read(2)
            self.assertEqual(first, 0x82)
            if length > 125:
                length = int.from_bytes(await self.viewer.read(2 if length == 126 else 8), "big")
            data += await self.viewer.read(length)
        return bytes(data)

    # Back-pressure

    async def test_a_viewer_that_does_not_read(self) -> None:
        await self.ends()
        self.viewer.transport.pauseProducing()
        stopped = self.full(self.client)
        cause = self.join()
        self.server.write(PATTERN * (AMOUNT // len(PATTERN)))
        await stopped
        self.assertLess(buffered(self.client), self.BOUND)
        self.viewer.write(frame(2, b"still heard"))
        await self.server.until(b"still heard")
        self.assertLess(buffered(self.client), self.BOUND)
        self.assertLess(self.upstream.bytes_in, AMOUNT, "the rest waits at the server")
        self.viewer.transport.resumeProducing()
        data = await self.messages(AMOUNT)
        self.assertEqual(hashlib.sha256(data).digest(), hashlib.sha256(PATTERN * (AMOUNT // len(PATTERN))).digest())
        self.assertEqual((self.upstream.bytes_in, self.client.bytes_out), (AMOUNT,) * 2)
        self.assertEqual((self.client.bytes_in, self.upstream.bytes_out), (11, 11))
        self.server.transport.loseConnection()
        self.assertIsInstance(await cause, ConsoleClosed)

    async def test_a_server_that_does_not_read(self) -> None:
        await self.ends()
        self.server.transport.pauseProducing()
        stopped = self.full(self.upstream)
        cause = self.join()
        for _ in range(AMOUNT // len(PATTERN)):
            self.viewer.write(frame(2, PATTERN))
        await stopped
        self.assertLess(buffered(self.upstream), self.BOUND)
        self.server.write(b"still seen")
        self.assertEqual(await self.messages(10), b"still seen")
        self.server.transport.resumeProducing()
        data = await self.server.read(AMOUNT)
        self.assertEqual(hashlib.sha256(data).digest(), hashlib.sha256(PATTERN * (AMOUNT // len(PATTERN))).digest())
        self.viewer.transport.loseConnection()
        self.assertIsInstance(await cause, ClientLeft)

    async def test_both_flood_and_nobody_starves(self) -> None:
        cause = await self.joined()
        self.server.write(PATTERN * 128)
        for _ in range(128):
            self.viewer.write(frame(2, PATTERN))
        one, other = self.messages(len(PATTERN) * 128), self.server.read(len(PATTERN) * 128)
        self.assertEqual(await Deferred.fromCoroutine(one), PATTERN * 128)
        self.assertEqual(await other, PATTERN * 128)
        cause.cancel()
        self.failureResultOf(cause, CancelledError)

    async def test_what_waited_on_the_transports_goes_first(self) -> None:
        await self.ends()
        stopped = self.full(self.client)
        self.viewer.transport.pauseProducing()
        sent = 0
        while not stopped.called:  # how much the kernel takes differs between machines
            self.client.write(PATTERN)
            sent += 1
        self.assertGreater(buffered(self.client), 0)
        self.upstream.dataReceived(b"held before")
        self.join()
        self.server.write(b", sent later")
        self.viewer.transport.resumeProducing()
        data = await self.messages(len(PATTERN) * sent + 23)
        self.assertEqual(data[-23:], b"held before, sent later")
        self.assertEqual(data[:-23], PATTERN * sent)

    # How it ends

    async def test_what_the_server_said_last_reaches_a_slow_viewer(self) -> None:
        await self.ends()
        self.viewer.transport.pauseProducing()
        stopped = self.full(self.client)
        cause = self.join()
        self.server.write(PATTERN * (AMOUNT // len(PATTERN)))
        self.server.transport.loseWriteConnection()
        await stopped
        await self.at_rest()
        self.assertNoResult(cause)
        self.viewer.transport.resumeProducing()
        self.assertEqual(len(await self.messages(AMOUNT)), AMOUNT)
        self.assertIsInstance(await cause, ConsoleClosed)

    async def test_what_came_before_the_server_reset_reaches_a_slow_viewer(self) -> None:
        if not self.detached:
            return  # a transport that can't write is closed at once
        await self.ends()
        self.viewer.transport.pauseProducing()
        stopped = self.full(self.client)
        cause = self.join()
        self.server.write(bytes(AMOUNT))
        await stopped
        await self.at_rest()
        waiting = bytearray(4)
        fcntl.ioctl(self.upstream.transport.descriptor, termios.FIONREAD, waiting)
        came = self.upstream.bytes_in + int.from_bytes(waiting, sys.byteorder)
        reset(self.server)
        self.viewer.write(frame(2, b"?"))  # what is sent to somebody who has left
        await self.at_rest()
        self.viewer.write(frame(2, b"?"))
        await self.at_rest()
        self.assertNoResult(cause)
        self.viewer.transport.resumeProducing()
        self.assertGreater(came, self.upstream.bytes_in)
        self.assertEqual(len(await self.messages(came)), came)
        self.assertIsInstance(await cause, ConsoleClosed)

    async def test_each_may_close_its_direction(self) -> None:
        """RFB knows no half-closed stream, but what was sent before still arrives."""
        for leaving, end, reason in ((0, "viewer", ClientLeft), (1, "server", ConsoleClosed)):
            cause = await self.joined()
            self.viewer.write(frame(2, b"typed"))
            self.server.write(b"drawn")
            getattr(self, end).transport.loseWriteConnection()
            if leaving == 0:
                self.assertEqual(await self.server.read(5), b"typed")
            else:
                self.assertEqual(await self.messages(5), b"drawn")
            self.assertIsInstance(await cause, reason)
            await self.close(Stopping())

    async def test_a_reset_in_every_phase(self) -> None:
        for phase in ("before", "at once", "idle", "busy"):
            for name, reason in (("viewer", ClientLeft), ("server", ConsoleClosed)):
                await self.ends()
                peer: Raw = getattr(self, name)
                end = self.client if name == "viewer" else self.upstream
                if phase == "before":
                    reset(peer)
                    await peer.gone
                    cause = flow(self.client, self.upstream, detached=self.detached)
                else:
                    cause = self.join()
                    if phase == "idle":
                        self.viewer.write(frame(2, b"a"))
                        await self.server.read(1)
                    elif phase == "busy":
                        self.server.write(PATTERN * 32)
                        self.viewer.write(frame(2, PATTERN) * 32)
                    reset(peer)
                self.assertIsInstance(await cause, reason, (phase, name))
                await self.close(Stopping())
                self.assertTrue(end._gone)

    async def test_a_dead_viewer_is_noticed_while_the_server_hangs(self) -> None:
        if not self.detached:
            return  # a paused transport learns it when it is resumed, or when its server counts as lost
        await self.ends()
        self.server.transport.pauseProducing()
        stopped = self.full(self.upstream)
        cause = self.join()
        for _ in range(AMOUNT // len(PATTERN)):
            self.viewer.write(frame(2, PATTERN))
        await stopped
        reset(self.viewer)
        self.assertIsInstance(await cause, ClientLeft)

    async def test_close_frames_go_both_ways(self) -> None:
        cause = await self.joined()
        self.viewer.write(frame(2, b"last") + frame(8, b"\x03\xe9"))
        self.assertIsInstance(found := await cause, ClientLeft)
        self.assertEqual(found.detail, "closed with 1001")
        self.assertEqual(await self.server.read(4), b"last")
        await self.close(found)
        self.assertEqual(await self.viewer.everything(), close_frame(1001))
        await self.joined()
        self.client.close(Stopping())
        self.assertEqual(await WebSocket(self.viewer).until_closed(), (1001, Stopping.sentence))

    async def test_a_violation(self) -> None:
        for data, reason in ((b"\x82\x01a", ProtocolViolation), (frame(1, b"text"), TextRefused)):
            cause = await self.joined()
            self.viewer.write(frame(2, b"good") + data + frame(2, b"ignored"))
            found = await cause
            self.assertIsInstance(found, reason)
            await self.close(found)
            self.assertEqual(await self.server.everything(), b"good")
            self.assertEqual(await self.viewer.everything(), close_frame(reason.close_code, reason.sentence))

    async def test_a_stalled_viewer_can_be_hung_up(self) -> None:
        await self.ends()
        self.viewer.transport.pauseProducing()
        stopped = self.full(self.client)
        self.join()
        self.server.write(bytes(AMOUNT))
        await stopped
        await self.close(Stopping())

    async def test_a_stalled_viewer_is_given_up(self) -> None:
        await self.ends()
        self.client._stall = 0.01
        self.viewer.transport.pauseProducing()
        cause = self.join()
        self.server.write(bytes(AMOUNT))
        found = await cause
        self.assertIn("took nothing", found.detail)
        await self.close(found)

    async def test_a_hanging_server_is_given_up(self) -> None:
        await self.ends()
        self.upstream._stall = 0.01
        self.server.transport.pauseProducing()
        cause = self.join()
        for _ in range(AMOUNT // len(PATTERN)):
            self.viewer.write(frame(2, PATTERN))
        self.assertIsInstance(await cause, ConsoleClosed)

    async def test_cancelled_in_every_phase(self) -> None:
        for phase in ("at once", "idle", "blocked"):
            await self.ends()
            stopped = self.full(self.client)
            if phase == "blocked":
                self.viewer.transport.pauseProducing()
            cause = self.join()
            if phase == "idle":
                self.server.write(b"seen")
                self.assertEqual(await self.messages(4), b"seen")
            elif phase == "blocked":
                self.server.write(bytes(AMOUNT))
                await stopped
            cause.cancel()
            self.failureResultOf(cause, CancelledError)
            self.assertFalse(isinstance(self.client.transport, StreamSide))
            self.viewer.transport.resumeProducing()
            await self.close(Stopping())

    async def test_ends_can_be_joined_again(self) -> None:
        cause = await self.joined()
        for text in (b"one", b"two", b"three"):
            self.server.write(text)
            self.assertEqual(await self.messages(len(text)), text)
            self.viewer.write(frame(2, text))
            self.assertEqual(await self.server.read(len(text)), text)
            cause.cancel()
            self.failureResultOf(cause, CancelledError)
            cause = self.join()
        cause.cancel()
        self.failureResultOf(cause, CancelledError)

    async def test_a_session_that_ends_another_in_the_same_round(self) -> None:
        await self.ends()
        first = [self.client, self.viewer, self.upstream, self.server]
        causes = [self.join()]
        await self.ends()
        causes.append(self.join())

        def over(cause: Refusal, other: int) -> Refusal:
            causes[other].addErrback(lambda why: why.trap(CancelledError))
            causes[other].cancel()
            return cause

        causes[0].addCallbacks(over, lambda why: why.trap(CancelledError), callbackArgs=(1,))
        causes[1].addCallbacks(over, lambda why: why.trap(CancelledError), callbackArgs=(0,))
        reset(first[1])
        reset(self.viewer)
        await first[1].gone
        await causes[0]
        await causes[1]
        first[0].close(Stopping())
        first[2].close(Stopping())
        await first[0].closed()
        await first[2].closed()
        await self.close(Stopping())

    # Signs of life

    async def test_pings_are_sent_and_a_silent_viewer_is_given_up(self) -> None:
        self.patch(websocket_end, "PING_EVERY", 0.01)
        cause = await self.joined()
        for _ in range(websocket_end.MISSED_PINGS):
            self.assertEqual(await self.viewer.read(2), bytes((0x80 | PING, 0)))
        self.assertEqual((await cause).detail, "answered no ping")

    async def test_pings_are_answered_also_while_the_server_hangs(self) -> None:
        await self.joined()
        self.viewer.write(frame(PING, b"1") + frame(2, b"a") + frame(PING, b"2"))
        self.assertEqual(await self.viewer.read(6), b"\x8a\x011\x8a\x012")
        self.assertEqual(await self.server.read(1), b"a")

    async def test_a_ping_to_a_full_buffer_is_answered_once_there_is_room(self) -> None:
        await self.ends()
        self.viewer.transport.pauseProducing()
        stopped = self.full(self.client)
        self.join()
        self.server.write(bytes(AMOUNT))
        await stopped
        await self.at_rest()
        for at in range(1000):
            self.viewer.write(frame(PING, b"%03d" % at))
        self.viewer.write(frame(2, b"then"))
        await self.server.until(b"then")
        self.assertLess(buffered(self.client), self.BOUND)
        self.viewer.transport.resumeProducing()
        websocket = WebSocket(self.viewer)
        await websocket.read(AMOUNT)
        while not websocket.pongs:
            await websocket.step()
        self.assertEqual(websocket.pongs, [b"999"])

    async def test_a_viewer_that_is_not_read_is_not_taken_for_dead(self) -> None:
        await self.ends()
        self.server.transport.pauseProducing()
        stopped = self.full(self.upstream)
        cause = self.join()
        for _ in range(AMOUNT // len(PATTERN)):
            self.viewer.write(frame(2, PATTERN))
        await stopped
        await self.at_rest()
        for _ in range(3 * websocket_end.MISSED_PINGS):
            self.client._ping.cancel()
            self.client._tick()
        self.assertNoResult(cause)

    async def test_only_the_stream_counts_as_heard(self) -> None:
        await self.joined()
        began = self.client.heard_at
        self.viewer.write(frame(PONG, b"") + frame(PING, b"x"))
        await self.viewer.read(3)
        self.assertEqual(self.client.heard_at, began)
        await deferLater(reactor, 0.01, lambda: None)
        self.viewer.write(frame(2, b"x"))
        await self.server.read(1)
        self.assertGreater(self.client.heard_at, began)

    # Filters

    async def test_a_filter(self) -> None:
        class Policy:
            def from_client(self, data: bytes) -> bytes:
                if b"!" in data:
                    raise ProtocolViolation("forbidden")
                return data.replace(b"x", b"")

            def from_upstream(self, data: bytes) -> bytes:
                return data.upper()

        cause = await self.joined(Policy())
        self.viewer.write(frame(2, b"xaxb") + frame(2, b"x"))
        self.server.write(b"c")
        self.assertEqual((await self.server.read(2), await self.messages(1)), (b"ab", b"C"))
        self.assertEqual((self.client.bytes_in, self.upstream.bytes_out), (5, 2))
        self.viewer.write(frame(2, b"!") + frame(2, b"y"))
        self.assertEqual((await cause).detail, "forbidden")
        await self.close(ProtocolViolation())
        self.assertEqual(await self.server.everything(), b"")

    async def test_a_filter_of_one_direction_and_what_was_held(self) -> None:
        class Policy:
            def from_client(self, data: bytes) -> bytes:
                if b"!" in data:
                    raise ProtocolViolation("forbidden")
                return data.upper()

        await self.ends(Policy())
        self.client.dataReceived(frame(2, b"held"))
        self.join()
        self.server.write(b"as it is")
        self.assertEqual((await self.server.read(4), await self.messages(8)), (b"HELD", b"as it is"))
        await self.close(Stopping())
        await self.ends(Policy())
        self.client.dataReceived(frame(2, b"held!"))
        cause = flow(self.client, self.upstream, self.filters, detached=self.detached)
        self.assertEqual((await cause).detail, "forbidden")

    # The other front

    async def test_a_viewer_without_frames(self) -> None:
        cause = await self.joined(kind=StreamEnd)
        self.viewer.write(PATTERN)
        self.server.write(PATTERN * 16)
        self.assertEqual(await self.server.read(len(PATTERN)), PATTERN)
        self.assertEqual(await self.viewer.read(len(PATTERN) * 16), PATTERN * 16)
        self.viewer.transport.loseConnection()
        self.assertIsInstance(await cause, ClientLeft)


class OnTransports(Engines, TestCase):
    detached = False


class Detached(Engines, TestCase):
    detached = True


class OnUnixTransports(Engines, TestCase):
    detached, unix = False, True


class DetachedOnUnixSockets(Engines, TestCase):
    detached, unix = True, True
