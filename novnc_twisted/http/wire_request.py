"""A request while it arrives: twisted.web's Request with a limit on its body."""

from io import BytesIO
from typing import TYPE_CHECKING, Final

from twisted.web.http import Request

from novnc_twisted.access.request_head import split_absolute
from novnc_twisted.http.response import Response, phrase

if TYPE_CHECKING:
    from novnc_twisted.http.channel import LimitedChannel

MAX_BODY: Final = 1 << 20
"""Bytes of a request's body."""


class WireRequest(Request):
    """A request whose body is kept in memory and is never parsed as a form.  The site answers it.

    :ivar client_address: the client's address, once X-Forwarded-For was read.
    :ivar check: whether it is a health check, which leaves no line in the log.
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
        """See Request.  Neither forms nor the query are parsed here."""
        self.method, self.uri, self.clientproto = command, path, version
        self.path = split_absolute(path.decode("latin-1"))[1].partition("?")[0].encode("latin-1")
        # twisted.web would parse forms, which no application here reads.
        self.args = {}
        self.channel.factory.request_received(self)

    def send(self, response: Response) -> None:
        """Send the response and finish the request."""
        self.setResponseCode(response.status, phrase(response.status))
        for name, value in response.headers:
            self.responseHeaders.addRawHeader(name, value)
        body = response.encode()
        for name, value in response.body_headers(body):
            self.responseHeaders.setRawHeaders(name, [value])
        # One write for all: twisted.web sends the head together with the first piece of the body.
        self.write(body)
        self.finish()
