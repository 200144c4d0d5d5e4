"""A front on loopback before a fake VNC server, viewers that send raw bytes, and a check for leaks."""

import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any
from unittest import mock
from uuid import uuid4

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import TestCase

from novnc_twisted.access.request_head import HeadBuffer
from novnc_twisted.contract import ConnectInfo
from novnc_twisted.errors import InvalidToken
from novnc_twisted.novncproxy import NoVNCProxyFactory
from novnc_twisted.relay import stream_end
from novnc_twisted.session import SessionSettings
from novnc_twisted.xvpvncproxy import XVPVNCProxyFactory
from tests.support.frames import frame
from tests.support.handed_out import secret
from tests.support.vnc_server import FakeVNCServer

TOKEN = secret(str(uuid4()))
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
)


KERNEL_BUFFER = 128 << 10
"""Number of bytes to request; Linux reserves twice as many."""


def bound_kernel_buffers(taken: socket.socket) -> None:
    """Fix the size of a socket's kernel buffers.

    Without this the kernel may grow them to the maximum of tcp_wmem and tcp_rmem, which differ between machines, and a
    test that needs full buffers would have to guess how much to send.
    """
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        taken.setsockopt(socket.SOL_SOCKET, option, KERNEL_BUFFER)


class Lost(Exception):
    """The connection ended while bytes were awaited."""


class Raw(Protocol):
    """A client that sends and receives raw bytes."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.gone: Deferred[None] = Deferred()
        self.lost = False
        self._waiting: tuple[Callable[[], Any], Deferred[Any]] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.buffer += data
        self._look()

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = True
        self.gone.callback(None)
        self._look()

    def _look(self) -> None:
        if self._waiting is not None:
            take, waiting = self._waiting
            found = take()
            if found is not None:
                self._waiting = None
                waiting.callback(found)
            elif self.lost:
                self._waiting = None
                waiting.errback(Lost(bytes(self.buffer)))

    def when(self, take: Callable[[], Any]) -> Deferred[Any]:
        waiting: Deferred[Any] = Deferred()
        self._waiting = take, waiting
        self._look()
        return waiting

    def read(self, count: int) -> Deferred[bytes]:
        return self.when(lambda: self._take(count) if len(self.buffer) >= count else None)

    def until(self, end: bytes) -> Deferred[bytes]:
        return self.when(lambda: self._take(self.buffer.index(end) + len(end)) if end in self.buffer else None)

    async def everything(self) -> bytes:
        """Wait for the end of the connection, and return the rest."""
        await self.gone
        return self._take(len(self.buffer))

    def _take(self, count: int) -> bytes:
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def write(self, data: bytes) -> None:
        self.transport.write(data)


class WebSocket:
    """A WebSocket client over raw bytes: a stream of the payloads, and the close frame."""

    def __init__(self, raw: Raw) -> None:
        self.raw = raw
        self.stream = bytearray()
        self.closed: tuple[int, str] | None = None
        self.pings = 0
        self.pongs: list[bytes] = []
        self.answers_close = True

    async def frame(self) -> tuple[int, bytes]:
        first, length = await self.raw.read(2)
        assert first & 0x70 == 0 and length < 0x80, "server frames are plain and unmasked"
        if length > 125:
            length = int.from_bytes(await self.raw.read(2 if length == 126 else 8), "big")
        return first & 0x0F, await self.raw.read(length)

    async def step(self) -> None:
        opcode, payload = await self.frame()
        if opcode == 2:
            self.stream += payload
        elif opcode == 8:
            self.closed = int.from_bytes(payload[:2], "big"), payload[2:].decode()
            if self.answers_close:
                self.raw.write(frame(8, payload[:2]))
        elif opcode == 9:
            self.pings += 1
            self.raw.write(frame(10, payload))
        elif opcode == 10:
            self.pongs.append(payload)

    async def read(self, count: int) -> bytes:
        while len(self.stream) < count:
            assert self.closed is None, f"closed: {self.closed}"
            await self.step()
        data = bytes(self.stream[:count])
        del self.stream[:count]
        return data

    def write(self, data: bytes) -> None:
        self.raw.write(frame(2, data))

    async def until_closed(self) -> tuple[int, str]:
        """Wait for the close frame and the end of the connection; return the code and the reason."""
        while self.closed is None:
            await self.step()
        await self.raw.gone
        return self.closed


async def refused(viewer: Any, version: bytes = b"RFB 003.008\n") -> str:
    """Read an RFB refusal, and return its sentence."""
    assert await viewer.read(12) == b"RFB 003.008\n"
    viewer.write(version)
    head = await viewer.read(4 if version in (b"RFB 003.003\n", b"RFB 003.005\n") else 1)
    assert not any(head), head
    return (await viewer.read(int.from_bytes(await viewer.read(4), "big"))).decode()


async def introduce(viewer: Any, version: bytes = b"RFB 003.008\n") -> tuple[int, int, str]:
    """Do a viewer's part of the RFB handshake in this version, up to ServerInit; return width, height and name."""
    assert await viewer.read(12) == b"RFB 003.008\n"
    viewer.write(version)
    if version in (b"RFB 003.003\n", b"RFB 003.005\n"):
        assert await viewer.read(4) == b"\0\0\0\1"
    else:
        assert await viewer.read(2) == b"\1\1"
        viewer.write(b"\1")
    if version == b"RFB 003.008\n":
        assert await viewer.read(4) == b"\0\0\0\0"
    viewer.write(b"\1")
    width, height, length = struct.unpack(">HH16xI", await viewer.read(24))
    return width, height, (await viewer.read(length)).decode()


