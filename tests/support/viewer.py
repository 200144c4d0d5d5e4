"""Scripted viewers: WebSocket or CONNECT, and RFB, byte for byte; each knows what its screen shows.

``Viewers(case).open(url)`` opens what ``nova get-vnc-console`` printed, of either kind, as noVNC and as the Java viewer
would; ``refusal(url)`` gives why it was refused.
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
"""Pixels of a character in VGA's text mode."""

_UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


PATIENCE = 40.0
"""Seconds that each step may take: an upper bound, not a pace."""

P = ParamSpec("P")
T = TypeVar("T")


def patient(step: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """A step that fails by its own name where it waits for ever."""

    @wraps(step)
    async def in_time(*arguments: P.args, **more: P.kwargs) -> T:
        def late(_result: object, seconds: float) -> None:
            raise AssertionError(f"{step.__name__} of {arguments[1:]} took more than {seconds:g} s")

        return await Deferred.fromCoroutine(step(*arguments, **more)).addTimeout(PATIENCE, reactor, late)

    return in_time


class Viewer:
    """A viewer whose session lives: what it was told in ServerInit, and its screen.

    :ivar stream: RFB, as bytes: ``await read(count)`` and ``write(data)``.
    :ivar raw: the connection below.
    :ivar updates: rectangles that came so far.
    """

    def __init__(self, stream: Any, raw: Raw) -> None:
        self.stream, self.raw = stream, raw
        self.name = ""
        self.updates = 0
        self._asked = False
        self._whole = True

    async def begin(self) -> "Viewer":
        """The RFB handshake, and which encodings we take."""
        width, height, self.name = await introduce(self.stream)
        self._resize(width, height)
        self.stream.write(struct.pack(">BxHii", 2, 2, RAW, DESKTOP_SIZE))
        return self

    def press(self, key: str) -> None:
        """A key goes down and up."""
        for down in (1, 0):
            self.stream.write(struct.pack(">BBxxI", 4, down, ord(key)))

    async def until(self, shown: Callable[[], bool]) -> None:
        """Take updates until the screen is so."""
        while not shown():
            await self.update()

    async def update(self) -> None:
        """Ask for what changed, and take it."""
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

    @patient
    async def ready(self) -> "Viewer":
        """Until the guest of :mod:`demo.guest` waits for keys."""
        await self.until(lambda: (self.width, self.height) == (720, 400) and len(set(self.cell(6, 0))) > 1)
        return self

    @patient
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
        """The pixels of the first rows, likewise."""
        return b"".join(self._line(line) for line in range(min(rows * CELL[1], self.height)) if line % CELL[1] < 12)

    def leave(self) -> Deferred[None]:
        """Be gone; fires when it is so."""
        if not self.raw.lost:
            self.raw.transport.abortConnection()
        return _when(self.raw.gone)

    @patient
    async def closed(self) -> tuple[int, str] | None:
        """Why the other side closed: WebSocket's code and reason; of XVP there is only the end."""
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
    """Makes viewers; they leave with the test.

    :param case: whose clean-up ends them.
    :param tls: what ``https://`` URLs need (IOpenSSLClientConnectionCreator).
    """

    def __init__(self, case: TestCase, *, tls: Any = None) -> None:
        self._case = case
        self._tls = tls

    @patient
    async def open(self, url: str) -> Viewer:
        """Open a console's URL, of either kind."""
        stream, raw = await self._begin(url)
        if stream is raw:
            head = await raw.until(b"\r\n\r\n")
            assert head == b"HTTP/1.1 200 OK\r\n\r\n", head
        return await Viewer(stream, raw).begin()

    @patient
    async def direct(self, host: str, port: int) -> Viewer:
        """Open a VNC server itself, by no proxy."""
        raw = await self.raw(host, port)
        return await Viewer(raw, raw).begin()

    @patient
    async def refusal(self, url: str) -> tuple[int, str]:
        """Why it is refused: close code and sentence (which RFB has to say as well), or status and sentence."""
        stream, raw = await self._begin(url)
        if stream is raw:
            head = (await raw.everything()).decode()
            version, status, sentence = head.partition("\r\n")[0].split(" ", 2)
            assert (version, head.partition("\r\n")[2]) == ("HTTP/1.1", "\r\n"), head
            return int(status), sentence
        said = await refused(stream)
        code, reason = await stream.until_closed()
        assert said == reason, (said, reason)
        return code, reason

    async def waiting(self, url: str) -> tuple[Any, Raw]:
        """Begin to open it, and wait for nothing: the stream and the connection."""
        return await self._begin(url)

    async def raw(self, host: str, port: int, *, tls: bool = False) -> Raw:
        """A connection."""
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
    """Fires with it, for any number who ask."""
    seen: Deferred[None] = Deferred()

    def pass_on(result: Any) -> Any:
        seen.callback(None)
        return result

    gone.addBoth(pass_on)
    return seen
