"""HTTP/1.1 under limits: twisted.web's parser, with what it leaves open closed (facts/dependencies.md, Twisted 1, 2).

One request at a time on a connection; a deadline for the whole request, not for its pauses; caps on the request line,
the header and the body; and answers that are JSON, also to what is no HTTP.
"""

from typing import Any

from twisted.internet.interfaces import IDelayedCall, IHandshakeListener, ISSLTransport
from twisted.web.http import HTTPChannel
from zope.interface import implementer

from novnc_twisted.access.connection_limits import ConnectionSlot
from novnc_twisted.events.records import RefusalCause
from novnc_twisted.http.errors import HTTPError, RefusalReason
from novnc_twisted.http.response import phrase
from novnc_twisted.http.wire_request import MAX_BODY, WireRequest

MAX_HEAD = 16 * 1024
"""Bytes of the request line and header, and of each line of them."""

MAX_HEADERS = 100

REQUEST_TIMEOUT = 10.0
"""Seconds from a request's first byte (on a new connection: from its beginning) to its last."""

TLS_TIMEOUT = 5.0
"""Seconds for the TLS handshake, where there is one; a request's time begins after it."""

IDLE_TIMEOUT = 60.0
"""Seconds that a connection is kept between two requests."""

CLOSE_TIMEOUT = 5.0
"""Seconds for which a closed connection may go on taking its answer, or sending what was refused."""

MAX_DRAINED = 16 * MAX_BODY
"""Bytes of a refused body that are read and dropped, so that the client gets to read why."""

_CAUSES: dict[int, RefusalCause] = {400: "BadRequest", 413: "BodyTooBig", 431: "HeadTooBig"}
_CONTROL = bytes({*range(0x20), 0x7F} - set(b"\t"))


