"""A small viewer: WebSocket or CONNECT, then RFB.  It keeps the pixels of the screen for tests to compare.

``Viewers(case).open(url)`` opens a URL that ``nova get-vnc-console`` printed, as noVNC or the Java viewer would;
``refusal(url)`` returns the reason of a refusal.
"""

import struct
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from urllib.parse import parse_qs, urlsplit

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory
from twisted.trial.unittest import TestCase

from tests.session.harness import Raw, WebSocket, introduce, refused

RAW, DESKTOP_SIZE = 0, -223
CELL = (9, 16)
"""Width and height of a character in VGA's text mode, in pixels."""

_UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


TIMEOUT = 120.0
"""Maximum duration of each step, in seconds."""

P = ParamSpec("P")
T = TypeVar("T")


def limited(step: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Limit the duration of a step; the failure names the step."""

    @wraps(step)
    async def in_time(*arguments: P.args, **more: P.kwargs) -> T:
        def late(_result: object, seconds: float) -> None:
            raise AssertionError(f"{step.__name__} of {arguments[1:]} took more than {seconds:g} s")

        return await Deferred.fromCoroutine(step(*arguments, **more)).addTimeout(TIMEOUT, reactor, late)

    return in_time


class Viewer:
    """A viewer with a live session: the values of ServerInit, and its screen.

    :ivar stream: the RFB stream: ``await read(count)`` and ``write(data)``.
    :ivar raw: the connection below.
    :ivar updates: how many rectangles it has received.
    """

    def __init__(self, stream: Any, raw: Raw) -> None:
        self.stream, self.raw = stream, raw
        self.name = ""
        self.updates = 0
        self._asked = False
        self._whole = True

    async def begin(self) -> "Viewer":
        """Do the RFB handshake, and send the accepted encodings."""
        width, height, self.name = await introduce(self.stream)
        self._resize(width, height)
        self.stream.write(struct.pack(">BxHii", 2, 2, RAW, DESKTOP_SIZE))
        return self

    def press(self, key: str) -> None:
        """Press and release a key."""
        for down in (1, 0):
            self.stream.write(struct.pack(">BBxxI", 4, down, ord(key)))

    async def until(self, shown: Callable[[], bool]) -> None:
        """Read updates until the screen satisfies a condition."""
        while not shown():
            await self.update()

    async def update(self) -> None:
        """Request changes, unless a request is pending, and read one message."""
        if not self._asked:
            self._asked = True
            incremental = 0 if self._whole else 1
            self._whole = False
            self.stream.write(struct.pack(">BBHHHH", 3, incremental, 0, 0, self.width, self.height))
        kind = (await self.stream.read(1))[0]
        if kind == 0:
            self._asked = False
            _, count = struct.unpack(">BH", await self.stream.read(3))
            for _ in range(count):
                await self._rectangle()
        elif kind == 3:
            await self.stream.read(int.from_bytes((await self.stream.read(7))[3:], "big"))
        elif kind != 2:
            raise AssertionError(f"message {kind}")

    @limited
    async def answers(self) -> None:
        """Check that the session works in both directions: request the whole screen, and read the update."""
        self._whole = True
        await self.update()

    @limited
    async def ready(self) -> "Viewer":
        """Wait until the guest of :mod:`demo.guest` waits for keys."""
        await self.until(lambda: (self.width, self.height) == (720, 400) and len(set(self.cell(6, 0))) > 1)
        return self

    @limited
    async def type(self, key: str) -> None:
        """Press a key, and wait until the screen shows another text than before."""
        before = self.text()
        self.press(key)
        await self.until(lambda: self.text() != before)

    def cell(self, row: int, column: int) -> tuple[bytes, ...]:
        """The pixels of a character, without the lines in which the cursor blinks."""
        width, height = CELL
        left = column * width
        return tuple(
            bytes(self._line(row * height + line)[4 * (left + x) : 4 * (left + x) + 4])
            for line in range(12)
            for x in range(width)
        )

    def text(self, rows: int = 25) -> bytes:
        """The pixels of the first rows, without the lines in which the cursor blinks."""
        return b"".join(self._line(line) for line in range(min(rows * CELL[1], self.height)) if line % CELL[1] < 12)

    def leave(self) -> Deferred[None]:
        """Disconnect; return a Deferred that fires when the connection is lost."""
        if not self.raw.lost:
            self.raw.transport.abortConnection()
        return _when(self.raw.gone)

    @limited
    async def closed(self) -> tuple[int, str] | None:
        """Wait for the end; return WebSocket's close code and reason.  The XVP port only closes: None."""
        if isinstance(self.stream, WebSocket):
            return await self.stream.until_closed()
        await self.raw.everything()
        return None

    def _line(self, line: int) -> bytes:
        return bytes(self._pixels[4 * self.width * line : 4 * self.width * (line + 1)])

    def _resize(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._pixels = bytearray(4 * width * height)
        self._whole = True

    async def _rectangle(self) -> None:
        x, y, width, height, encoding = struct.unpack(">HHHHi", await self.stream.read(12))
        self.updates += 1
        if encoding == DESKTOP_SIZE:
            self._resize(width, height)
            return
        assert encoding == RAW, encoding
        data = await self.stream.read(4 * width * height)
        for line in range(height):
            start = 4 * (self.width * (y + line) + x)
            self._pixels[start : start + 4 * width] = data[4 * width * line : 4 * width * (line + 1)]


class Viewers:
    """Makes viewers; they disconnect at the end of the test.

    :param case: the test.
    :param tls: an IOpenSSLClientConnectionCreator for ``https://`` URLs.
    """

    def __init__(self, case: TestCase, *, tls: Any = None) -> None:
        self._case = case
        self._tls = tls

    @limited
    async def open(self, url: str) -> Viewer:
        """Open a console's URL, of the noVNC or the XVP proxy."""
        stream, raw = await self._begin(url)
        if stream is raw:
            head = await raw.until(b"\r\n\r\n")
            assert head == b"HTTP/1.1 200 OK\r\n\r\n", head
        return await Viewer(stream, raw).begin()

    @limited
    async def direct(self, host: str, port: int) -> Viewer:
        """Connect to a VNC server directly, without a proxy."""
        raw = await self.raw(host, port)
        return await Viewer(raw, raw).begin()

    @limited
    async def refusal(self, url: str) -> tuple[int, str]:
        """Return a refusal: close code (or HTTP status) and sentence.  RFB must report the same sentence."""
        stream, raw = await self._begin(url)
        if stream is raw:
            head = (await raw.everything()).decode()
            version, status, sentence = head.partition("\r\n")[0].split(" ", 2)
            assert (version, head.partition("\r\n")[2]) == ("HTTP/1.1", "\r\n"), head
            return int(status), sentence
        reported = await refused(stream)
        code, reason = await stream.until_closed()
        assert reported == reason, (reported, reason)
        return code, reason

    async def waiting(self, url: str) -> tuple[Any, Raw]:
        """Open a console's URL, but do not begin RFB; return the stream and the connection."""
        return await self._begin(url)

    async def raw(self, host: str, port: int, *, tls: bool = False) -> Raw:
        """Return a TCP or TLS connection."""
        factory = Factory.forProtocol(Raw)
        factory.noisy = False
        endpoint: Any = TCP4ClientEndpoint(reactor, host, port)
        raw: Any = await (wrapClientTLS(self._tls, endpoint) if tls else endpoint).connect(factory)
        self._case.addCleanup(Viewer(raw, raw).leave)
        return raw  # type: ignore[no-any-return]

    async def _begin(self, url: str) -> tuple[Any, Raw]:
        parts = urlsplit(url)
        assert parts.hostname and parts.port, url
        raw = await self.raw(parts.hostname, parts.port, tls=parts.scheme == "https")
        if parts.path == "/console":
            raw.write(f"CONNECT {parts.path}?{parts.query} HTTP/1.0\r\n\r\n".encode())
            return raw, raw
        token = parse_qs(parts.query)["token"][0]
        host, origin = parts.netloc, f"{parts.scheme}://{parts.netloc}"
        raw.write(_UPGRADE.format(path=f"/?token={token}", host=host, origin=origin).encode())
        head = await raw.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        return WebSocket(raw), raw


def _when(gone: Deferred[None]) -> Deferred[None]:
    """Return a Deferred that fires when the connection is lost; may be called several times."""
    seen: Deferred[None] = Deferred()

    def pass_on(result: Any) -> Any:
        seen.callback(None)
        return result

    gone.addBoth(pass_on)
    return seen
