"""Answers of a bounded size, read within a bounded time."""

import time
from typing import Any, Final

from requests import RequestException, Response
from requests.adapters import BaseAdapter
from urllib3.exceptions import HTTPError

MAX_BODY: Final = 4 << 20
"""Bytes of an answer, decompressed, at most; the catalogue of a Keystone with many regions takes more than one MiB."""

BODY_SECONDS: Final = 8.0
"""Seconds that the body of an answer may take."""

_PIECE: Final = 16 << 10


class UnusableAnswer(RequestException):
    """An answer is too long, takes too long, or leads away from TLS; the text is one clause without a subject."""


class BoundedAdapter(BaseAdapter):
    """Reads the body of each answer as it arrives, where requests alone would read it whole, whatever its length.

    It applies to all answers: Keystone's version document, its tokens, redirects, and those of the service.

    :param inner: the adapter that sends.
    """

    def __init__(self, inner: BaseAdapter) -> None:
        super().__init__()
        self._inner = inner

    def send(self, request: Any, stream: bool = False, **options: Any) -> Response:  # type: ignore[override]
        """See BaseAdapter.

        :raises UnusableAnswer: the body exceeds a bound, or the request would be repeated without TLS.
        """
        response = self._inner.send(request, stream=True, **options)
        try:
            if request.url.lower().startswith("https:") and response.headers.get("Location", "").lower()[:5] == "http:":
                # keystoneauth1 sends the password again, to the address that the answer names.
                raise UnusableAnswer("redirects from https to http")
            body = _read(response.raw, time.monotonic() + BODY_SECONDS)
        except HTTPError as error:
            response.close()
            raise RequestException(error) from None
        except BaseException:
            response.close()
            raise
        response.raw.release_conn()
        # ``Response.content`` returns this, and reads nothing more.
        response._content, response._content_consumed = body, True
        return response

    def close(self) -> None:
        """See BaseAdapter."""
        self._inner.close()


def _read(raw: Any, until: float) -> bytes:
    # read1 returns what there is, and read waits until a piece is complete; urllib3 has the former since 2.0.
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
