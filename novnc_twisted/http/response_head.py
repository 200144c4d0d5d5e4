"""Heads of the proxies' HTTP responses, with the security headers of pages."""

from http import HTTPStatus
from typing import Final

from novnc_twisted.access.hosts import is_host

PLAIN: Final = "text/plain; charset=utf-8"

_ALWAYS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)

ALONE: Final = (("Cross-Origin-Opener-Policy", "same-origin"),)
"""For pages that were loaded over https: windows of other sites get no reference to them.  Over plain http, Chromium
ignores the header and logs a warning in its console."""


def response_head(
    status: int, *, length: int, content_type: str = PLAIN, fields: tuple[tuple[str, str], ...] = (), close: bool
) -> bytes:
    """Return the head of a response, up to its empty line.

    :param length: bytes of the body that follows, or would follow a GET.
    """
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    # RFC 9110, section 8.6: a 204 must not have Content-Length; in a 304 it would describe another response.
    if status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        lines += [f"Content-Length: {length}", f"Content-Type: {content_type}"]
    lines += [f"{name}: {value}" for name, value in (*_ALWAYS, *fields)]
    lines += ["Connection: close" if close else "Connection: keep-alive", "", ""]
    return "\r\n".join(lines).encode("latin-1")


def plain(status: int, sentence: str, *, body: bool = True, fields: tuple[tuple[str, str], ...] = ()) -> bytes:
    """Return a whole response that consists of one sentence and is the last of its connection."""
    data = f"{sentence}\n".encode()
    # A sentence may repeat what the client sent; no browser may run it.
    safe = (("Content-Security-Policy", "default-src 'none'"), ("Cache-Control", "no-store"), *fields)
    return response_head(status, length=len(data), fields=safe, close=True) + (data if body else b"")


def content_security_policy(host: str | None, frame_ancestors: tuple[str, ...], *, foreign: bool) -> str:
    """Return the Content-Security-Policy of a page.

    A foreign page gets no rule for scripts and styles, because stock noVNC has inline ones.

    :param host: the Host of the request.  Older browsers do not treat ``ws:`` to the same host as ``'self'``.  An IPv6
        address is left out, because the grammar of CSP does not allow it; ``'self'`` suffices there.
    """
    frames = f"frame-ancestors {' '.join(frame_ancestors) or chr(39) + 'none' + chr(39)}"
    named = host and is_host(host) and not host.startswith("[")
    connect = f"connect-src 'self' ws://{host} wss://{host}" if named else "connect-src 'self'"
    if foreign:
        return f"{connect}; {frames}; base-uri 'none'; object-src 'none'"
    return (
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        f"{connect}; {frames}; base-uri 'none'; form-action 'none'"
    )
