"""Fields of a call, judged before they are used: what stands on the bus was written by another process.

Each function gives the value back, or raises :class:`~novnc_twisted.errors.ServiceUnavailable` with a detail that names
the field and never shows its value: the caller is one of our own services, and one that speaks another language.
"""

import re
from typing import Any

from novnc_twisted.errors import ServiceUnavailable

MAX_TEXT = 1024
"""Characters of the longest text: paths and addresses are shorter."""

# What no name has: controls (Cc), and surrogates, which UTF-8 cannot encode.  Blanks, joiners and characters that this
# Python's Unicode tables do not know yet are parts of people's names.
_UNUSABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_HASH = re.compile(r"[0-9a-f]{64}")


def text(name: str, value: Any, limit: int = MAX_TEXT) -> str:
    """A text of 1 to ``limit`` characters of any language, without controls and lone surrogates."""
    if usable_text(value, limit) is None:
        raise ServiceUnavailable(f"{name} is not a text of 1 to {limit} characters without control characters")
    return str(value)


def optional_text(name: str, value: Any, limit: int = MAX_TEXT) -> str | None:
    """A text, or None."""
    return None if value is None else text(name, value, limit)


def usable_text(value: Any, limit: int = MAX_TEXT) -> str | None:
    """The value if :func:`text` accepts it, else None: for what is shown if it is there, and decides nothing."""
    usable = isinstance(value, str) and 0 < len(value) <= limit and not _UNUSABLE.search(value)
    return value if usable else None


def port(name: str, value: Any) -> int:
    """A TCP port, or 0 for none."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 65535:
        raise ServiceUnavailable(f"{name} is not a port")
    return value


def uuid(name: str, value: Any) -> str:
    """A UUID in its usual form, in small letters."""
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise ServiceUnavailable(f"{name} is not a UUID")
    return value.lower()


def is_uuid(value: Any) -> bool:
    """Whether it is a UUID in its usual form."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def token_hash(name: str, value: Any) -> str:
    """A SHA-256 in hex, as ``hash_token`` makes it."""
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise ServiceUnavailable(f"{name} is not a SHA-256 in hex")
    return value
