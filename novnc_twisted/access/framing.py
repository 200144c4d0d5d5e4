"""Predicts whether ``frame-ancestors`` of Content-Security-Policy makes a browser block our page in a frame.

The noVNC proxy reports such a block, and names the option to change.  The proxy cannot see the frame.  But browsers
report in Sec-Fetch-Dest that a page is for a frame, and often name the framing page in Referer.  The rules are those of
Content Security Policy Level 3, section 6.7.2.  A *source* is one entry of ``frame-ancestors``.  A path in a source is
ignored.
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final

from novnc_twisted.access.origin import PageOrigin, bare_host, read_origin

FRAMES: Final = frozenset(("frame", "iframe"))
"""Values of Sec-Fetch-Dest in a request for a page in a frame."""

UNNAMED: Final = "another site"
"""Replaces the origin of a framing page if the browser does not send it (Referrer-Policy)."""

_PORTS: Final = {"http": 80, "https": 443}
_SOURCE: Final = re.compile(r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?(?P<host>[^:/]+)(?::(?P<port>[0-9]+|\*))?(?:/.*)?")
_ORIGIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


def list_source(sources: Sequence[str], host: str | None, listening: Sequence[tuple[str, int]]) -> str:
    """Return the source that allows our list of servers to frame the console page.

    The framing page, with consoles side by side, is a page of the API.  So the source has the host of the request, and
    a port on which the API of this process listens.  No other port is used, because another user of this machine may
    listen on it.

    :param sources: the operator's sources; the list of servers may frame the page only if ``'self'`` is one of them.
    :param host: the Host of the request.
    :param listening: the addresses and ports on which the API of this process listens.
    :return: the source; empty if the list of servers may not frame the page, if the API does not listen at this host,
        or if the host is an IPv6 address, which a source cannot contain.
    """
    origin = read_origin(f"http://{host or ''}")
    if "'self'" not in sources or origin is None or ":" in origin.host:
        return ""
    name = origin.host.lower()
    for address, port in listening:
        if address == name or ipaddress.ip_address(address).is_unspecified:
            return f"http://{name}:{port}"  # a source with http allows https as well
    return ""


def blocked_framer(
    sources: Sequence[str], *, own: PageOrigin, referrers: Sequence[str], sites: Sequence[str], own_list: str = ""
) -> str | None:
    """Return the origin of the page that frames ours, if browsers will block the frame.

    :param sources: the sources in ``frame-ancestors``.
    :param own: the origin of our page.
    :param referrers: the values of the request's Referer fields.
    :param sites: the values of the request's Sec-Fetch-Site fields.
    :param own_list: the result of :func:`list_source`.  If it is not empty, ``sources`` contains it too.
    :return: the origin; :data:`UNNAMED` if the browser does not send it; None if browsers show the frame, or may show
        it.
    """
    found = _ORIGIN.match(referrers[0].strip()) if len(referrers) == 1 else None
    framer = read_origin(found[0]) if found is not None else None
    if found is not None and framer is not None:
        return None if any(_matches(source, framer, own) for source in sources) else found[0]
    # The origin of the framing page is not known.  It may be our list of servers, whose pages do not send it.  For
    # browsers, the list is of the same site; but of another site if it uses http and our page uses https.  A policy
    # that names no foreign page certainly blocks a foreign page.
    site = sites[0] if len(sites) == 1 else ""
    may_be_list = own_list and (site == "same-site" or own.scheme.lower() == "https")
    is_foreign = site in ("same-site", "cross-site") and not may_be_list
    names_foreign_page = any(each not in ("'self'", "'none'", own_list) for each in sources)
    return UNNAMED if is_foreign and not names_foreign_page else None


def _matches(source: str, framer: PageOrigin, own: PageOrigin) -> bool:
    """Return whether a source expression of ``frame-ancestors`` allows a page to frame ours (CSP Level 3).

    :param source: for example ``'self'``, ``*``, ``https:`` or ``https://*.example.org:8443``.
    :param framer: the origin of the framing page.
    :param own: the origin of our page.
    """
    source, scheme, host = source.lower(), framer.scheme.lower(), bare_host(framer.host)
    if source == "'self'":
        same = host == bare_host(own.host) and _scheme(own.scheme.lower(), scheme)
        return same and (_port(framer) == _port(own) or (_is_default(framer) and _is_default(own)))
    if source == "*":
        return scheme in _PORTS
    if source.endswith(":"):
        return _scheme(source[:-1], scheme)
    found = _SOURCE.fullmatch(source)
    if found is None or not _scheme(found["scheme"] or own.scheme.lower(), scheme):
        return False
    wanted = found["host"]  # a name, "*", or "*." and a domain
    allowed = host.endswith(wanted[1:]) if wanted.startswith("*.") else wanted in ("*", host)
    if not allowed:
        return False
    if found["port"] is None:
        return _is_default(framer)
    # A source with port 80 allows port 443 as well, for a page that has moved to https.
    return found["port"] in ("*", str(_port(framer))) or (found["port"] == "80" and _port(framer) == 443)


def _scheme(wanted: str, scheme: str) -> bool:
    """Return whether a source with the scheme ``wanted`` allows a page with ``scheme``; http also allows https."""
    return scheme == wanted or (wanted == "http" and scheme == "https")


def _port(origin: PageOrigin) -> int:
    return int(origin.port) if origin.port else _PORTS.get(origin.scheme.lower(), 0)


def _is_default(origin: PageOrigin) -> bool:
    return _port(origin) == _PORTS.get(origin.scheme.lower())
