"""The responses of applications, and their form on the wire."""

import json
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final, Self

from novnc_twisted.http.event_stream import Subscribe

JSON: Final = "application/json; charset=UTF-8"
TEXT: Final = "text/plain; charset=UTF-8"

Fields = tuple[tuple[str, str], ...]
"""Names and values of header fields."""


@dataclass(frozen=True, slots=True)
class Response:
    """A response.

    :ivar status: the HTTP status.
    :ivar body: a value to send as JSON, or bytes to send unchanged; None: an empty body.
    :ivar headers: header fields besides those of :meth:`body_headers`.
    :ivar content_type: the media type of the body; empty: plain text for bytes, JSON for other values.
    :ivar events: instead of a body, a stream of events, until the client leaves or the server ends the stream.
    """

    status: int
    body: Any = None
    headers: Fields = ()
    content_type: str = ""
    events: Subscribe | None = None

    def with_headers(self, *headers: tuple[str, str]) -> Self:
        """Return the same response with further header fields."""
        return replace(self, headers=(*self.headers, *headers))

    def encode(self) -> bytes:
        """Return the bytes of the body.  JSON is sent in ASCII, so that no client can mistake its charset."""
        if self.body is None or isinstance(self.body, bytes):
            return self.body or b""
        return json.dumps(self.body).encode("ascii")

    def body_headers(self, body: bytes) -> Fields:
        """Return the header fields that describe the body; empty for a 204.

        By default, no cache may store a response, because it may contain a console URL, which is secret.  A
        Cache-Control in :attr:`headers` has precedence.
        """
        if self.status == HTTPStatus.NO_CONTENT:
            return ()
        return (
            ("Content-Type", self.content_type or (TEXT if isinstance(self.body, bytes) else JSON)),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        )


def phrase(status: int) -> bytes:
    """Return the reason phrase of a status.  twisted.web does not know the phrases of newer statuses."""
    return HTTPStatus(status).phrase.encode("ascii")
