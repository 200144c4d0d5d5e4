"""Whole sessions in memory: a proxy between a hostile viewer and a hostile VNC server.

An input is a script of steps: a byte for its kind, a byte for the length, then the data.
"""

from collections.abc import Iterator
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from novnc_twisted.contract import ConnectInfo
from novnc_twisted.errors import InvalidToken
from novnc_twisted.novncproxy.factory import NoVNCProxyFactory
from novnc_twisted.relay import frames
from novnc_twisted.session.settings import SessionSettings
from novnc_twisted.xvpvncproxy.factory import XVPVNCProxyFactory

from .frames import read as read_frames
from .shield import judge
from .tools import Target, holds, same

TOKEN = "11111111-2222-3333-4444-555555555555"
PASSWORD = "pa55word"
CLIENT, UPSTREAM, FRAMED, WAIT, CLIENT_LEAVES, UPSTREAM_LEAVES = range(6)
DONE = Failure(ConnectionDone())


@implementer(ITCPTransport)
class Socket(StringTransport):
    """The proxy's transport of one connection; the script is the other side."""

    def __init__(self, clock: Clock, port: int) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", "192.0.2.9", port))
        self._clock = clock
        self.protocol: Any = None
        self.open = True

    def deliver(self, data: bytes) -> None:
        """Pass data to the proxy."""
        if self.open and data:
            self.protocol.dataReceived(data)

    def leave(self) -> None:
        """Close the connection, on either side."""
        if self.open:
            self.open = False
            self.protocol.connectionLost(DONE)

    def loseConnection(self) -> None:
        """See ITransport; takes effect later, as with a reactor."""
        self._clock.callLater(0, self.leave)

    def abortConnection(self) -> None:
        """See ITransport."""
        self._clock.callLater(0, self.leave)

    def loseWriteConnection(self) -> None:
        """See ITCPTransport; the other side closes the connection in response."""
        self._clock.callLater(0, self.leave)

    def setTcpNoDelay(self, enabled: bool) -> None:
        """See ITCPTransport."""

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """See ITCPTransport."""

    def getTcpNoDelay(self) -> bool:
        """See ITCPTransport."""
        return True

    def getTcpKeepAlive(self) -> bool:
        """See ITCPTransport."""
        return True


class World(Clock):
    """A reactor without descriptors."""

    def __init__(self) -> None:
        super().__init__()
        self.upstream: Socket | None = None

    def connectTCP(self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None) -> Any:
        """See IReactorTCP; there is one VNC server, which accepts at once."""
        holds(self.upstream is None, "connects twice")
        protocol = factory.buildProtocol(IPv4Address("TCP", host, port))
        self.upstream = Socket(self, port)
        self.upstream.protocol = protocol
        protocol.makeConnection(self.upstream)
        return None


