"""The opening handshake of a WebSocket (RFC 6455, section 4.2), judged by autobahn in memory.

A complete head is given to autobahn's server protocol, and its response is collected in memory.  The protocol has no
transport, no timer and no second request.  It gets only the fields that decide about the upgrade: neither the token nor
the Origin, which has rules of its own here (see :mod:`novnc_twisted.access.origin`).

``makeConnection``, the protocol's usual beginning, is not called, since it takes five times as long as the handshake
itself (measured).  The attributes that it would set are set on the class.
"""

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
"""The version of RFC 6455, the only one."""

_DECIDING: Final = ("host", "upgrade", "connection", "sec-websocket-key", VERSION_FIELD, "sec-websocket-protocol")
"""The fields that decide about the upgrade.

Sec-WebSocket-Extensions is not among them: a server may decline every extension (RFC 6455, section 9.1), and we do.
autobahn would judge the offers first, and refuse some that RFC 7692 allows (client_max_window_bits=8).
"""

txaio.use_twisted()


class HandshakeFailed(Exception):
    """A field that the upgrade needs is missing, repeated or wrong; the text names it."""


class Handshaker:
    """Judges handshakes; each proxy has one."""

    def __init__(self, reactor: IReactorTime) -> None:
        self._factory = WebSocketServerFactory(server=None, reactor=reactor)  # without it, autobahn imports a reactor

    def accept(self, head: RequestHead) -> bytes:
        """Return the whole 101 response.

        :raises HandshakeFailed: the head is not a valid handshake.
        """
        if head.all(VERSION_FIELD) != [VERSION]:  # autobahn accepts whatever int() reads as 13
            raise HandshakeFailed("another version of WebSocket than 13")
        fields = [(name, value) for name, value in head.fields if name in _DECIDING]
        if not all(value.isascii() for _, value in fields):  # autobahn strips what Unicode counts as a blank
            raise HandshakeFailed("characters that no field of a handshake has")
        # The target is replaced, since it contains the token.
        lines = [f"{head.method} / HTTP/1.{head.minor}", *(f"{name}: {value}" for name, value in fields), "", ""]
        judge = _Judge(self._factory)
        judge.data = "\r\n".join(lines).encode("latin-1")
        judge.processHandshake()
        if judge.failed is not None:
            raise HandshakeFailed(judge.failed)
        return bytes(judge.reply)


def _nothing(*_: Any, **__: Any) -> None:
    pass


class _NoLog:
    """Discards everything: autobahn emits six debug messages per handshake, which is measurable in the set-up time."""

    critical = error = warn = info = debug = trace = staticmethod(_nothing)


class _Judge(WebSocketServerProtocol):
    """autobahn's server protocol, whose response goes to ``reply``."""

    log = _NoLog()

    # What makeConnection would set, as far as processHandshake reads it.
    peer = ""
    versions = (int(VERSION),)
    webStatus = serveFlashSocketPolicy = False
    trustXForwardedFor = maxConnections = autoPingInterval = 0
    openHandshakeTimeoutCall = None
    trackedTimings: Any = None

    def __init__(self, factory: WebSocketServerFactory) -> None:
        super().__init__()
        self.factory = factory
        self.reply = bytearray()
        self.failed: str | None = None

    def onConnect(self, request: ConnectionRequest) -> str | None:
        """See WebSocketServerProtocol: return the sub-protocol that is accepted."""
        return SUBPROTOCOL if SUBPROTOCOL in request.protocols else None

    def sendData(self, data: bytes, *_: Any, **__: Any) -> None:
        """See WebSocketProtocol: collect the response, since there is no transport."""
        self.reply += data

    def failHandshake(self, reason: str, *_: Any, **__: Any) -> None:
        """See WebSocketServerProtocol: keep the reason; the proxy sends a response of its own."""
        self.failed = str(reason)

    def _onOpen(self) -> None:
        """Do nothing: the session's own frames follow."""
