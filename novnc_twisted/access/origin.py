"""Whether a page of this Origin may open a console here: a pure function of one request and the configuration.

Nothing is remembered from one request to the next: nova bug 2158919 was each request's Host being added to the
configured origins.  (CVE-2015-0259: without such a check, any page that a user visits can open consoles for them.)
"""

import ipaddress
import re
from collections.abc import Collection, Sequence
from typing import Final

ALLOWED: Final = 200
FORBIDDEN: Final = 403
BAD: Final = 400

_HOST = r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]]+)(?::[0-9]{1,5})?"
_ORIGIN = re.compile(rf"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://{_HOST}")
_AUTHORITY = re.compile(_HOST)


def judge_origin(
    origins: Sequence[str],
    hosts: Sequence[str],
    *,
    scheme: str,
    allowed: Collection[str] = (),
    forwarded_proto: str | None = None,
) -> int:
    """The HTTP status for a handshake: 200 where it may go on.

    :param origins: the values of its Origin fields.  None at all is allowed: then it is no browser's.
    :param hosts: the values of its Host fields.
    :param scheme: of ``novncproxy_base_url``: that of the pages that may open consoles.
    :param allowed: ``allowed_origins``, names and addresses besides the request's own Host.
    :param forwarded_proto: ``X-Forwarded-Proto`` of a trusted proxy, None where there is none; it says how the page
        came to the browser, so it is used in place of ``scheme``.
    :return: 200; 403 for a foreign, blank or ``null`` Origin; 400 for two of them, or for two Hosts.
    """
    if len(origins) > 1 or len(hosts) > 1:
        return BAD
    if not origins:
        return ALLOWED
    origin = _page(origins[0])
    if origin is None:
        return FORBIDDEN
    if origin["scheme"].lower() != (forwarded_proto or scheme).strip().lower():
        return FORBIDDEN
    return ALLOWED if bare_host(origin["host"]) in _known_hosts(hosts, allowed) else FORBIDDEN


def explain_refusal(
    origins: Sequence[str],
    hosts: Sequence[str],
    *,
    scheme: str,
    allowed: Collection[str] = (),
    forwarded_proto: str | None = None,
) -> tuple[str, str]:
    """Why :func:`judge_origin` forbids this request: what differed, from what; and the options to change.

    Takes the same arguments.  The first text quotes the request: it has to be cleaned before it reaches a log.
    """
    origin = _page(origins[0]) if origins else None
    if origin is None:
        return f"the Origin '{', '.join(origins)}' does not name the host of a web page", ""
    reasons, options = [], []
    if bare_host(origin["host"]) not in _known_hosts(hosts, allowed):
        names = ", ".join(allowed) or "empty"
        reasons.append(
            f"its host is neither the request's Host ({', '.join(hosts)}) nor in [console] allowed_origins ({names})"
        )
        options.append("[console] allowed_origins")
    if origin["scheme"].lower() != (forwarded_proto or scheme).strip().lower():
        if forwarded_proto:
            reasons.append(f"its scheme is not {forwarded_proto}, the X-Forwarded-Proto of the trusted proxy")
            options.append("what the reverse proxy sends as X-Forwarded-Proto")
        else:
            reasons.append(f"its scheme is not {scheme}, that of [vnc] novncproxy_base_url")
            options.append(
                "[vnc] novncproxy_base_url (or, behind a reverse proxy with TLS, X-Forwarded-Proto and "
                "[console] trusted_proxies)"
            )
    return f"the Origin is {origins[0]}: {'; '.join(reasons)}", "; ".join(options)


def _page(origin: str) -> re.Match[str] | None:
    """The scheme and the host of an Origin, or None where it does not name them."""
    return _ORIGIN.fullmatch(origin.strip())


def _known_hosts(hosts: Sequence[str], allowed: Collection[str]) -> set[str]:
    """The hosts whose pages may connect: those that are configured, and the one that the request was sent to."""
    known = {bare_host(name) for name in allowed}
    authority = _AUTHORITY.fullmatch(hosts[0].strip()) if hosts else None
    if authority is not None:
        known.add(bare_host(authority["host"]))
    return known


def bare_host(name: str) -> str:
    """A host in the form in which it is compared: a name in lower case, an IPv6 address in its shortest form.

    An IPv6 address may have brackets, and a zone, which is left out; one that holds an IPv4 address is that one.
    """
    host = name.strip().lower().removeprefix("[").removesuffix("]")
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    return str(address.ipv4_mapped or address)
