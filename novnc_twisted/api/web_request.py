"""twisted.web's request under limits, and how an answer is written."""

import json
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING

from twisted.web.http import Request as WebRequest

from novnc_twisted.api.request import Reply, absolute_form

if TYPE_CHECKING:
    from novnc_twisted.api.channel import APIChannel

MAX_BODY = 1 << 20
"""Bytes of a request's body."""


def reason(status: int) -> bytes:
    """The words behind a status; twisted.web knows none of the newer ones."""
    return HTTPStatus(status).phrase.encode("ascii")


def encode(reply: Reply) -> bytes:
    """The body's bytes; ASCII, so that no one can read HTML or another charset into it."""
    if reply.body is None or isinstance(reply.body, bytes):
        return reply.body or b""
    return json.dumps(reply.body).encode("ascii")


def fixed_headers(body: bytes, content_type: str = "application/json; charset=UTF-8") -> list[tuple[str, str]]:
    """The headers of every answer with a body: console URLs are secrets, and JSON is never shown as a page."""
    return [
        ("Content-Type", content_type),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ]


class APIRequest(WebRequest):
    """A request whose body is kept in memory and never parsed as a form; the factory answers it.

    :ivar comes_from: the client's address, once it is known what a proxy says of it.
    :ivar probe: whether a health check asks, which leaves no line in the log.
    """

    comes_from = ""
    probe = False
    channel: "APIChannel"
    content: BytesIO
    length = 0

    def gotLength(self, length: int | None) -> None:
        """See Request; no file on disk, since the body is bounded."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """See Request; counts."""
        self.length += len(data)
        if self.length > MAX_BODY:
            self.channel.refuse(413, "Request is too large.", drain=True)
        else:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """See Request; without its parsing of forms and of the query."""
        self.method, self.uri, self.clientproto = command, path, version
        self.path = absolute_form(path)[1].partition(b"?")[0]
        self.args = {}
        self.process()

    def process(self) -> None:
        """Hand it to the factory."""
        self.channel.factory.received(self)

    def send(self, reply: Reply) -> None:
        """Answer and finish."""
        self.setResponseCode(reply.status, reason(reply.status))
        body = encode(reply)
        for name, value in reply.headers:
            self.responseHeaders.addRawHeader(name, value)
        if reply.status != HTTPStatus.NO_CONTENT:
            text = ("text/plain; charset=UTF-8",) if isinstance(reply.body, bytes) else ()
            for name, value in fixed_headers(body, *text):
                self.responseHeaders.setRawHeaders(name, [value])
        self.write(body)
        self.finish()