@implementer(IHandshakeListener)
class LimitedChannel(HTTPChannel):
    """A connection.

    :ivar slot: its place among all connections.
    """

    slot: ConnectionSlot
    totalHeadersSize = MAX_HEAD
    MAX_LENGTH = MAX_HEAD
    maxHeaders = MAX_HEADERS
    abortTimeout = int(CLOSE_TIMEOUT)
    requestFactory = WireRequest

    factory: Any
    transport: Any
    _deadline: IDelayedCall | None = None
    _closing: IDelayedCall | None = None
    _refused = False
    _drained = 0

    def connectionMade(self) -> None:
        """See Protocol."""
        super().connectionMade()
        self.slot.silent(self._make_room)
        self._start_deadline(TLS_TIMEOUT if ISSLTransport.providedBy(self.transport) else REQUEST_TIMEOUT)

    def handshakeCompleted(self) -> None:
        """See IHandshakeListener."""
        if self._deadline is not None:
            self._stop_deadline()
            self._start_deadline()

    def connectionLost(self, reason: Any = None) -> None:
        """See Protocol."""
        self._stop_deadline()
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        self.factory.channel_closed(self)
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        """See Protocol."""
        if self._refused:
            self._drained += len(data)
            if self._drained > MAX_DRAINED:
                self.transport.abortConnection()
            return
        if self._deadline is None and not self._handlingRequest:
            self._start_deadline()
        super().dataReceived(data)

    def rawDataReceived(self, data: bytes) -> None:
        """See LineReceiver: the body, or what comes while a request is answered."""
        if self._refused:
            return
        if self._handlingRequest:
            self.close_behind()
            return
        super().rawDataReceived(data)
        # Of a chunk, as it announced itself; what is left of it must come, and can't all be taken.
        if getattr(self._transferDecoder, "length", 0) > MAX_BODY:
            self.refuse(413, "Request is too large.", drain=True)

    def headerReceived(self, line: bytes) -> bool:
        """See HTTPChannel; besides, nothing but ``chunked`` is a transfer coding, and lengths have few digits."""
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        if self._refused:
            return False
        if (name == b"transfer-encoding" and value.lower() != b"chunked") or (
            name == b"content-length" and len(value) > 15
        ):
            self._respondToBadRequestAndDisconnect()
            return False
        return bool(super().headerReceived(line)) and not self._refused

    def allHeadersReceived(self) -> None:
        """See HTTPChannel; refuses a body by its announced length."""
        if not self._refused:
            # Its body may come slowly, or never: it gives way to others where none is silent.
            self.slot.reading(self._make_room)
            if self.length is not None and self.length > MAX_BODY:
                self.refuse(413, "Request is too large.", drain=True)
            else:
                super().allHeadersReceived()

    def allContentReceived(self) -> None:
        """See HTTPChannel; what came behind the request is dropped, and the connection ends with its answer."""
        if self._refused:
            return
        self._stop_deadline()
        self.slot.busy()
        behind = self.clearLineBuffer() + b"".join(self._dataBuffer)
        self._dataBuffer = []
        if behind.strip(b"\r\n"):
            self.close_behind()
        super().allContentReceived()

    def close_behind(self) -> None:
        """End with the answer that is being made; nothing is read after its request, the rest is dropped."""
        self.persistent = False
        for request in self.requests:
            request.responseHeaders.setRawHeaders(b"Connection", [b"close"])

    def requestDone(self, request: Any) -> None:
        """See HTTPChannel: the request is answered, and the next one may come."""
        self.slot.silent(self._make_room)
        super().requestDone(request)

    def lineLengthExceeded(self, line: bytes) -> None:
        """See LineReceiver."""
        self.refuse(431, "The request line or the header is too long.")

    def lineReceived(self, line: bytes) -> None:
        """See LineReceiver."""
        if self._refused:
            return
        if line[:1] in (b" ", b"\t") or len(line.translate(None, _CONTROL)) < len(line):
            # Obsolete folding (RFC 9112, section 5.2), or what another reader may take for the end of a line.
            self._respondToBadRequestAndDisconnect()
        elif self._receivedHeaderSize + len(line) > self.totalHeadersSize:
            self.refuse(431, "The request line or the header is too long.")
        else:
            super().lineReceived(line)

    def _respondToBadRequestAndDisconnect(self) -> None:
        """See HTTPChannel: everything that it finds wrong with the wire comes here."""
        self.refuse(400, "Malformed request")

    def refuse(self, status: int, message: str, *, drain: bool = False) -> None:
        """Answer what can't be read on, and close.

        :param drain: read and drop what still comes first: a connection closed on unread bytes is reset, and the
            answer lost with it.
        """
        if self._refused:
            return
        self._refused = True
        self._stop_deadline()
        self.setTimeout(None)
        error = HTTPError(status, message, reason=RefusalReason(_CAUSES[status]))
        self.factory.report(error, getattr(self.transport.getPeer(), "host", ""))
        response = self.factory.application.error_response(error)
        body = response.encode()
        lines = [b"HTTP/1.1 %d %s" % (status, phrase(status)), b"Connection: close"]
        lines += [f"{name}: {value}".encode("ascii") for name, value in response.body_headers(body)]
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        if drain:
            self._closing = self.callLater(CLOSE_TIMEOUT, self.loseConnection)
        else:
            self.loseConnection()

    def loseConnection(self) -> None:
        """See ITransport; ends for certain."""
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        self._closing = self.callLater(CLOSE_TIMEOUT, self.transport.abortConnection)
        super().loseConnection()

    def close_when_idle(self) -> None:
        """End it now, or with the answer that is being made."""
        self.persistent = False
        if not self._handlingRequest:
            self.loseConnection()

    def timeoutConnection(self) -> None:
        """See TimeoutMixin: nothing came for a while."""
        self.loseConnection()

    def _start_deadline(self, seconds: float = REQUEST_TIMEOUT) -> None:
        self._deadline = self.callLater(seconds, self._too_slow)

    def _stop_deadline(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    def _make_room(self) -> None:
        """Another connection needs the place of this one, which has no request."""
        self.transport.abortConnection()

    def _too_slow(self) -> None:
        self._deadline = None
        self._refused = True
        self.loseConnection()
