"""The opening handshake (RFC 6455, section 4.2), judged by autobahn in memory.

autobahn's protocol is given one complete head and writes into a variable: there is no asynchronous accept, no second
request, no open-handshake timer and no half-dead transport that it could be led astray by; and neither the token nor
the Origin, which is judged by our own rules, is among what it is told (its debug log prints heads).
"""

from collections.abc import Mapping
from typing import Any, Final

import txaio
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionRequest
from twisted.internet.interfaces import IReactorTime

from novnc_twisted.access.request_head import RequestHead

SUBPROTOCOL: Final = "binary"
"""What noVNC before 1.2 asks for; a client that asks for none, or for others, is accepted without one."""

VERSION_FIELD: Final = "sec-websocket-version"
VERSION: Final = "13"
"""Of RFC 6455, the only one."""

_SEEN: Final = ("host", "upgrade", "connection", "sec-websocket-key", VERSION_FIELD, "sec-websocket-protocol")
"""The fields that decide about the upgrade.

Sec-WebSocket-Extensions is not among them: a server may decline every extension (RFC 6455, section 9.1), and we do.
autobahn would judge the offers first, and refuse some that RFC 7692 allows (client_max_window_bits=8).
"""

txaio.use_twisted()


class HandshakeFailed(Exception):
    """It is no proper handshake; says why."""


class Handshaker:
    """Judges handshakes; one for each front."""

    def __init__(self, reactor: IReactorTime) -> None:
        factory = WebSocketServerFactory(server=None, reactor=reactor)
        factory.setProtocolOptions(
            versions=[13],
            webStatus=False,
            openHandshakeTimeout=0,
            autoPingInterval=0,
            trustXForwardedFor=0,
        )
        self._factory = factory
        # What a connection would make of itself, but for the text that autobahn formats of it for its log.
        self._connected = {name: getattr(factory, name) for name in _Judge.CONFIG_ATTRS}
        self._connected |= dict.fromkeys(("trackedTimings", "openHandshakeTimeoutCall", "_perMessageCompress"))

    def accept(self, head: RequestHead) -> bytes:
        """The whole 101 response.

        :raises HandshakeFailed: where a header that the upgrade needs is missing, double or wrong.
        """
        if head.all(VERSION_FIELD) != [VERSION]:  # autobahn takes whatever int() reads as 13
            raise HandshakeFailed("another version of WebSocket than 13")
        fields = [(name, value) for name, value in head.fields if name in _SEEN]
        if not all(value.isascii() for _, value in fields):  # autobahn overlooks what is a blank to Unicode
            raise HandshakeFailed("characters that no field of a handshake has")
        lines = [f"{head.method} / HTTP/1.{head.minor}", *(f"{name}: {value}" for name, value in fields), "", ""]
        judge = _Judge(self._factory, self._connected)
        judge.data = "\r\n".join(lines).encode("latin-1")
        judge.processHandshake()
        if judge.failed is not None:
            raise HandshakeFailed(judge.failed)
        return bytes(judge.reply)


def _nothing(*_: Any, **__: Any) -> None:
    pass


class _Deaf:
    """A log that nobody hears: autobahn tells six times a handshake what it reads."""

    critical = error = warn = info = debug = trace = staticmethod(_nothing)


class _Judge(WebSocketServerProtocol):
    """autobahn's server, whose bytes go nowhere but into ``reply``."""

    log = _Deaf()

    peer = ""

    def __init__(self, factory: WebSocketServerFactory, connected: Mapping[str, Any]) -> None:
        super().__init__()
        self.__dict__.update(connected)
        self.factory = factory
        self.reply = bytearray()
        self.failed: str | None = None

    def onConnect(self, request: ConnectionRequest) -> str | None:
        return SUBPROTOCOL if SUBPROTOCOL in request.protocols else None

    def sendData(self, data: bytes, *_: Any, **__: Any) -> None:
        self.reply += data

    def failHandshake(self, reason: str, *_: Any, **__: Any) -> None:
        self.failed = str(reason)

    def _onOpen(self) -> None:
        """The session's own frames take over from here."""
