"""A peer that accepts a few bytes at a time is not lost; one that accepts nothing is."""

import contextlib
import socket
from types import SimpleNamespace
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.relay import StreamEnd, transports
from novnc_twisted.relay.stream_end import VIEWER_STALL
from novnc_twisted.relay.transports import in_kernel
from tests.relay.end_case import GONE, Hears


class Slow(FileDescriptor):
    """Twisted's buffer over a socket that accepts a few bytes at a time."""

    connected = 1
    accepts = 100

    def writeSomeData(self, data: bytes) -> int:
        return min(self.accepts, len(data))


class Above(ProtocolWrapper):
    """A protocol between an end and its socket, as with TLS."""

    def __init__(self, below: Slow) -> None:
        super().__init__(WrappingFactory(Factory()), Protocol())
        self.transport = below  # type: ignore[assignment]  # Slow has all that is used


class SlowPeers(SynchronousTestCase):
    """The transport reports only an empty buffer, and a slow peer needs minutes to empty it."""

    def check(self, layers: int) -> None:
        clock, hears = Clock(), Hears()
        slow = Slow(MemoryReactorClock())  # type: ignore[arg-type]
        transport: Any = slow
        for _ in range(layers):
            transport = Above(transport)
        end = StreamEnd(clock, "peer", stall=VIEWER_STALL)
        end.makeConnection(transport)
        end.attach(hears)
        end.write(bytes(100_000))
        self.assertEqual(hears.room, [False])
        for _ in range(60):
            clock.advance(60)
            slow.doWrite()
        self.assertEqual(hears.lost, [])
        slow.accepts = 0
        # The last check was up to a tenth of the limit ago.
        for _ in range(int(VIEWER_STALL)):
            clock.advance(1)
            slow.doWrite()
        self.assertEqual(hears.lost, [])
        clock.pump([1] * int(VIEWER_STALL / 10 + 2))
        self.assertIn("took nothing", hears.lost[0].detail)
        end.connectionLost(GONE)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_a_socket(self) -> None:
        self.check(0)

    def test_a_detached_socket(self) -> None:
        clock, hears = Clock(), Hears()
        side = SimpleNamespace(waiting=100_000, socket=socket.socket())
        self.addCleanup(side.socket.close)
        end: Any = StreamEnd(clock, "peer", stall=VIEWER_STALL)
        end.transport = end._side = side
        end.attach(hears)
        end.pauseProducing()
        for _ in range(60):
            clock.advance(60)
            side.waiting -= 100
        self.assertEqual(hears.lost, [])
        clock.pump([60] * 7)
        self.assertIn("took nothing", hears.lost[0].detail)

    def test_a_full_buffer_of_the_kernel(self) -> None:
        """The peer empties the kernel's buffer, but not yet the transport's: it is not lost."""
        left = [1_000_000]
        self.patch(transports, "in_kernel", lambda _socket: left[0])
        clock, hears = Clock(), Hears()
        slow = Slow(MemoryReactorClock())  # type: ignore[arg-type]
        slow.socket = object()  # type: ignore[attr-defined]
        end = StreamEnd(clock, "peer", stall=VIEWER_STALL)
        end.makeConnection(slow)
        end.attach(hears)
        end.write(bytes(100_000))
        for _ in range(60):
            clock.advance(60)
            left[0] -= 1000
        self.assertEqual(hears.lost, [])
        clock.pump([60] * 7)
        self.assertIn("took nothing", hears.lost[0].detail)

    def test_a_socket_below_other_protocols(self) -> None:
        self.check(1)
        self.check(2)


class KernelTests(SynchronousTestCase):
    """The bytes in the kernel's send buffer."""

    def test_a_peer_that_reads(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        peer = socket.create_connection(listener.getsockname())
        self.addCleanup(peer.close)
        ours, _ = listener.accept()
        self.addCleanup(ours.close)
        ours.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                ours.send(bytes(1 << 20))
        # The peer's system may accept a little more before its buffer is full.
        full = in_kernel(ours)
        while (now := in_kernel(ours)) < full:
            full = now
        self.assertGreater(full, 0)
        while in_kernel(ours) > full // 2:
            self.assertTrue(peer.recv(1 << 16))

    def test_a_closed_socket(self) -> None:
        closed = socket.socket()
        closed.close()
        self.assertEqual(in_kernel(closed), 0)
