"""Limits the size of HTTP answers, and the time for reading them."""

import time
from typing import Any, Final

from requests import RequestException, Response
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.exceptions import HTTPError

MAX_BODY: Final = 4 << 20
"""Maximum number of bytes of an answer after decompression; a large Keystone catalog has more than 1 MiB."""

BODY_SECONDS: Final = 8.0
"""Maximum number of seconds for reading the body of an answer, checked after each piece of the body."""

CONNECTIONS: Final = 32
"""Maximum number of idle connections to one server that are kept open.

This is also the default number of threads of a :class:`.KeystoneClient`.
"""

_PIECE: Final = 16 << 10


class UnusableAnswer(RequestException):
    """An answer is too long, takes too long, or redirects from https to http.

    The error's text begins with a verb.  :class:`.KeystoneClient` puts the server before it.
    """


class BoundedAdapter(BaseAdapter):
    """Reads the body of each answer with limits; the library ``requests`` alone would read a body of any length.

    The limits apply to all answers of Keystone (version document, tokens) and of nova, including redirects.

    :param inner: the adapter that sends the requests.
    """

    def __init__(self, inner: BaseAdapter) -> None:
        super().__init__()
        self._inner = inner
        if isinstance(inner, HTTPAdapter):
            inner.init_poolmanager(CONNECTIONS, CONNECTIONS)

    def send(self, request: Any, stream: bool = False, **options: Any) -> Response:  # type: ignore[override]
        """See BaseAdapter.

        :raises UnusableAnswer: the body exceeds :data:`MAX_BODY` or :data:`BODY_SECONDS`, or the answer to an https
            request redirects to http.
        :raises RequestException: there is no answer, or its body cannot be read.
        """
        response = self._inner.send(request, stream=True, **options)
        try:
            if request.url.lower().startswith("https:") and response.headers.get("Location", "").lower()[:5] == "http:":
                # During a log-in, keystoneauth1 could follow the redirect, and send the password without encryption.
                raise UnusableAnswer("redirects from https to http")
            body = _read(response.raw, time.monotonic() + BODY_SECONDS)
        except HTTPError as error:
            response.close()
            raise RequestException(error) from None
        except BaseException:
            response.close()
            raise
        response.raw.release_conn()
        # With these private attributes, ``Response.content`` returns the body, and reads nothing more.
        response._content, response._content_consumed = body, True
        return response

    def close(self) -> None:
        """See BaseAdapter."""
        self._inner.close()


def _read(raw: Any, until: float) -> bytes:
    # read1() returns the bytes that are available.  An old urllib3 has only read(), which waits for a whole piece.
    # With read(), a slow answer can exceed BODY_SECONDS until the piece is complete.
    read = getattr(raw, "read1", raw.read)
    pieces: list[bytes] = []
    size = 0
    while piece := read(_PIECE, decode_content=True):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_BODY:
            raise UnusableAnswer(f"sends an answer of more than {MAX_BODY} bytes")
        if time.monotonic() > until:
            raise UnusableAnswer(f"takes more than {BODY_SECONDS:g} s for an answer")
    return b"".join(pieces)
