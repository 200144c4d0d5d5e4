"""The opening handshake of a WebSocket (RFC 6455, section 4.2), checked by autobahn in memory.

autobahn's server protocol gets the head of one request, in one piece.  The protocol's response is collected in memory.
The protocol has neither a transport nor a timer.  The head contains only the fields that the upgrade depends on.  The
protocol sees neither the token nor the Origin.  This project checks the Origin with rules of its own
(:mod:`novnc_twisted.access.origin`).

Most upgrades differ only in Sec-WebSocket-Key, so autobahn checks the other fields once for all of these upgrades.  If
autobahn checked each upgrade, its parser would take 6 % of the instructions of the set-up of a session.

The protocol's ``makeConnection`` is not called, because it takes five times as long as the handshake itself (measured).
The attributes that ``makeConnection`` would set are attributes of the class instead.
"""

import re
from base64 import b64encode
from hashlib import sha1
from typing import Any, Final, NamedTuple

import txaio
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionRequest
from twisted.internet.interfaces import IReactorTime

from novnc_twisted.access.request_head import RequestHead

SUBPROTOCOL: Final = "binary"
"""The subprotocol that noVNC before 1.2 offers.  If a client offers no known subprotocol, none is chosen."""

CHANNEL: Final = "novnc-twisted.v1"
"""The subprotocol with text messages between the page and the proxy, besides RFB (see ``docs/sharing.rst``).

It is chosen only if the client offers it and the proxy uses it (``channel`` of :class:`Handshaker`).  Unmodified noVNC
never offers it.
"""

VERSION_FIELD: Final = "sec-websocket-version"
VERSION: Final = "13"
"""The WebSocket version of RFC 6455.  No other version is accepted."""

KEY_FIELD: Final = "sec-websocket-key"

_DECIDING: Final = ("host", "upgrade", "connection", KEY_FIELD, VERSION_FIELD, "sec-websocket-protocol")
"""The fields that the upgrade depends on.

Sec-WebSocket-Extensions is missing on purpose.  A server may decline every extension (RFC 6455, section 9.1), and this
server does.  autobahn would refuse some offers that RFC 7692 allows, such as client_max_window_bits=8.
"""

_OTHERS: Final = frozenset(_DECIDING) - {KEY_FIELD}

_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")
"""Sixteen bytes in Base64: the keys that autobahn accepts."""

_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3

MOST_KNOWN: Final = 32
"""Maximum number of accepted handshakes that are remembered."""

txaio.use_twisted()


class HandshakeFailed(Exception):
    """The request is not a valid opening handshake.  The text is the reason, for the log."""


class Accepted(NamedTuple):
    """A handshake that is accepted.

    :ivar response: the whole 101 response.
    :ivar channel: whether :data:`CHANNEL` was chosen.
    """

    response: bytes
    channel: bool


class Handshaker:
    """Checks handshakes.  Each proxy has one object of this class.

    :param channel: whether to choose :data:`CHANNEL` if a client offers it.
    """

    def __init__(self, reactor: IReactorTime, *, channel: bool = False) -> None:
        self._channel = channel
        # Without the argument ``reactor``, autobahn would import the global reactor.
        self._factory = WebSocketServerFactory(server=None, reactor=reactor)
        # For accepted handshakes that differ only in their key: the bytes of the response before and after the value of
        # Sec-WebSocket-Accept, and whether CHANNEL was chosen.  This saves 6 to 7 % of the instructions of a set-up.
        self._known: dict[tuple[object, ...], tuple[bytes, bytes, bool]] = {}

    def accept(self, head: RequestHead) -> Accepted:
        """Check a head, and return the 101 response.

        :raises HandshakeFailed: the head is not a valid handshake.
        """
        keys = head.all(KEY_FIELD)
        if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
            return self._judge(head)  # raises HandshakeFailed, because autobahn refuses the key
        answer = _answer_to(keys[0])
        # Everything that decides on the response, apart from the key.
        others = head.method, head.minor, *(field for field in head.fields if field[0] in _OTHERS)
        known = self._known.get(others)
        if known is None:
            response, channel = self._judge(head)
            before, _, after = response.partition(answer)
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            known = self._known[others] = before, after, channel
        before, after, channel = known
        return Accepted(before + answer + after, channel)

    def _judge(self, head: RequestHead) -> Accepted:
        if head.all(VERSION_FIELD) != [VERSION]:  # autobahn accepts every text that int() reads as 13, such as "013"
            raise HandshakeFailed("the WebSocket version is not 13")
        fields = [(name, value) for name, value in head.fields if name in _DECIDING]
        if not all(value.isascii() for _, value in fields):  # autobahn would strip Unicode spaces
            raise HandshakeFailed("a header field contains characters that are not ASCII")
        # The target is replaced by "/", because it contains the token.
        lines = [f"{head.method} / HTTP/1.{head.minor}", *(f"{name}: {value}" for name, value in fields), "", ""]
        judge = _Judge(self._factory, (CHANNEL, SUBPROTOCOL) if self._channel else (SUBPROTOCOL,))
        judge.data = "\r\n".join(lines).encode("latin-1")
        judge.processHandshake()
        if judge.failed is not None:
            raise HandshakeFailed(judge.failed)
        return Accepted(bytes(judge.reply), judge.chosen == CHANNEL)


def _answer_to(key: str) -> bytes:
    """Return the value of Sec-WebSocket-Accept (RFC 6455, section 4.2.2)."""
    return b64encode(sha1(key.encode() + _MAGIC, usedforsecurity=False).digest())


def _nothing(*_: Any, **__: Any) -> None:
    pass


class _NoLog:
    """Discards log messages: autobahn logs six debug messages per handshake, which takes measurable time."""

    critical = error = warn = info = debug = trace = staticmethod(_nothing)


class _Judge(WebSocketServerProtocol):
    """autobahn's server protocol; collects its response in ``reply``."""

    log = _NoLog()

    # The attributes that makeConnection would set and that processHandshake reads.
    peer = ""
    versions = (int(VERSION),)
    webStatus = serveFlashSocketPolicy = False
    trustXForwardedFor = maxConnections = autoPingInterval = 0
    openHandshakeTimeoutCall = None
    trackedTimings: Any = None

    def __init__(self, factory: WebSocketServerFactory, subprotocols: tuple[str, ...]) -> None:
        super().__init__()
        self._subprotocols = subprotocols
        self.chosen: str | None = None
        self.factory = factory
        self.reply = bytearray()
        self.failed: str | None = None

    def onConnect(self, request: ConnectionRequest) -> str | None:
        """See WebSocketServerProtocol: choose a subprotocol, keep it in ``chosen``, and return it."""
        self.chosen = next((one for one in self._subprotocols if one in request.protocols), None)
        return self.chosen

    def sendData(self, data: bytes, *_: Any, **__: Any) -> None:
        """See WebSocketProtocol: collect the response, since there is no transport."""
        self.reply += data

    def failHandshake(self, reason: str, *_: Any, **__: Any) -> None:
        """See WebSocketServerProtocol: keep the reason; the proxy sends a response of its own."""
        self.failed = str(reason)

    def _onOpen(self) -> None:
        """Do nothing: from now on, the session handles the frames."""
