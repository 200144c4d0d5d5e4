"""The base class of tests of the relay's engines, on real sockets."""

from typing import Any
from unittest import mock

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from novnc_twisted.errors import ConsoleClosed, Refusal
from novnc_twisted.relay import StreamEnd, WebSocketEnd, stream_end, timer_wheel
from novnc_twisted.relay.detached.side import StreamSide
from tests.relay.socket_ends import SocketEnds, flow

AMOUNT = 4 << 20
"""Bytes; more than all buffers between two peers hold (see tests.session.harness.KERNEL_BUFFER)."""

PATTERN = bytes(range(256)) * 256


class EngineCase(SocketEnds):
    """The two ends of a session, and their peers."""

    BOUND = 5 * 65536  # the limit of 64 KiB, and what one read may add

    detached: bool

    def setUp(self) -> None:
        super().setUp()  # type: ignore[misc]
        self.patch(timer_wheel, "RESOLUTION", 0.02)

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
        """Close both ends; wait at most 0.1 s for the viewer's close frame."""
        with mock.patch.object(stream_end, "CLOSE_GRACE", 0.1):
            self.upstream.close(cause)
            self.client.close(cause)
        await self.upstream.closed()
        await self.client.closed()

    def full(self, end: Any) -> Deferred[None]:
        """Return a Deferred that fires when the send buffer of this end is full."""
        full: Deferred[None] = Deferred()
        original = StreamEnd.pauseProducing

        def pauseProducing(self: Any) -> None:
            original(self)
            if self is end and not full.called:
                full.callback(None)

        self.patch(StreamEnd, "pauseProducing", pauseProducing)
        return full

    async def at_rest(self) -> None:
        """Wait until no more bytes arrive."""
        before, still = -1, 0
        while still < 5:
            await deferLater(reactor, 0.01, lambda: None)
            now = self.client.bytes_in + self.upstream.bytes_in
            before, still = now, still + 1 if now == before else 0

    async def messages(self, amount: int) -> bytes:
        """Read this many bytes of payload from the frames that the viewer receives."""
        data = bytearray()
        while len(data) < amount:
            first, length = await self.viewer.read(2)
            self.assertEqual(first, 0x82)
            if length > 125:
                length = int.from_bytes(await self.viewer.read(2 if length == 126 else 8), "big")
            data += await self.viewer.read(length)
        return bytes(data)
