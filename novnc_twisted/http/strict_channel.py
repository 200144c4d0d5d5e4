"""Strict parsing of HTTP/1.1: twisted.web's parser, with checks that it lacks.

If two programs read one request differently, an attacker can smuggle a second request past a proxy.  Therefore this
parser refuses everything that another program may read differently: obsolete line folding, control characters, and
transfer codings other than ``chunked``.  If a request arrives while the previous one is being answered, this parser
drops the new request, and closes the connection after the response.  Request line, header and body have maximum
lengths.
"""

from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall
from twisted.web.http import HTTPChannel

from novnc_twisted.access.request_head import HEAD_LIMIT, MAX_FIELDS
from novnc_twisted.events.refused import RefusalCause
from novnc_twisted.http.errors import HTTPError, RefusalReason
from novnc_twisted.http.response import phrase
from novnc_twisted.http.wire_request import MAX_BODY, WireRequest

MAX_DRAINED: Final = 16 * MAX_BODY
"""Maximum number of bytes that are read and dropped after a refusal; with more, the connection is aborted.

The rest of a refused body is read, so that the client receives the response (see :meth:`StrictChannel.refuse`).
"""

CLOSE_TIMEOUT: Final = 5.0
"""Seconds within which a refused body must arrive.  Afterwards, the client has this time again to read the response."""

_CAUSES: Final[dict[int, RefusalCause]] = {400: "BadRequest", 413: "BodyTooBig", 431: "HeadTooBig"}
_CONTROL = bytes({*range(0x20), 0x7F} - set(b"\t"))
# twisted.web calls int() for a Content-Length, and int() raises an exception for more than 4300 digits.
_MAX_LENGTH_DIGITS: Final = 15


class StrictChannel(HTTPChannel):
    """A connection whose requests are parsed strictly, one at a time.

    :ivar is_refused: whether a request was refused, or did not come in time.  After that, nothing more is parsed.
    """

    totalHeadersSize = HEAD_LIMIT
    MAX_LENGTH = HEAD_LIMIT
    maxHeaders = MAX_FIELDS
    requestFactory = WireRequest

    factory: Any
    transport: Any
    is_refused = False
    _closing: IDelayedCall | None = None
    _drained = 0

    def dataReceived(self, data: bytes) -> None:
        """See Protocol."""
        if not self.is_refused:
            super().dataReceived(data)
            return
        self._drained += len(data)
        if self._drained > MAX_DRAINED:
            self.transport.abortConnection()

    def lineReceived(self, line: bytes) -> None:
        """See LineReceiver."""
        if self.is_refused:
            return
        if line[:1] in (b" ", b"\t") or len(line.translate(None, _CONTROL)) < len(line):
            # Obsolete folding (RFC 9112, section 5.2), or a character that another program may take for a line end.
            self._respondToBadRequestAndDisconnect()
        elif self._receivedHeaderSize + len(line) > self.totalHeadersSize:
            # twisted.web would answer 400; the status for this is 431 (RFC 6585, section 5).
            self.lineLengthExceeded(line)
        else:
            super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """See LineReceiver."""
        self.refuse(431, "The request line or the header is too long.")

    def headerReceived(self, line: bytes) -> bool:
        """See HTTPChannel.  Refuse transfer codings other than ``chunked``, and lengths with too many digits."""
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        if self.is_refused:
            return False
        if (name == b"transfer-encoding" and value.lower() != b"chunked") or (
            name == b"content-length" and len(value) > _MAX_LENGTH_DIGITS
        ):
            self._respondToBadRequestAndDisconnect()
            return False
        # A refused request must go no further, whatever twisted.web's method returns.
        return bool(super().headerReceived(line)) and not self.is_refused

    def allHeadersReceived(self) -> None:
        """See HTTPChannel.  Refuse a body whose announced length is too large."""
        if self.is_refused:
            return
        if self.length is not None and self.length > MAX_BODY:
            self.refuse(413, "Request is too large.", drain=True)
        else:
            super().allHeadersReceived()

    def rawDataReceived(self, data: bytes) -> None:
        """See LineReceiver: part of the body, or bytes that come while a request is answered."""
        if self.is_refused:
            return
        if self._handlingRequest:
            self.close_after_response()
            return
        super().rawDataReceived(data)
        # A chunk announces its length, so a chunk that is too long is refused before it arrives.
        if getattr(self._transferDecoder, "length", 0) > MAX_BODY:
            self.refuse(413, "Request is too large.", drain=True)

    def allContentReceived(self) -> None:
        """See HTTPChannel.  Drop bytes that came after the request.

        If these are not only line ends, close the connection after the response.
        """
        if self.is_refused:
            return
        # Do not answer a pipelined request: a proxy may have sent it for another client.
        behind = self.clearLineBuffer() + b"".join(self._dataBuffer)
        self._dataBuffer = []
        if behind.strip(b"\r\n"):
            self.close_after_response()
        super().allContentReceived()

    def close_after_response(self) -> None:
        """Close the connection after the present response.  Bytes that arrive until then are dropped."""
        self.persistent = False
        for request in self.requests:
            request.responseHeaders.setRawHeaders(b"Connection", [b"close"])

    def _respondToBadRequestAndDisconnect(self) -> None:
        """See HTTPChannel, which calls this method for everything that it cannot parse."""
        self.refuse(400, "Malformed request")

    def refuse(self, status: int, message: str, *, drain: bool = False) -> None:
        """Respond to a malformed or too large request, and close the connection.

        :param drain: True: the client is still sending a body.  Read and drop it for at most :data:`CLOSE_TIMEOUT`, and
            then close.  With unread bytes, the close would be a TCP reset, and the client would lose the response.
        """
        if self.is_refused:
            return
        self.is_refused = True
        # From now on, CLOSE_TIMEOUT limits the time, instead of twisted.web's own timer.
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