def steps(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Read a script: the kind and the data of each step."""
    at = 0
    while at + 1 < len(data):
        what, count = data[at] % 6, data[at + 1]
        at += 2
        if what in (CLIENT, UPSTREAM, FRAMED):
            yield what, data[at : at + count]
            at += count
        else:
            yield what, bytes([count])


def script(*parts: tuple[int, bytes]) -> bytes:
    """Write a script; data that is longer than a step is split."""
    data = b""
    for what, words in parts:
        for at in range(0, max(len(words), 1), 255):
            part = words[at : at + 255]
            data += bytes([what, len(part)]) + part if what < WAIT else bytes([what, (words or b"\0")[0]])
    return data


def masked(data: bytes) -> bytes:
    """A binary message of a browser."""
    head = frames.binary_header(len(data))
    return bytes([head[0], head[1] | 0x80]) + head[2:] + b"\1\2\3\4" + frames.unmask(data, b"\1\2\3\4")


def play(data: bytes, xvp: bool, shield: bool) -> tuple[bytes, bytes, bytes]:
    """Run a script; return what the viewer sent and received, and what the VNC server received."""
    world, asked = World(), list[str]()

    async def authorise(token: str, console_type: str, address: str) -> ConnectInfo:
        asked.append(token)
        if token != TOKEN:
            raise InvalidToken("unknown")
        return ConnectInfo(host="192.0.2.1", port=5900, name="fuzzed", instance_uuid="u", console_type=console_type)

    async def ask_password(token: str, console_type: str, address: str) -> str:
        return PASSWORD

    settings = SessionSettings(host="h", shield=shield, idle_timeout=60)
    make: Any = XVPVNCProxyFactory if xvp else NoVNCProxyFactory
    factory = make(world, authorise, settings=settings, ask_password=ask_password)
    client = Socket(world, 40000)
    client.protocol = factory.buildProtocol(client.getPeer())
    client.protocol.makeConnection(client)
    sent = b""
    for what, words in steps(data):
        if what in (CLIENT, FRAMED):
            words = masked(words) if what == FRAMED and not xvp else words
            sent += words if client.open else b""
            client.deliver(words)
        elif what == UPSTREAM and world.upstream is not None:
            world.upstream.deliver(words)
        elif what == WAIT:
            world.advance(words[0] / 8)
        elif what == CLIENT_LEAVES:
            client.leave()
        elif what == UPSTREAM_LEAVES and world.upstream is not None:
            world.upstream.leave()
        world.advance(0)
    if world.upstream is not None:
        holds(asked == [TOKEN], "connected without a valid token", asked)
        world.upstream.leave()
    client.leave()
    for _ in range(20):
        world.advance(30)
    same(factory.sessions, 0, "the sessions that are left")
    same(len(factory.connections), 0, "the connections that are left")
    same(list(world.getDelayedCalls()), [], "the timers that are left")
    holds(not (world.upstream and world.upstream.open), "a socket is left")
    heard = world.upstream.value() if world.upstream is not None else b""
    return sent, client.value(), heard


def run(data: bytes) -> None:
    """First byte: the proxy, and whether it has the shield; the rest: the script.  No failure or secret is logged."""
    if not data:
        return
    xvp, shield = bool(data[0] & 1), not data[0] & 2
    failures: list[LogEvent] = []

    def look(event: LogEvent) -> None:
        if "log_failure" in event:
            failures.append(event)
        shown = event.get("summary", "")
        holds(TOKEN not in shown and PASSWORD not in shown, "a secret in the log", shown)

    globalLogPublisher.addObserver(look)  # type: ignore[arg-type]  # any callable will do
    try:
        sent, heard, upstream = play(data[1:], xvp, shield)
    finally:
        globalLogPublisher.removeObserver(look)  # type: ignore[arg-type]
    if failures:
        raise failures[0]["log_failure"].value
    _secrets(data[1:], heard, upstream)
    _heard(heard, xvp)
    if upstream:
        holds(upstream.startswith(b"RFB 003."), "the server receives something else than RFB", upstream)
    if not shield or heard.count(b"RFB 003.008\n") != 1:
        return
    _passed(sent, upstream, xvp)


def _secrets(data: bytes, heard: bytes, upstream: bytes) -> None:
    """Check that the proxy sends the token and the password to no peer, unless the other peer sent them."""
    spoken = {
        who: b"".join(words for what, words in steps(data) if what in who) for who in ((CLIENT, FRAMED), (UPSTREAM,))
    }
    for secret in (TOKEN.encode(), PASSWORD.encode()):
        holds(secret not in heard or secret in spoken[UPSTREAM,], "a viewer receives a secret", heard)
        holds(
            secret not in upstream or spoken[CLIENT, FRAMED].count(secret) > 1,
            "a VNC server receives a secret",
            upstream,
        )


def _heard(heard: bytes, xvp: bool) -> None:
    """Check what a viewer receives: an HTTP answer, and after a 101 binary and control frames."""
    if not heard:
        return
    head, found, rest = heard.partition(b"\r\n\r\n")
    holds(found and head.startswith(b"HTTP/1.1 "), "no HTTP answer", heard)
    if xvp or not head.startswith(b"HTTP/1.1 101 "):
        return
    while rest:
        length = rest[1]
        holds(rest[0] in (0x82, 0x88, 0x89, 0x8A) and length < 0x80, "another frame than documented", rest[:20])
        begin = 2
        if length > 125:
            begin = 4 if length == 126 else 10
            length = int.from_bytes(rest[2:begin], "big")
        holds(len(rest) >= begin + length, "an incomplete frame", rest[:20])
        if rest[0] == 0x88:
            code = int.from_bytes(rest[begin : begin + 2], "big")
            holds(frames.good_close_code(code), "an invalid close code", code)
            rest[begin + 2 : begin + length].decode()
            holds(len(rest) == begin + length, "data after the close frame")
        rest = rest[begin + length :]


def _passed(sent: bytes, upstream: bytes, xvp: bool) -> None:
    """Check that the server received only what the model of the shield passes."""
    _, _, stream = sent.partition(b"\r\n\r\n")
    words = stream if xvp else read_frames(stream, frames.MESSAGE_LIMIT).payload
    judged = judge(words[14:])
    most = judged.passed + judged.more
    # The proxy itself sends version, choice, response and ClientInit; which of them depends on the server.
    own = [upstream[at:] for at in (12 + 1, 12 + 1 + 1, 12 + 1 + 16 + 1, 12 + 16 + 1)]
    holds(len(upstream) <= 13 or any(most.startswith(tail) for tail in own), "passes invalid data", upstream, most)


HEAD = (
    b"GET /?token=" + TOKEN.encode() + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
CONNECT = b"CONNECT /console?token=" + TOKEN.encode() + b" HTTP/1.0\r\n\r\n"
SERVER_INIT = b"\3\x20\2\x58" + b"\x20\x18\0\1\0\xff\0\xff\0\xff\x10\x08\0\0\0\0" + b"\0\0\0\4fake"
LOGIN = script((UPSTREAM, b"RFB 003.008\n"), (UPSTREAM, b"\1\1"), (UPSTREAM, b"\0\0\0\0"), (UPSTREAM, SERVER_INIT))
OFFER = script((FRAMED, b"RFB 003.008\n"), (FRAMED, b"\1"), (FRAMED, b"\1"))

TARGETS = (
    Target(
        "front",
        run,
        1024,
        (
            b"\0" + script((CLIENT, HEAD)),
            b"\1" + script((CLIENT, CONNECT)),
            LOGIN,
            script(
                (UPSTREAM, b"RFB 003.008\n"), (UPSTREAM, b"\1\2" + bytes(16)), (UPSTREAM, b"\0\0\0\0" + SERVER_INIT)
            ),
            OFFER,
            script((FRAMED, b"\5\1\0\2\0\3")),
            script((FRAMED, b"\2\0\0\1\0\0\0\0")),
            script((UPSTREAM, b"\2")),
            script((CLIENT, b"\x89\x80\0\0\0\0")),
            script((CLIENT, b"\x88\x82\0\0\0\0\3\xe8")),
            script((WAIT, b"\x50"), (CLIENT_LEAVES, b""), (UPSTREAM_LEAVES, b"")),
        ),
    ),
)
