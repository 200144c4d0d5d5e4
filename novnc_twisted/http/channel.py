"""A client's connection from its beginning to its end: its slot in the connection limits, and its deadlines."""

from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall, IHandshakeListener, ISSLTransport
from zope.interface import implementer

from novnc_twisted.access import deadlines
from novnc_twisted.access.connection_limits import ConnectionSlot
from novnc_twisted.http.strict_channel import CLOSE_TIMEOUT, StrictChannel

REQUEST_TIMEOUT = deadlines.HEAD
"""Seconds for a request, from its first byte to its last.

For the first request of a connection, the time begins when the connection is made, or after the TLS handshake.
"""

IDLE_TIMEOUT: Final = 60.0
"""Seconds for which a connection is kept between two requests."""


@implementer(IHandshakeListener)
class LimitedChannel(StrictChannel):
    """A connection with a deadline for each whole request.

    twisted.web's own time-out begins anew with each byte, so a client that sends slowly would never reach it.

    :ivar slot: the connection's slot in the connection limits.
    :ivar is_last: whether the present response is the last one on this connection, because the site stops.
    :ivar is_streaming: whether the response is a stream of server-sent events, which lasts until the client or the
        server ends it.
    """

    slot: ConnectionSlot
    _deadline: IDelayedCall | None = None
    is_last = False
    is_streaming = False

    def connectionMade(self) -> None:
        """See Protocol."""
        super().connectionMade()
        self.factory.connections.add(self)
        # Until the first request has arrived, this connection may be closed to make room for another connection.
        self.slot.silent(self._make_room)
        self._start_deadline(deadlines.TLS if ISSLTransport.providedBy(self.transport) else REQUEST_TIMEOUT)

    def handshakeCompleted(self) -> None:
        """See IHandshakeListener."""
        # Restart the deadline: the time of the TLS handshake does not count for the request.
        if self._deadline is not None:
            self._stop_deadline()
            self._start_deadline(REQUEST_TIMEOUT)

    def connectionLost(self, reason: Any = None) -> None:
        """See Protocol."""
        self._stop_deadline()
        # A timer that still runs would keep the channel in memory, and abort a closed transport.
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        self.factory.channel_closed(self)
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        """See Protocol."""
        # The first byte after a response starts the deadline of the next request.
        if self._deadline is None and not self._handlingRequest and not self.is_refused:
            self._start_deadline(REQUEST_TIMEOUT)
        super().dataReceived(data)

    def allHeadersReceived(self) -> None:
        """See HTTPChannel.

        The body may come slowly or never.  So this connection may be closed to make room for another connection.
        Connections that wait for a request are closed first.
        """
        if not self.is_refused:
            self.slot.reading(self._make_room)
        super().allHeadersReceived()

    def allContentReceived(self) -> None:
        """See HTTPChannel: the request has arrived in full."""
        if not self.is_refused:
            self._stop_deadline()
            self.slot.busy()
        super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        """See HTTPChannel: the response was sent, and the next request may come."""
        self.slot.silent(self._make_room)
        super().requestDone(request)

    def refuse(self, status: int, message: str, *, drain: bool = False) -> None:
        """See StrictChannel."""
        self._stop_deadline()
        super().refuse(status, message, drain=drain)

    def loseConnection(self) -> None:
        """See ITransport.  Abort the connection if it does not end within :data:`CLOSE_TIMEOUT`."""
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        self._closing = self.callLater(CLOSE_TIMEOUT, self.transport.abortConnection)
        super().loseConnection()

    def checkPersistence(self, request: Any, version: bytes) -> bool:
        """See HTTPChannel."""
        persists = bool(super().checkPersistence(request, version))
        if self.is_last:
            request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        return persists and not self.is_last

    def close_when_idle(self, *, first_request: bool = False) -> None:
        """Close the connection after the present response, or now if there is no response or it is a stream.

        :param first_request: whether two kinds of requests are still answered before the connection is closed: any
            request that is arriving, and the first request of a new connection.
        """
        self.is_last = True
        # A deadline runs only while the connection is new, or while a request is arriving.
        if first_request and self._deadline is not None:
            # checkPersistence() reads is_last once for each request, when its headers have arrived.  If the headers
            # of the arriving request came before is_last was set, request the close here.  If only its request line has
            # come, the call does no harm.
            if self.requests:
                self.close_after_response()
            return
        self.close_after_response()
        if not self._handlingRequest or self.is_streaming:
            self.loseConnection()

    def timeoutConnection(self) -> None:
        """See TimeoutMixin: nothing came for :data:`IDLE_TIMEOUT`."""
        self.loseConnection()

    def _start_deadline(self, seconds: float) -> None:
        self._deadline = self.callLater(seconds, self._too_slow)

    def _stop_deadline(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    def _make_room(self) -> None:
        """Close this connection, which has no complete request, to give its slot to another connection."""
        self.transport.abortConnection()

    def _too_slow(self) -> None:
        self._deadline = None
        # While the connection closes, further bytes must not be parsed as a request.
        self.is_refused = True
        self.loseConnection()