class FrontCase(TestCase):
    """An end-to-end test of a front.  Trial itself fails a test that leaves a timer or a socket."""

    timeout = 300

    def setUp(self) -> None:
        self.server = FakeVNCServer()
        self.port = self.listen(self.server)
        self.asked: list[tuple[str, str, str]] = []
        self.kept: list[tuple[str, str]] = []
        self.info: dict[str, Any] = {}
        self.events: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def listen(self, factory: Factory) -> int:
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        bound_kernel_buffers(port.socket)  # accepted connections inherit them
        self.addCleanup(port.stopListening)
        return port.getHost().port

    async def authorise(self, token: str, console_type: str, address: str) -> ConnectInfo:
        self.asked.append((token, console_type, address))
        if token != TOKEN:
            raise InvalidToken("unknown")
        values: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.port,
            "instance_uuid": "uuid-1",
            "name": "myserver20",
            "project_id": "demo",
            "user_id": "alice",
        }
        return ConnectInfo(**(values | self.info))

    async def keep(self, token: str, address: str) -> None:
        self.kept.append((token, address))

    def settings(self, **values: Any) -> SessionSettings:
        return SessionSettings(**values)

    def novnc(self, authorise: Callable[..., Awaitable[ConnectInfo]] | None = None, **values: Any) -> NoVNCProxyFactory:
        values.setdefault("keep_token", self.keep)
        return self.novnc_on(reactor, authorise, **values)

    def novnc_on(self, reactor: Any, authorise: Any = None, **values: Any) -> Any:
        return self._front(NoVNCProxyFactory(reactor, authorise or self.authorise, **values))

    def xvp(self, authorise: Callable[..., Awaitable[ConnectInfo]] | None = None, **values: Any) -> XVPVNCProxyFactory:
        values.setdefault("keep_token", self.keep)
        return self.xvp_on(reactor, authorise, **values)

    def xvp_on(self, reactor: Any, authorise: Any = None, **values: Any) -> Any:
        return self._front(XVPVNCProxyFactory(reactor, authorise or self.authorise, **values))

    def heads(self) -> "DeferredQueue[bytes]":
        """Return a queue of the pieces of HTTP heads that the front reads from now on."""
        read: DeferredQueue[bytes] = DeferredQueue()
        receive = HeadBuffer.receive

        def noted(buffer: HeadBuffer, data: bytes) -> bytes | None:
            whole = receive(buffer, data)
            read.put(data)
            return whole

        self.patch(HeadBuffer, "receive", noted)
        return read

    def _front(self, factory: Any) -> Any:
        self.front = factory
        self.front_port = self.listen(factory)
        self.addCleanup(self.nothing_left)
        return factory

    async def stop_sessions(self) -> None:
        """End all sessions; wait only 0.1 s for a viewer that does not answer a close frame."""
        with mock.patch.object(stream_end, "CLOSE_GRACE", 0.1):
            await self.front.stop_sessions()

    async def nothing_left(self) -> None:
        """End all sessions, and check that no connection is left.  Every test ends with this."""
        await self.stop_sessions()
        for connection in self.server.connections:
            await connection.gone
        self.assertEqual((self.front.sessions, self.server.open), (0, 0))
        self.assertEqual(self.front.connections, set())

    async def raw(self, port: int | None = None) -> Raw:
        factory = Factory.forProtocol(Raw)
        factory.noisy = False
        client = await TCP4ClientEndpoint(reactor, "127.0.0.1", port or self.front_port).connect(factory)
        bound_kernel_buffers(client.transport.socket)
        client.transport.setTcpNoDelay(True)

        async def leave() -> None:
            client.transport.abortConnection()
            await client.gone

        self.addCleanup(leave)
        return client

    async def websocket(self, path: str = f"/?token={TOKEN}", more: str = "") -> WebSocket:
        client = await self.raw()
        client.write(HANDSHAKE.format(path=path, more=more).encode())
        head = await client.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        return WebSocket(client)

    async def ended(self) -> dict[str, Any]:
        """Wait until the only session has ended, and return its record."""
        await self.all_over()
        records = [event for event in self.events if event.get("event") == "session"]
        assert len(records) == 1, records
        return records[0]

    async def all_over(self) -> None:
        """Wait until no session is left, without ending any."""
        await self.front.registry.none_left()

    def log_text(self) -> str:
        return "\n".join(str(event) for event in self.events)
