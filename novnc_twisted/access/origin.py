"""Whether a page of this Origin may open a console here: a pure function of one request and the configuration.

Nothing is remembered from one request to the next: nova bug 2158919 was each request's Host being added to the
configured origins.  (CVE-2015-0259: without such a check, any page that a user visits can open consoles for them.)
"""

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
    origin = _ORIGIN.fullmatch(origins[0].strip())
    if origin is None:
        return FORBIDDEN
    if origin["scheme"].lower() != (forwarded_proto or scheme).strip().lower():
        return FORBIDDEN
    known = {bare_host(name) for name in allowed}
    authority = _AUTHORITY.fullmatch(hosts[0].strip()) if hosts else None
    if authority is not None:
        known.add(bare_host(authority["host"]))
    return ALLOWED if bare_host(origin["host"]) in known else FORBIDDEN


def bare_host(name: str) -> str:
    """A host as it is compared: lower case, an IPv6 address without brackets."""
    return name.strip().lower().removeprefix("[").removesuffix("]")
