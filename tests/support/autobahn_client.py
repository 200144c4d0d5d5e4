"""autobahn's WebSocket client, which shares no code with our server; its messages are read as a stream."""

from typing import Any

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet import reactor
from twisted.internet.defer import Deferred


class Client(WebSocketClientProtocol):
    """A client that reads binary messages as a byte stream."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = bytearray()
        self.opened: Deferred[None] = Deferred()
        self.closed: Deferred[tuple[bool, int, str]] = Deferred()
        self._waiting: tuple[int, Deferred[bytes]] | None = None

    def onOpen(self) -> None:
        self.opened.callback(None)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        assert isBinary
        self.buffer += payload
        if self._waiting is not None and len(self.buffer) >= self._waiting[0]:
            (count, waiting), self._waiting = self._waiting, None
            waiting.callback(self.take(count))

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        self.closed.callback((wasClean, code, reason))

    def take(self, count: int) -> bytes:
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def read(self, count: int) -> Deferred[bytes]:
        waiting: Deferred[bytes] = Deferred()
        if len(self.buffer) >= count:
            waiting.callback(self.take(count))
        else:
            self._waiting = count, waiting
        return waiting

    def write(self, data: bytes) -> None:
        self.sendMessage(data, isBinary=True)


async def connect(url: str, endpoint: Any) -> Client:
    """Open a WebSocket through this endpoint."""
    factory = WebSocketClientFactory(url, protocols=["binary"], reactor=reactor)
    factory.protocol = Client
    # txaio rounds autobahn's timers down to whole seconds.  The default of 1 s for the closing handshake could be
    # any time down to 0, so that a reply after 30 ms was sometimes too late.
    factory.setProtocolOptions(closeHandshakeTimeout=20, serverConnectionDropTimeout=20)
    client: Any = await endpoint.connect(factory)
    await client.opened
    return client  # type: ignore[no-any-return]
