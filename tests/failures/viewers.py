"""Users' viewers: each attempt to open a link has an outcome."""

import struct
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectError, ConnectionClosed, ConnectionRefusedError
from twisted.internet.protocol import Factory
from twisted.web.client import ResponseFailed, ResponseNeverReceived

from tests.failures.cloud import PROXY, Cloud
from tests.session.harness import Lost, Raw, WebSocket
from tests.support.viewer import _UPGRADE, DESKTOP_SIZE, RAW, Viewer

WORKS, WRONG, SILENT = "works", "WRONG SCREEN", "no answer"
LOST, CLOSED_PORT = "connection lost", "connection refused"
GREETING = b"RFB 003.008\n"

_FACTORY = Factory.forProtocol(Raw)
_FACTORY.noisy = False


class Refused(Exception):
    """An attempt to open a link failed; the text is the outcome."""


class Screen(Viewer):
    """A viewer that can identify its VM."""

    port = 0

    async def top(self) -> bytes:
        """Ask for the first row of text, in which each guest shows its name, and return its pixels."""
        self.stream.write(struct.pack(">BBHHHH", 3, 0, 0, 0, self.width, 16))
        self._asked, before = True, self.updates
        while self.updates == before:
            await self.update()
        return self.text(1)


class Users:
    """Opens links.

    :ivar tops: the first row of the screen of each VM, by UUID.
    """

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.tops: dict[str, bytes] = {}

    async def learn(self, uuid: str, host: str, name: str) -> None:
        """Read a VM's screen without the proxy, to recognise it later."""
        address, port = self.cloud.addresses[host], await self.cloud.hosts[host].port(name)
        raw: Any = await _connect(address, port)
        self.tops[uuid] = (await (await Viewer(raw, raw).begin()).ready()).text(1)
        raw.transport.abortConnection()

    async def open(self, url: str, uuid: str) -> Screen:
        """Open a link.

        :raises Refused: there is no session, or it shows another VM's screen.
        """
        raw = await self.begin(url)
        try:
            screen = await self._screen(raw)
            if await screen.top() != self.tops[uuid]:
                raise Refused(WRONG)
        except BaseException:
            raw.transport.abortConnection()
            raise
        return screen

    async def begin(self, url: str) -> Any:
        """Request the WebSocket of a link.

        :raises Refused: the proxy accepts no connections.
        """
        try:
            raw: Any = await _connect(self.cloud.addresses["proxy"], PROXY)
        except ConnectError as error:
            raise Refused(CLOSED_PORT if isinstance(error, ConnectionRefusedError) else SILENT) from None
        host = f"{self.cloud.addresses['proxy']}:{PROXY}"
        token = url.partition("token=")[2]
        raw.write(_UPGRADE.format(path=f"/?token={token}", host=host, origin=f"http://{host}").encode())
        return raw

    async def _screen(self, raw: Any) -> Screen:
        """Do both handshakes."""
        stream = WebSocket(raw)
        try:
            head = await raw.until(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 101 "):
                raise Refused(head.split()[1].decode())
            return await self._introduce(stream, raw)
        except (AssertionError, Lost):
            raise Refused(str(stream.closed[0]) if stream.closed else LOST) from None

    async def _introduce(self, stream: WebSocket, raw: Any) -> Screen:
        await stream.read(12)
        stream.write(GREETING)
        if not (await stream.read(1))[0]:
            code, _ = await stream.until_closed()
            raise Refused(str(code))
        await stream.read(1)
        stream.write(b"\1")
        await stream.read(4)
        stream.write(b"\1")
        width, height, length = struct.unpack(">HH16xI", await stream.read(24))
        screen = Screen(stream, raw)
        screen.name = (await stream.read(length)).decode()
        screen.port = raw.transport.getHost().port
        screen._resize(width, height)
        stream.write(struct.pack(">BxHii", 2, 2, RAW, DESKTOP_SIZE))
        return screen

    async def outcome(self, url: str, uuid: str) -> str:
        """Open a link, look at the screen, and leave; return the outcome."""
        try:
            screen = await self.open(url, uuid)
        except Refused as refused:
            return str(refused)
        except (AssertionError, Lost):
            return LOST  # while the screen was drawn
        screen.raw.transport.abortConnection()
        return WORKS

    async def new_link(self, uuid: str) -> str:
        """Ask for a link and open it; return the outcome."""
        try:
            status, url = await self.cloud.ask(uuid)
        except ConnectError as error:
            return CLOSED_PORT if isinstance(error, ConnectionRefusedError) else SILENT
        except (ConnectionClosed, ResponseFailed, ResponseNeverReceived):
            return LOST
        return str(status) if status != 200 else await self.outcome(url, uuid)


def _connect(address: str, port: int) -> Deferred[Any]:
    return TCP4ClientEndpoint(reactor, address, port, timeout=60).connect(_FACTORY)  # type: ignore[no-any-return]


async def typing(screen: Screen) -> str:
    """Press a key in a live session, and wait for its echo; return the outcome."""
    try:
        before = screen.text()
        screen.press("k")
        await screen.until(lambda: screen.text() != before)
    except CancelledError:
        raise
    except (AssertionError, Lost):
        closed = screen.stream.closed
        return str(closed[0]) if closed else LOST
    return WORKS
