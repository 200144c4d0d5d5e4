"""A complete request, in the form that applications get.  Independent of Twisted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.json_body import read_json

_JSON_TYPES: Final = ("", "application/json", "text/plain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request.

    :ivar method: as sent, for instance ``GET``.
    :ivar segments: the decoded segments of the path; a trailing slash adds none.
    :ivar query: name -> values, including blank ones.
    :ivar headers: name in lower case -> values.
    :ivar body: the bytes of the body.
    :ivar scheme: ``http`` or ``https``, as the client used it (X-Forwarded-Proto of a trusted proxy has precedence).
    :ivar host: the host that the client asked for: from an absolute target, or else from the Host field.  A request of
        HTTP/1.0 may have neither; then this is the local address.
    :ivar prefix: the path below which a trusted proxy publishes this server, for instance ``/compute``; usually empty.
    :ivar protocol: the client's version of HTTP, for instance ``HTTP/1.1``.
    :ivar local: whether the local end of the connection is a loopback address or a unix socket.
    :ivar client: the client's address, from X-Forwarded-For of a trusted proxy, else the peer's address.  ``unknown``
        if a trusted proxy sent an invalid address; empty for a client on a unix socket.
    """

    method: str
    segments: tuple[str, ...]
    query: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, list[str]] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    scheme: str = "http"
    host: str = "localhost"
    prefix: str = ""
    protocol: str = "HTTP/1.1"
    local: bool = True
    client: str = ""

    @property
    def base_url(self) -> str:
        """The URL of this server as the client sees it, without a trailing slash."""
        return f"{self.scheme}://{self.host}{self.prefix}"

    @property
    def reads(self) -> bool:
        """Whether the method only reads: GET or HEAD."""
        return self.method in ("GET", "HEAD")

    def header(self, name: str) -> str | None:
        """Return the value of a header field that may occur at most once; None if it is missing.

        :param name: the name in lower case.
        :raises HTTPError: 400: the field occurs more than once, so it is not clear which value is meant.
        """
        values = self.headers.get(name, [])
        if len(values) > 1:
            raise HTTPError(400, f"The header {name} came more than once.")
        return values[0] if values else None

    def parameter(self, name: str) -> str | None:
        """Return the last value of a query parameter; None if it is missing."""
        values = self.query.get(name)
        return values[-1] if values else None

    def json(self, *media_types: str) -> Any:
        """Return the value of the JSON body.

        :param media_types: media types to accept besides ``application/json`` and ``text/plain``.  A missing
            Content-Type is also accepted.  (nova also reads a body as JSON if its Content-Type is ``text/plain`` or
            missing.)
        :raises HTTPError: 415 for another Content-Type; 400 if the body is not JSON or is nested too deep.
        """
        content_type = (self.header("content-type") or "").partition(";")[0].strip().lower()
        if content_type not in (*_JSON_TYPES, *media_types):
            raise HTTPError(415, "Unsupported Content-Type")
        return read_json(self.body)
