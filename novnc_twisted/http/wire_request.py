"""A request from its first line to its response: twisted.web's Request with a maximum length of the body."""

from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IPushProducer
from twisted.web.http import Request
from zope.interface import implementer

from novnc_twisted.access.request_head import split_absolute
from novnc_twisted.http.event_stream import CONTENT_TYPE, Subscribe
from novnc_twisted.http.response import Response, phrase

if TYPE_CHECKING:
    from novnc_twisted.http.channel import LimitedChannel

MAX_BODY: Final = 1 << 20
"""Maximum number of bytes of a request's body."""


@implementer(IPushProducer)
class EventStream:
    """Sends events as the response to a request, until the client leaves or the stream is finished."""

    def __init__(self, request: "WireRequest") -> None:
        self._request = request
        self._gone = False
        self._end: Callable[[], None] | None = None  # ends the subscription; None: subscribe() has not returned yet
        self.is_full = False

    def start(self, subscribe: Subscribe) -> None:
        """Set the header fields of the response, and subscribe.  The first :meth:`send` also sends the head."""
        headers = (
            ("Content-Type", CONTENT_TYPE),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Accel-Buffering", "no"),  # otherwise nginx would keep events until its buffer is full
        )
        for name, value in headers:
            self._request.responseHeaders.setRawHeaders(name, [value])
        self._request.channel.is_streaming = True
        self._request.registerProducer(self, True)
        self._request.notifyFinish().addErrback(lambda _: self.stopProducing())
        self._end = subscribe(self)
        if self._gone:  # the stream ended during subscribe()
            self._end()
        # A server that is stopping would wait until the client leaves, so end the stream at once.
        elif self._request.channel.is_last:
            self.finish()

    def send(self, data: bytes) -> None:
        """See ISubscriber."""
        if not self._gone:
            self._request.write(data)

    def finish(self) -> None:
        """See ISubscriber."""
        if not self._gone:
            self.stopProducing()
            self._request.unregisterProducer()
            self._request.channel.is_streaming = False
            self._request.finish()

    def pauseProducing(self) -> None:
        """See IPushProducer."""
        self.is_full = True

    def resumeProducing(self) -> None:
        """See IPushProducer."""
        self.is_full = False

    def stopProducing(self) -> None:
        """See IPushProducer.  Ends the subscription, because the client has left or :meth:`finish` was called."""
        if not self._gone:
            self._gone = True
            if self._end is not None:
                self._end()


class WireRequest(Request):
    """A request whose body is kept in memory and is not parsed as a form.  :class:`.site.Site` answers it.

    :ivar client_address: the client's address, which may come from X-Forwarded-For; empty: not known yet, or the
        connection came from a unix socket.
    :ivar check: whether the request looks like a health check, which is not logged if it succeeds.
    """

    client_address = ""
    check = False
    channel: "LimitedChannel"
    content: BytesIO
    length = 0

    def gotLength(self, length: int | None) -> None:
        """See Request.  The body needs no file on disk, because it is bounded."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """See Request.  Refuse a body that becomes too large."""
        self.length += len(data)
        if self.length > MAX_BODY:
            self.channel.refuse(413, "Request is too large.", drain=True)
        else:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """See Request.  Does not parse forms or the query."""
        self.method, self.uri, self.clientproto = command, path, version
        self.path = split_absolute(path.decode("latin-1"))[1].partition("?")[0].encode("latin-1")
        # twisted.web's method is not called, because it would parse forms.  The applications parse their own forms.
        self.args = {}
        self.channel.factory.request_received(self)

    def send(self, response: Response) -> None:
        """Send the response, and finish the request.  A stream of events finishes the request later."""
        self.setResponseCode(response.status, phrase(response.status))
        for name, value in response.headers:
            self.responseHeaders.addRawHeader(name, value)
        if response.events is not None:
            EventStream(self).start(response.events)
            return
        body = response.encode()
        for name, value in response.body_headers(body):
            # body_headers() forbids caching.  Do not replace the Cache-Control of a file that may be cached.
            if name != "Cache-Control" or not self.responseHeaders.hasHeader(name):
                self.responseHeaders.setRawHeaders(name, [value])
        # The first write() also sends the head.
        self.write(body)
        self.finish()
