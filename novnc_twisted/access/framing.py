"""Whether a browser is going to show the page in a frame, by ``frame-ancestors`` of Content-Security-Policy.

The proxy cannot see the frame.  Browsers say in Sec-Fetch-Dest that the page is for one, and often name the framing
page in Referer.  Source: Content Security Policy Level 3, section 6.7.2, without paths, which are ignored there.
"""

import re
from collections.abc import Sequence
from typing import Final

from novnc_twisted.access.origin import PageOrigin, bare_host, read_origin

FRAMES: Final = frozenset(("frame", "iframe"))
"""Values of Sec-Fetch-Dest."""

UNNAMED: Final = "another site"
"""In place of the origin of a framing page, if the browser does not name it (Referrer-Policy)."""

_PORTS: Final = {"http": 80, "https": 443}
_SOURCE: Final = re.compile(r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?(?P<host>[^:/]+)(?::(?P<port>[0-9]+|\*))?(?:/.*)?")
_ORIGIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


def blocked_framer(
    sources: Sequence[str], *, own: PageOrigin, referrers: Sequence[str], sites: Sequence[str]
) -> str | None:
    """Return the origin of the page that frames ours, if browsers are going to block the frame.

    :param sources: those of ``frame-ancestors``.
    :param own: the origin of our page.
    :param referrers: the values of the request's Referer fields.
    :param sites: the values of its Sec-Fetch-Site fields.
    :return: the origin; :data:`UNNAMED`, where the browser does not name it; None: the frame is shown, or this is
        unknown.
    """
    found = _ORIGIN.match(referrers[0].strip()) if len(referrers) == 1 else None
    framer = read_origin(found[0]) if found is not None else None
    if found is not None and framer is not None:
        return None if any(_matches(source, framer, own) for source in sources) else found[0]
    # Without the origin, only a policy that names no other page decides.
    foreign = list(sites) in (["cross-site"], ["same-site"])
    return UNNAMED if foreign and all(source in ("'self'", "'none'") for source in sources) else None


def _matches(source: str, framer: PageOrigin, own: PageOrigin) -> bool:
    """Whether a source admits a framing page."""
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
    wanted = found["host"]
    if not (host.endswith(wanted[1:]) if wanted.startswith("*.") else wanted in ("*", host)):
        return False
    if found["port"] is None:
        return _is_default(framer)
    # A policy of port 80 admits a page that has moved to https.
    return found["port"] in ("*", str(_port(framer))) or (found["port"] == "80" and _port(framer) == 443)


def _scheme(wanted: str, scheme: str) -> bool:
    return scheme == wanted or (wanted == "http" and scheme == "https")


def _port(origin: PageOrigin) -> int:
    return int(origin.port) if origin.port else _PORTS.get(origin.scheme.lower(), 0)


def _is_default(origin: PageOrigin) -> bool:
    return _port(origin) == _PORTS.get(origin.scheme.lower())
