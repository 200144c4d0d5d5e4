"""Decides by the Origin of a request whether the page that sent it may open a console.

Without this check, any page that a user visits can open the user's consoles (CVE-2015-0259).  The decision depends only
on the request and the configuration.  In nova, it also depended on earlier requests: the Host of each request was added
to the configured origins (bug 2158919).
"""

import ipaddress
import re
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from novnc_twisted.access.hosts import HOST_PORT

ALLOWED: Final = 200
FORBIDDEN: Final = 403
BAD: Final = 400

_ORIGIN = re.compile(rf"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://{HOST_PORT}")
_AUTHORITY = re.compile(HOST_PORT)


class PageOrigin(NamedTuple):
    """The origin of a page (RFC 6454), as the client sent it.

    :ivar port: its digits; None if it was left out.
    """

    scheme: str
    host: str
    port: str | None


def read_origin(text: str) -> PageOrigin | None:
    """Read an Origin field; None if it is not the origin of a page, for example ``null``."""
    found = _ORIGIN.fullmatch(text.strip())
    return None if found is None else PageOrigin(found["scheme"], found["host"], found["port"])


def judge_origin(
    origins: Sequence[str],
    hosts: Sequence[str],
    *,
    scheme: str,
    allowed: Collection[str] = (),
    forwarded_proto: str | None = None,
) -> int:
    """Return the HTTP status for a WebSocket handshake: 200 if it may continue.

    :param origins: the values of its Origin fields.  A request without an Origin is allowed: browsers always send an
        Origin with a handshake, so the request does not come from a page.
    :param hosts: the values of its Host fields.
    :param scheme: the scheme of ``novncproxy_base_url``.  Only pages with this scheme may open consoles; empty: http
        or https.
    :param allowed: ``allowed_origins``: names and addresses besides the request's own Host.
    :param forwarded_proto: X-Forwarded-Proto of a trusted proxy, or None.  It is the scheme by which the page was
        loaded, so it is used in place of ``scheme``.
    :return: 200; 403 for an Origin that is invalid or ``null``, or has a foreign host or scheme; 400 for several
        Origins or several Hosts.
    """
    # If there are two values, a reverse proxy may have checked one of them, and we would check the other one.
    if len(origins) > 1 or len(hosts) > 1:
        return BAD
    if not origins:
        return ALLOWED
    origin = read_origin(origins[0])
    if origin is None:
        return FORBIDDEN
    if not _has_scheme(origin, forwarded_proto or scheme):
        return FORBIDDEN
    return ALLOWED if bare_host(origin.host) in _known_hosts(hosts, allowed) else FORBIDDEN


def explain_refusal(
    origins: Sequence[str],
    hosts: Sequence[str],
    *,
    scheme: str,
    allowed: Collection[str] = (),
    forwarded_proto: str | None = None,
) -> tuple[str, str]:
    """Return why :func:`judge_origin` forbids this request, and the options to change.

    The arguments are those of :func:`judge_origin`.  Clean the returned reason before you log it, because it quotes the
    request.
    """
    origin = read_origin(origins[0]) if origins else None
    if origin is None:
        return f"the Origin '{', '.join(origins)}' does not name the host of a web page", ""
    reasons, options = [], []
    if bare_host(origin.host) not in _known_hosts(hosts, allowed):
        names = ", ".join(allowed) or "empty"
        reasons.append(
            f"its host is neither the request's Host ({', '.join(hosts)}) nor in [console] allowed_origins ({names})"
        )
        options.append("[console] allowed_origins")
    if not _has_scheme(origin, forwarded_proto or scheme):
        if forwarded_proto:
            reasons.append(f"its scheme is not {forwarded_proto}, the X-Forwarded-Proto of the trusted proxy")
            options.append("the X-Forwarded-Proto that the reverse proxy sends")
        elif not scheme:
            reasons.append("its scheme is neither http nor https")
        else:
            reasons.append(f"its scheme is not {scheme}, that of [vnc] novncproxy_base_url")
            options.append(
                "[vnc] novncproxy_base_url (or, behind a reverse proxy with TLS, X-Forwarded-Proto and "
                "[console] trusted_proxies)"
            )
    return f"the Origin is {origins[0]}: {'; '.join(reasons)}", "; ".join(options)


def _has_scheme(origin: PageOrigin, wanted: str) -> bool:
    scheme, wanted = origin.scheme.lower(), wanted.strip().lower()
    return scheme == wanted if wanted else scheme in ("http", "https")


def _known_hosts(hosts: Sequence[str], allowed: Collection[str]) -> set[str]:
    """Return the hosts whose pages may connect: the configured ones, and the Host of the request."""
    # Make a new set for each request.  In nova bug 2158919, each request added its Host to the same set.
    known = {bare_host(name) for name in allowed}
    authority = _AUTHORITY.fullmatch(hosts[0].strip()) if hosts else None
    if authority is not None:
        known.add(bare_host(authority["host"]))
    return known


def bare_host(name: str) -> str:
    """Return a host in its form for comparisons: in lower case, an IPv6 address in its shortest form.

    An IPv6 address may have brackets and a zone, which are left out.  An IPv4-mapped address counts as IPv4.
    """
    host = name.strip().lower().removeprefix("[").removesuffix("]")
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    return str(address.ipv4_mapped or address)
