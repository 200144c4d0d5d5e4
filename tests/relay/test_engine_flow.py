"""Bytes through each engine of the relay: back-pressure, order and filters."""

import fcntl
import hashlib
import sys
import termios

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from novnc_twisted.errors import ClientLeft, ConsoleClosed, ProtocolViolation, Stopping
from novnc_twisted.relay import StreamEnd
from novnc_twisted.relay.frames import PING, PONG
from tests.relay.engine_case import AMOUNT, PATTERN, EngineCase
from tests.relay.socket_ends import buffered, flow, reset
from tests.session.harness import frame


class Flow(EngineCase):
    """Run for each engine and kind of socket."""

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

    # The end of a session

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
            return  # Twisted closes a transport at once if a write fails
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
        self.viewer.write(frame(2, b"?"))  # the relay cannot send this to the server
        await self.at_rest()
        self.viewer.write(frame(2, b"?"))
        await self.at_rest()
        self.assertNoResult(cause)
        self.viewer.transport.resumeProducing()
        self.assertGreater(came, self.upstream.bytes_in)
        self.assertEqual(len(await self.messages(came)), came)
        self.assertIsInstance(await cause, ConsoleClosed)

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

    # Raw RFB, as in xvpvncproxy

    async def test_a_viewer_without_frames(self) -> None:
        cause = await self.joined(kind=StreamEnd)
        self.viewer.write(PATTERN)
        self.server.write(PATTERN * 16)
        self.assertEqual(await self.server.read(len(PATTERN)), PATTERN)
        self.assertEqual(await self.viewer.read(len(PATTERN) * 16), PATTERN * 16)
        self.viewer.transport.loseConnection()
        self.assertIsInstance(await cause, ClientLeft)


class OnTransports(Flow, TestCase):
    detached = False


class Detached(Flow, TestCase):
    detached = True


class OnUnixTransports(Flow, TestCase):
    detached, unix = False, True


class DetachedOnUnixSockets(Flow, TestCase):
    detached, unix = True, True
