"""The end of sessions and the pings in each engine of the relay, on real sockets, TCP and unix."""

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import TestCase

from novnc_twisted.errors import ClientLeft, ConsoleClosed, ProtocolViolation, Refusal, Stopping, TextRefused
from novnc_twisted.relay import websocket_end
from novnc_twisted.relay.detached.side import StreamSide
from novnc_twisted.relay.frames import PING, close_frame
from tests.relay.engine_case import AMOUNT, PATTERN, EngineCase
from tests.relay.socket_ends import buffered, flow, reset
from tests.session.harness import Raw, WebSocket, frame


class Engines(EngineCase):
    """Run for each engine and kind of socket."""

    async def test_each_may_close_its_direction(self) -> None:
        """This ends the session, but bytes that were sent before still arrive."""
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
            return  # a paused transport notices it only when it is resumed, or when the server is given up
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

    # Pings

    async def test_pings_are_sent_and_a_silent_viewer_is_given_up(self) -> None:
        self.patch(websocket_end, "PING_EVERY", 0.01)
        cause = await self.joined()
        for _ in range(websocket_end.MISSED_PINGS):
            self.assertEqual(await self.viewer.read(2), bytes((0x80 | PING, 0)))
        self.assertEqual((await cause).detail, "answered no ping")

    async def test_pings_are_answered_while_the_server_hangs(self) -> None:
        """At once until the buffers for the server are full; pings behind them are answered when it reads again."""
        await self.ends()
        self.server.transport.pauseProducing()
        stopped = self.full(self.upstream)
        self.join()
        self.viewer.write(frame(PING, b"1") + frame(2, b"a") + frame(PING, b"2"))
        self.assertEqual(await self.viewer.read(6), b"\x8a\x011\x8a\x012")
        for _ in range(AMOUNT // len(PATTERN)):
            self.viewer.write(frame(2, PATTERN))
        self.viewer.write(frame(PING, b"3"))
        await stopped
        self.server.transport.resumeProducing()
        self.assertEqual(await self.viewer.read(3), b"\x8a\x013")
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


class OnTransports(Engines, TestCase):
    detached = False


class Detached(Engines, TestCase):
    detached = True


class OnUnixTransports(Engines, TestCase):
    detached, unix = False, True


class DetachedOnUnixSockets(Engines, TestCase):
    detached, unix = True, True
