"""The fake VNC server of all tests.  Its fields select what it offers and which faults it has.

It shares no code with novnc_twisted.rfb except the DES of VNC authentication, so that the two check each other.  For a
peer that sends any other bytes, write a script (tests/support/scripted.py).

``FakeVNCServer`` is a Factory: listen with it on TCP or a unix socket, or connect ``buildProtocol(None)`` in memory::

    server = FakeVNCServer(password="secret", size=(640, 480))
    port = reactor.listenTCP(0, server, interface="127.0.0.1")   # or listenUNIX(path, server)
    connection = await server.live.get()                         # the next connection that got ServerInit
    kind, message = await connection.inbox.get()                 # the next message of its client

Phases, in the order of what is sent: version, security, subtypes, ack and tls (VeNCrypt), challenge (if it wants a
password), result, init, name (within ServerInit, only for ``close``), live.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredQueue
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

from novnc_twisted.rfb.security.vnc import response

CHALLENGE = bytes(range(16))
PIXEL_FORMAT = struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
GARBAGE = b"\xff\xfe garbage \x00\r\n" * 64
SIZES = {0: 20, 2: 4, 3: 10, 4: 8, 5: 6, 6: 8, 150: 10, 248: 9, 250: 4, 251: 8, 255: 4}
"""Client message type -> length of its head."""

TAILS = {
    2: lambda head: 4 * int.from_bytes(head[2:], "big"),
    6: lambda head: abs(int.from_bytes(head[4:], "big", signed=True)),
    248: lambda head: head[8],
    251: lambda head: 16 * head[6],
    255: lambda head: 8 if head[1] == 0 else 6 if head[3] == 2 else 0,
}
"""Client message type -> number of bytes after its head."""


def with_length(text: bytes) -> bytes:
    """A text as RFB sends it: after its length in four bytes."""
    return len(text).to_bytes(4, "big") + text


def server_init(name: bytes = b"fake", size: tuple[int, int] = (64, 48)) -> bytes:
    """ServerInit (RFC 6143, section 7.3.2)."""
    return struct.pack(">HH16s", *size, PIXEL_FORMAT) + with_length(name)


def update(x: int, y: int, width: int, height: int, colour: int = 0, bytes_per_pixel: int = 4) -> bytes:
    """A FramebufferUpdate with one Raw rectangle of at most 16 x 16 pixels of one colour."""
    width, height = min(width, 16), min(height, 16)
    return struct.pack(">BxHHHHHi", 0, 1, x, y, width, height, 0) + bytes([colour]) * (width * height * bytes_per_pixel)


@dataclass(kw_only=True, eq=False)
class FakeVNCServer(Factory):
    """A VNC server.  Set the fields before a client connects, or between two clients."""

    version: bytes = b"RFB 003.008\n"  # or the first bytes of a server that does not speak RFB
    security_types: Sequence[int] = ()  # a 3.3 client gets the first; default: VNC with a password, else None
    password: str | None = None
    tls: Any = None  # an argument for transport.startTLS; with it the server offers VeNCrypt
    subtypes: Sequence[int] = ()  # of VeNCrypt; default: X509Vnc with a password, else X509None
    injected: bytes = b""  # sent in clear, with the last byte before TLS
    name: bytes = b"fake"
    size: tuple[int, int] = (64, 48)
    reason: bytes | None = None  # refuse with this reason in phase refuse_at (security or result)
    refuse_at: str = "security"
    endless_reason: bool = False  # refuse with a reason of 4 GiB, sent as fast as the client reads
    result: int | None = None  # send this SecurityResult, whatever the password is
    stall: str | None = None  # send nothing from this phase on, and keep the connection
    close: str | None = None  # close the connection instead of this phase
    garbage: str | None = None  # send nonsense instead of this phase
    # Read nothing once live: for back-pressure.  Such a connection does not notice that it is closed: abort it.
    deaf: bool = False
    echo: bool = False  # once live, send back every byte instead of reading messages
    accepted: "DeferredQueue[FakeVNCConnection]" = field(default_factory=DeferredQueue, init=False)  # when accepted
    live: "DeferredQueue[FakeVNCConnection]" = field(default_factory=DeferredQueue, init=False)  # after ServerInit
    connections: "list[FakeVNCConnection]" = field(default_factory=list, init=False)  # all, including lost ones

    noisy = False

    def __post_init__(self) -> None:
        default = 19 if self.tls else 1 if self.password is None else 2
        self.security_types = tuple(self.security_types) or (default,)
        self.subtypes = tuple(self.subtypes) or ((260,) if self.password is None else (261,))

    def buildProtocol(self, addr: object) -> "FakeVNCConnection":
        connection = FakeVNCConnection(self)
        self.connections.append(connection)
        return connection

    @property
    def open(self) -> int:
        """The number of open connections."""
        return sum(connection.open for connection in self.connections)


@implementer(IPullProducer)
class FakeVNCConnection(Protocol):
    """One client: what it sent, and when it disconnected.  It is also the producer of the endless reason."""

    client_version = b""
    chosen: int | None = None
    subtype: int | None = None
    shared: bool | None = None
    open = False

    def __init__(self, server: FakeVNCServer) -> None:
        self.server = server
        self.inbox: DeferredQueue[tuple[int, bytes]] = DeferredQueue()  # (type, whole message), after ServerInit
        self.messages: list[tuple[int, bytes]] = []  # the same messages
        self._colour, self._bytes_per_pixel, self._asked = 0, 4, b""
        self.gone: Deferred[None] = Deferred()  # fires when the connection is lost
        self._received = bytearray()
        self._waiting: tuple[int, Deferred[bytes]] | None = None

    def connectionMade(self) -> None:
        self.open = True
        self.server.accepted.put(self)
        self._serving = Deferred.fromCoroutine(self._serve())
        self._serving.addErrback(lambda why: why.trap(CancelledError, ConnectionDone))

    def dataReceived(self, data: bytes) -> None:
        self._received += data
        if self._waiting is not None and len(self._received) >= self._waiting[0]:
            (count, waiting), self._waiting = self._waiting, None
            taken = bytes(self._received[:count])
            del self._received[:count]
            waiting.callback(taken)

    def connectionLost(self, reason: object = None) -> None:
        self.open = False
        self._serving.cancel()
        self.gone.callback(None)

    def resumeProducing(self) -> None:
        self.transport.write(b"A" * 65536)

    def stopProducing(self) -> None: ...

    def _read(self, count: int) -> Deferred[bytes]:
        waiting: Deferred[bytes] = Deferred()
        self._waiting = count, waiting
        self.dataReceived(b"")
        return waiting

    async def _send(self, phase: str, data: bytes) -> None:
        server = self.server
        if server.stall == phase:
            await Deferred()  # until the connection is lost, which cancels this wait
        if server.close == phase:
            self._hang_up()
        if server.refuse_at == phase and (server.reason is not None or server.endless_reason):
            in_four_bytes = phase == "result" or self.client_version == b"RFB 003.003\n"
            head = int(phase == "result").to_bytes(4 if in_four_bytes else 1, "big")
            if server.endless_reason:
                self.transport.write(head + b"\xff\xff\xff\xff")
                self.transport.registerProducer(self, False)
                await Deferred()
            self.transport.write(head + with_length(server.reason or b""))
            self._hang_up()
        self.transport.write(GARBAGE if server.garbage == phase else data)

    def _hang_up(self) -> None:
        self.transport.loseConnection()
        raise ConnectionDone

    async def _serve(self) -> None:
        server = self.server
        await self._send("version", server.version)
        self.client_version = await self._read(12)
        if self.client_version == b"RFB 003.003\n":
            self.chosen = server.security_types[0]
            await self._send("security", self.chosen.to_bytes(4, "big"))
        else:
            await self._send("security", bytes([len(server.security_types), *server.security_types]))
            self.chosen = (await self._read(1))[0]
        good = self.chosen in server.security_types
        if self.chosen == 19 and good:
            await self._vencrypt()
        if (self.chosen == 2 or self.subtype in (258, 261)) and good:
            await self._send("challenge", CHALLENGE)
            good = await self._read(16) == response(server.password or "", CHALLENGE)
        result = server.result if server.result is not None else int(not good)
        newest = self.client_version == b"RFB 003.008\n"
        if newest or self.chosen != 1:
            reason = with_length(b"Authentication failed\0") if result and newest else b""
            await self._send("result", result.to_bytes(4, "big") + reason)
        if result:
            self._hang_up()
        self.shared = await self._read(1) != b"\0"
        init = server_init(server.name, server.size)
        await self._send("init", init[:24] if server.close == "name" else init)
        if server.close == "name":
            self._hang_up()
        server.live.put(self)
        if server.deaf:
            self.transport.pauseProducing()
        while server.echo:
            self.transport.write(await self._read(len(self._received) or 1))
        await self._live()

    async def _vencrypt(self) -> None:
        server = self.server
        self.transport.write(b"\0\2")
        assert await self._read(2) == b"\0\2"
        count = len(server.subtypes)
        await self._send("subtypes", b"\0" + bytes([count]) + struct.pack(f">{count}I", *server.subtypes))
        self.subtype = int.from_bytes(await self._read(4), "big")
        good = self.subtype in server.subtypes
        await self._send("ack", bytes([good]) + server.injected)
        if not good:
            self._hang_up()
        await self._send("tls", b"")
        if server.tls is None:
            self._hang_up()
        self.transport.startTLS(server.tls)

    async def _live(self) -> None:
        while True:
            head = await self._read(1)
            if head[0] not in SIZES:
                self._hang_up()
            head += await self._read(SIZES[head[0]] - 1)
            message = head + await self._read(TAILS.get(head[0], lambda head: 0)(head))
            self.messages.append((head[0], message))
            self.inbox.put((head[0], message))
            await self.respond(message)

    async def respond(self, message: bytes) -> None:
        """Respond to one message of the client; a subclass may show another screen."""
        typed = message[0] == 4 or message[:2] == b"\xff\0"
        if message[0] == 0:
            self._bytes_per_pixel = message[4] // 8
        elif message[0] == 3:
            self._asked = message
        self._colour = (self._colour + typed) & 0xFF
        # An incremental request is answered at the next key: otherwise viewer and server would never be idle.
        if self._asked and (typed or not self._asked[1]):
            area = struct.unpack(">HHHH", self._asked[2:])
            await self._send("live", update(*area, self._colour, self._bytes_per_pixel))
            self._asked = b""
