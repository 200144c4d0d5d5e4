"""The token of a request, and its hash."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qs, urlsplit

MAX_TOKEN: Final = 256
"""Maximum number of characters of a token that is looked up.  Our own tokens (UUIDs) have 36.

A token plugin has its own maximum, which may be higher.
"""

MOST_KEPT: Final = 32
"""Maximum number of cached results of each of the two functions :func:`hash_of_session` and :func:`link_id`.

During the set-up and at the end of a session, each function is called several times for the same token.
The caches are meant only for sessions that are being set up or ended now.  A session does not store the results,
because they would take 200 bytes.
"""


def hash_token(token: str) -> str:
    """Return the SHA-256 of a token in hexadecimal digits.  The bus and the store use it in place of the token.

    The result is the same as that of nova's ``utils.get_sha256_str``.
    """
    # A request may contain bytes that are not UTF-8.  No valid token contains them, but they must not raise an error.
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def hash_of_session(token: str) -> str:
    """Return :func:`hash_token` for the token of a session, and remember the result for a short while."""
    # A text of more than MAX_TOKEN characters is a guess or the token of a plugin, and must not fill the memory.
    return _remembered(token) if len(token) <= MAX_TOKEN else hash_token(token)


_remembered = lru_cache(maxsize=MOST_KEPT)(hash_token)


@lru_cache(maxsize=MOST_KEPT)
def link_id(token_hash: str) -> str:
    """Return a name for a token in logs and traces: 32 hexadecimal digits that reveal neither the token nor its hash.

    All processes use the same name for a token, so that the reports of consoleauth and the proxies about one console
    link can be matched.  The name is empty if ``token_hash`` is empty.
    """
    return hashlib.sha256(b"link:" + token_hash.encode()).hexdigest()[:32] if token_hash else ""


def token_of(path: str, cookies: Iterable[str] = ()) -> str | None:
    """Return the token of a request: the last ``token`` of the query, or else the first of the cookies, or None.

    The cookies are read if the query has no ``token``, or if its last ``token`` is empty.  Empty cookies are skipped.
    If the query has more than 100 parameters, the result is None, even if a cookie has a token.

    :param path: the request target, as sent.
    :param cookies: the values of the Cookie fields.  Cookies with other names, and malformed ones, are skipped.
    """
    try:
        query = urlsplit(path).query
        values = parse_qs(query, keep_blank_values=True, max_num_fields=100).get("token", [])
    except ValueError:
        return None
    # The last one counts, as in nova's websocketproxy.
    if values and values[-1]:
        return values[-1]
    for header in cookies:
        for part in header.split(";"):
            name, found, value = part.strip().partition("=")
            if found and name.strip() == "token" and value.strip(' "'):
                return value.strip(' "')
    return None
