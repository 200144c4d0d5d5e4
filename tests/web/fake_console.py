"""A small server for the page: dist/ with a strict Content-Security-Policy, and a WebSocket to a fake VNC server."""

import struct
from collections.abc import Callable
from pathlib import Path

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IReactorTCP
from twisted.internet.task import deferLater
from twisted.protocols.policies import WrappingFactory
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import File

from tests.support.vnc_server import FakeVNCConnection, FakeVNCServer

DIST = Path(__file__).parents[2] / "novnc_twisted" / "web" / "dist"

POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)

WIDTH, HEIGHT = 320, 200
PICTURE = b"".join(
    struct.pack("<I", (x * 255 // WIDTH) << 8 | (y % 256) << 16 | 0x60) for y in range(HEIGHT) for x in range(WIDTH)
)
"""The pixels of the screen."""


class Screen(FakeVNCConnection):
    """The fake VNC server's side of one connection of the page: a picture, and a size that may change.

    :ivar console: set by `Viewer` before the connection is made.
    """

    console: "FakeConsole"
    _size_sent = False

    async def respond(self, message):
        self.console.messages.append(message)
        if message[0] == 3 and not message[1] and not self.console.silent:
            self.paint()  # the screen never changes, so incremental requests stay open
        if message[0] == 251:
            self.resize(*struct.unpack_from(">HH", message, 2))

    def resize(self, width, height):
        """Answer SetDesktopSize: with the new size, or with 1, administratively prohibited."""
        console = self.console
        if console.resizable:
            console.size = width, height
        self.send_size(1, 0 if console.resizable else 1)
        self.paint()

    def send_size(self, reason, status):
        """Send an update with one rectangle of ExtendedDesktopSize: this offers SetDesktopSize."""
        width, height = self.console.size
        self.transport.write(
            struct.pack(">BxHHHHHiB3xIHHHHI", 0, 1, reason, status, width, height, -308, 1, 0, 0, 0, width, height, 0)
        )

    def paint(self):
        """Send the picture."""
        if self.console.resizable is not None and not self._size_sent:
            self._size_sent = True
            self.send_size(0, 0)
        self.transport.write(struct.pack(">BxHHHHHi", 0, 1, 0, 0, WIDTH, HEIGHT, 0) + PICTURE)


class Viewer(WebSocketServerProtocol):
    """One connection of the page: the transport of a `Screen` that sends binary messages."""

    def onConnect(self, request):
        self.params = request.params
        self.path = request.path
        self.refusal = None
        self.factory.console.viewers.append(self)
        # Like websockify, which does not strip spaces.
        offered = request.headers.get("sec-websocket-protocol", "").split(",")
        return "binary" if "binary" in offered else None

    def onOpen(self):
        console = self.factory.console
        if console.mute:
            console.waiting.append(self)
        else:
            self.begin()

    def begin(self):
        """Begin RFB, or refuse the connection."""
        console = self.factory.console
        self.refusal = console.refusal(self.params)
        reason = self.refusal and self.refusal[1].encode()
        self.screen = Screen(FakeVNCServer(name=console.name.encode(), size=console.size, reason=reason))
        self.screen.console = console
        self.screen.makeConnection(self)

    def onMessage(self, payload, isBinary):
        if not payload:
            self.factory.console.empty_messages.append(self)
            if self.factory.console.echoes:
                self.write(b"")
        self.screen.dataReceived(payload)

    def onClose(self, wasClean, code, reason):
        if hasattr(self, "screen"):
            self.screen.connectionLost()
        elif self in self.factory.console.waiting:
            self.factory.console.waiting.remove(self)

    def write(self, data):
        """Send a message; a method of transports."""
        self.sendMessage(data, isBinary=True)

    def loseConnection(self):
        """Close normally, or after a refusal with its close code and sentence."""
        self.close(*(self.refusal or (1000, "")))

    def close(self, code, sentence):
        """Send a close frame with any code; autobahn's own method accepts only those of applications."""
        self.sendCloseFrame(code=code, reasonUtf8=sentence.encode())

    def paint(self):
        """Send the picture."""
        self.screen.paint()

    def leds(self, *, caps_lock=False):
        """Send the state of the lights on the guest's keyboard (QEMU's LED state pseudo-encoding)."""
        self.write(struct.pack(">BxHHHHHiB", 0, 1, 0, 0, 1, 1, -261, 4 if caps_lock else 0))

    def extended_clipboard(self):
        """Offer the extended clipboard: text of any alphabet, and all five actions."""
        self.write(struct.pack(">B3xiII", 3, -8, 0x1F000001, 1 << 20))


class Front(Resource):
    """Serves the files with the policy.  WebSocket upgrades are accepted at any path."""

    def __init__(self, files: Resource, upgrade: Resource) -> None:
        super().__init__()
        self.files = files
        self.upgrade = upgrade
        self.head_requests: list[bytes] = []

    def getChildWithDefault(self, path: bytes, request: Request) -> Resource:
        if request.getHeader("upgrade"):
            return self.upgrade
        if request.method == b"HEAD":
            self.head_requests.append(path)
        request.setHeader("Content-Security-Policy", POLICY)
        return self.files.getChildWithDefault(path, request)


class FakeConsole:
    """Listens on a free port of loopback.  A test sets what it answers, and reads what it received."""

    def __init__(self, reactor: IReactorTCP) -> None:
        if not (DIST / "vnc_auto.html").exists():
            raise FileNotFoundError("the page is not built: npm ci && npm run build in novnc_twisted/web")
        self.name = "myserver20"
        self.viewers: list[Viewer] = []
        self.messages: list[bytes] = []
        self.empty_messages: list[Viewer] = []
        self.refusal: Callable[[dict[str, list[str]]], tuple[int, str] | None] = lambda params: None
        self.silent = False
        self.mute = False  # whether connections are accepted, but nothing is sent
        self.waiting: list[Viewer] = []  # connections to which nothing has been sent yet
        self.size = WIDTH, HEIGHT
        self.resizable: bool | None = None  # whether SetDesktopSize succeeds; None: it is not offered
        self.echoes = True  # whether empty messages are answered, as the proxy does
        factory = WebSocketServerFactory(protocols=["binary"], reactor=reactor)
        factory.protocol = Viewer
        factory.console = self
        factory.setProtocolOptions(autoPingInterval=0, closeHandshakeTimeout=2)
        self.front = Front(File(str(DIST)), WebSocketResource(factory))
        self.connections = WrappingFactory(Site(self.front))
        self.port = reactor.listenTCP(0, self.connections, interface="127.0.0.1")

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port.getHost().port}"

    def url(self, query: str = "token=T", page: str = "vnc_auto.html") -> str:
        return f"{self.origin}/{page}?{query}"

    def keys(self) -> list[tuple[int, bool]]:
        """KeyEvents so far: keysym, down."""
        return [(struct.unpack_from(">I", m, 4)[0], bool(m[1])) for m in self.messages if m[0] == 4]

    def pointers(self) -> list[tuple[int, int, int]]:
        """PointerEvents so far: buttons, x, y."""
        return [struct.unpack_from(">BHH", m, 1) for m in self.messages if m[0] == 5]

    def cut_texts(self) -> list[bytes]:
        """Texts that the page put on the clipboard so far, without those of the extended clipboard."""
        return [m[8:] for m in self.messages if m[0] == 6 and not m[4] & 0x80]

    async def stop(self) -> None:
        await maybeDeferred(self.port.stopListening)
        for connection in list(self.connections.protocols):  # a browser that still runs keeps its connections open
            connection.transport.abortConnection()
        await deferLater(reactor, 0)
