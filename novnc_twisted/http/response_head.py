"""Heads of the proxies' HTTP responses, with security headers for pages."""

from http import HTTPStatus
from typing import Final

from novnc_twisted.access.hosts import is_host

PLAIN: Final = "text/plain; charset=utf-8"

_ALWAYS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)

ALONE: Final = (("Cross-Origin-Opener-Policy", "same-origin"),)
"""Prevents windows of other origins from getting a reference to a page.

The header is sent only over https, because over plain http Chromium ignores the header and logs a warning.

The header is not sent if the browser reports (Sec-Fetch-Site) that a page of the same site, but of another origin, has
opened this page.  For example, the list of servers opens console pages at another port of the same host.  The list
needs references to these pages, to return to their tabs.
"""

DRAWING: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""The Content-Security-Policy of an SVG file, so that a file opened as a page runs no script."""


def response_head(
    status: int, *, length: int, content_type: str = PLAIN, fields: tuple[tuple[str, str], ...] = (), close: bool
) -> bytes:
    """Return the head of a response, including its empty line.

    :param length: number of bytes of the body; for HEAD, number of bytes of the body that GET would get.
    """
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    # A 204 must not have Content-Length (RFC 9110, section 8.6).  In a 304, which has no body, Content-Length and
    # Content-Type would have to describe the file.
    if status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        lines += [f"Content-Length: {length}", f"Content-Type: {content_type}"]
    lines += [f"{name}: {value}" for name, value in (*_ALWAYS, *fields)]
    lines += ["Connection: close" if close else "Connection: keep-alive", "", ""]
    return "\r\n".join(lines).encode("latin-1")


def plain(status: int, sentence: str, *, body: bool = True, fields: tuple[tuple[str, str], ...] = ()) -> bytes:
    """Return a whole response with one sentence as its body.  The connection is closed after it.

    :param body: whether to send the body; False for HEAD.
    """
    data = f"{sentence}\n".encode()
    # The sentence may repeat text of the client, which browsers must not run as a script.
    safe = (("Content-Security-Policy", "default-src 'none'"), ("Cache-Control", "no-store"), *fields)
    return response_head(status, length=len(data), fields=safe, close=True) + (data if body else b"")


def content_security_policy(host: str | None, frame_ancestors: tuple[str, ...], *, foreign: bool) -> str:
    """Return the Content-Security-Policy of a page.

    :param host: the Host of the request.  The policy lists the ``ws:`` and ``wss:`` URLs of this host, because older
        browsers do not include these URLs in ``'self'``.  An IPv6 address is not listed, because the grammar of CSP
        does not allow it.
    :param foreign: whether the page is unmodified noVNC.  The policy for noVNC has no rule for scripts and styles,
        because noVNC has inline scripts and styles.
    """
    frames = "frame-ancestors " + (" ".join(frame_ancestors) or "'none'")
    named = host and is_host(host) and not host.startswith("[")
    connect = f"connect-src 'self' ws://{host} wss://{host}" if named else "connect-src 'self'"
    if foreign:
        return f"{connect}; {frames}; base-uri 'none'; object-src 'none'"
    return (
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        f"{connect}; {frames}; base-uri 'none'; form-action 'none'"
    )
