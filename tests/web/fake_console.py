"""A small server for the page: dist/ with a strict policy, and a WebSocket that speaks RFB 3.8 as a test tells it."""

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

DIST = Path(__file__).parents[2] / "novnc_twisted" / "web" / "dist"

POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)

WIDTH, HEIGHT = 320, 200
FORMAT = struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)


class Viewer(WebSocketServerProtocol):
    """One connection of the page."""

    def onConnect(self, request):
        console = self.factory.console
        self.params = request.params
        self.path = request.path
        self.buffer = b""
        self.step = self.version
        self.told_size = False
        console.viewers.append(self)
        return "binary" if "binary" in request.protocols else None

    def onOpen(self):
        self.send(b"RFB 003.008\n")

    def onMessage(self, payload, isBinary):
        if not payload:
            self.factory.console.empty_messages.append(self)
            if self.factory.console.echoes:
                self.send(b"")
        self.buffer += payload
        while (used := self.step(self.buffer)) is not None:
            self.buffer = self.buffer[used:]

    def send(self, data):
        self.sendMessage(data, isBinary=True)

    def close(self, code, sentence):
        """Send a close frame with any code; autobahn's own method takes those of applications only."""
        self.sendCloseFrame(code=code, reasonUtf8=sentence.encode())

    # each step returns how many bytes it took, or None when it needs more

    def version(self, data):
        if len(data) < 12:
            return None
        refusal = self.factory.console.refusal(self.params)
        if refusal:
            code, sentence = refusal
            words = sentence.encode()
            self.send(b"\0" + struct.pack(">I", len(words)) + words)
            self.close(code, sentence)
            self.step = lambda data: None
        else:
            self.send(b"\1\1")
            self.step = self.security
        return 12

    def security(self, data):
        if not data:
            return None
        self.send(struct.pack(">I", 0))
        self.step = self.client_init
        return 1

    def client_init(self, data):
        if not data:
            return None
        name = self.factory.console.name.encode()
        self.send(struct.pack(">HH", *self.factory.console.size) + FORMAT + struct.pack(">I", len(name)) + name)
        self.step = self.message
        return 1

    def message(self, data):
        if not data:
            return None
        length = {0: 20, 3: 10, 4: 8, 5: 6}.get(data[0])
        if data[0] == 2 and len(data) >= 4:
            length = 4 + 4 * struct.unpack_from(">H", data, 2)[0]
        elif data[0] == 6 and len(data) >= 8:
            length = 8 + abs(struct.unpack_from(">i", data, 4)[0])
        elif data[0] == 251 and len(data) >= 8:
            length = 8 + 16 * data[6]
        if length is None or len(data) < length:
            return None
        self.factory.console.received(self, data[:length])
        if data[0] == 3 and not data[1] and not self.factory.console.silent:
            self.paint()  # the screen is still: incremental requests stay open
        if data[0] == 251:
            self.resize(*struct.unpack_from(">HH", data, 2))
        return length

    def resize(self, width, height):
        """Answer SetDesktopSize: with the new size, or with 1, administratively prohibited."""
        console = self.factory.console
        if console.resizable:
            console.size = width, height
        self.send_size(1, 0 if console.resizable else 1)
        self.paint()

    def send_size(self, reason, status):
        """An update with the one rectangle of ExtendedDesktopSize, which says that SetDesktopSize is understood."""
        width, height = self.factory.console.size
        self.send(
            struct.pack(">BxHHHHHiB3xIHHHHI", 0, 1, reason, status, width, height, -308, 1, 0, 0, 0, width, height, 0)
        )

    def leds(self, *, caps_lock=False):
        """Tell the viewer which lights the guest's keyboard shows (QEMU's LED state pseudo-encoding)."""
        self.send(struct.pack(">BxHHHHHiB", 0, 1, 0, 0, 1, 1, -261, 4 if caps_lock else 0))

    def extended_clipboard(self):
        """Tell the viewer that any text may be put on the clipboard: text, and all five actions."""
        self.send(struct.pack(">B3xiII", 3, -8, 0x1F000001, 1 << 20))

    def paint(self):
        if self.factory.console.resizable is not None and not self.told_size:
            self.told_size = True
            self.send_size(0, 0)
        pixels = b"".join(
            struct.pack("<I", (x * 255 // WIDTH) << 8 | (y % 256) << 16 | 0x60)
            for y in range(HEIGHT)
            for x in range(WIDTH)
        )
        self.send(struct.pack(">BxHHHHHi", 0, 1, 0, 0, WIDTH, HEIGHT, 0) + pixels)


class Front(Resource):
    """Files, with the policy on each; an upgrade goes to the WebSocket at any path."""

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
    """Listens on a free port of loopback; tests set what it answers and read what it was told."""

    def __init__(self, reactor: IReactorTCP) -> None:
        if not (DIST / "vnc_auto.html").exists():
            raise FileNotFoundError("the page is not built: npm ci && npm run build in novnc_twisted/web")
        self.name = "myserver20"
        self.viewers: list[Viewer] = []
        self.messages: list[bytes] = []
        self.empty_messages: list[Viewer] = []
        self.refusal: Callable[[dict[str, list[str]]], tuple[int, str] | None] = lambda params: None
        self.silent = False
        self.size = WIDTH, HEIGHT
        self.resizable: bool | None = None  # whether SetDesktopSize is obeyed; None: it is not even offered
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

    def received(self, viewer: Viewer, message: bytes) -> None:
        self.messages.append(message)

    def keys(self) -> list[tuple[int, bool]]:
        """KeyEvents so far: keysym, down."""
        return [(struct.unpack_from(">I", m, 4)[0], bool(m[1])) for m in self.messages if m[0] == 4]

    def pointers(self) -> list[tuple[int, int, int]]:
        """PointerEvents so far: buttons, x, y."""
        return [struct.unpack_from(">BHH", m, 1) for m in self.messages if m[0] == 5]

    def cut_texts(self) -> list[bytes]:
        """What was put on the clipboard so far, of the plain kind."""
        return [m[8:] for m in self.messages if m[0] == 6 and not m[4] & 0x80]

    async def stop(self) -> None:
        await maybeDeferred(self.port.stopListening)
        for connection in list(self.connections.protocols):  # a browser that lives on keeps its connections open
            connection.transport.abortConnection()
        await deferLater(reactor, 0)
