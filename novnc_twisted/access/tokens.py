"""Tokens: how one is read from a request, named at rest, and kept out of every log."""

import hashlib
import re
from collections.abc import Iterable
from urllib.parse import parse_qs, urlsplit

MAX_TOKEN = 256
"""Characters of the longest token that is looked up; ours have 36 (a UUID)."""

# What token_of would read as a token, whichever of its letters are escaped, and however often.  An escaped "&" may be
# the token's own, so it hides too.
_SECRET = re.compile(
    "(?i)("
    + "".join(f"(?:{letter}|%(?:25)*{ord(letter.upper()):x}|%(?:25)*{ord(letter):x})" for letter in "token")
    + r"(?:=|%(?:25)*3d))[^&#\s]*"
)


def hash_token(token: str) -> str:
    """The token's name on the bus and at rest: its SHA-256 in hex (nova's ``utils.get_sha256_str``)."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def scrub(text: str) -> str:
    """A path, URL or line for the log: the value of every ``token`` in it replaced by ``***``."""
    if "%" not in text and "token" not in text.lower():
        return text  # nearly every line, in a tenth of the time
    return _SECRET.sub(r"\1***", text)


def token_of(path: str, cookies: Iterable[str] = ()) -> str | None:
    """Return the token of a request: the last one of the path's query, otherwise of its cookies.

    An empty token counts as missing.

    :param path: the request target, as sent.
    :param cookies: the values of the Cookie headers; parts that are no cookies, and other cookies, do no harm.
    """
    try:
        query = urlsplit(path).query
        values = parse_qs(query, keep_blank_values=True, max_num_fields=100).get("token", [])
    except ValueError:
        return None
    if values and values[-1]:
        return values[-1]
    for header in cookies:
        for part in header.split(";"):
            name, found, value = part.strip().partition("=")
            if found and name.strip() == "token" and value.strip(' "'):
                return value.strip(' "')
    return None
