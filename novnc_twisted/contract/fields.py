"""Checks values from other processes.

A check returns the value in the form in which it is used, or raises ValueError.  The text of the error ("not a port")
never contains the value, which may be very long, or a secret.
"""

import math
import re
import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

from novnc_twisted.errors import ServiceUnavailable

MAX_TEXT: Final = 1024
"""Maximum number of characters that :data:`text` accepts."""

# Control characters (Cc), and surrogates, which UTF-8 cannot encode.  isprintable() alone would be too strict: names of
# people may contain no-break spaces, joiners, and characters that are newer than this Python's Unicode tables.
_UNUSABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_HASH = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[0-9a-f]{32}")
_ADMISSION = re.compile(r"[0-9a-f]{16,32}")

_T = TypeVar("_T")


def argument(name: str, value: Any, check: Callable[[Any], _T]) -> _T:
    """Check an argument of a bus method.

    :raises ServiceUnavailable: the argument is invalid, for example from a caller of another version.  The detail has
        the argument's name.
    """
    try:
        return check(value)
    except ValueError as error:
        raise ServiceUnavailable(f"{name}: {error}") from None


def text_up_to(limit: int) -> Callable[[Any], str]:
    """Return a check for a text of 1 to ``limit`` characters, without control characters or lone surrogates."""

    def check(value: Any) -> str:
        # Nearly all texts are printable, and isprintable() is faster than the search for unusable characters.
        if isinstance(value, str) and 0 < len(value) <= limit and (value.isprintable() or not _UNUSABLE.search(value)):
            return value
        raise ValueError(f"not a text of 1 to {limit} characters without control characters")

    return check


text: Final = text_up_to(MAX_TEXT)
"""The check for a text in general."""

short_text: Final = text_up_to(255)
"""The check for a short text, such as the name or the address of a host, the path of a socket, or an id."""

long_text: Final = text_up_to(4096)
"""The check for a URL."""


def usable_text(value: Any) -> str | None:
    """Return the value if :func:`text` accepts it, else None.  For texts that are only shown to people."""
    try:
        return text(value)
    except ValueError:
        return None


def optional(check: Callable[[Any], _T]) -> Callable[[Any], _T | None]:
    """Return a check that also accepts None."""
    return lambda value: None if value is None else check(value)


def _itself(text: str) -> str:
    return text


# Python 3.12.0 to 3.12.6 keep interned texts until the process ends (https://github.com/python/cpython/issues/113993).
one_object: Final = _itself if (3, 12) <= sys.version_info < (3, 12, 7) else sys.intern
"""Returns the same object for equal texts; but the text itself if this Python would keep that object for ever."""


def shared(check: Callable[[Any], str]) -> Callable[[Any], str]:
    """Return a check that returns the same object for equal texts.

    For texts that are equal in many live sessions, such as the names of hosts and projects: each session keeps about
    eight such texts.  Copies of them would take 400 bytes in each session.
    """
    return lambda value: one_object(check(value))


def port(value: Any) -> int:
    """Check for a TCP port; 0 means "no port" (the VNC server uses a unix socket)."""
    # type() instead of isinstance(): True and False are integers in Python.
    if type(value) is not int or not 0 <= value <= 65535:
        raise ValueError("not a port")
    return value


def count(value: Any) -> int:
    """Check for an integer from 0 to 2**63 - 1."""
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError("not a count")
    return value


def number(value: Any) -> float:
    """Check for a finite number: seconds, or a Unix time in seconds.  An integer must fit into 64 bits."""
    if (type(value) is int and -(2**63) <= value < 2**63) or (type(value) is float and math.isfinite(value)):
        return float(value)
    raise ValueError("not a finite number")


def boolean(value: Any) -> bool:
    """Check for true or false."""
    if type(value) is not bool:
        raise ValueError("not true or false")
    return value


def uuid(value: Any) -> str:
    """Check for a UUID in its usual form; returns it in lower case."""
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise ValueError("not a UUID")
    return value.lower()


def is_uuid(value: Any) -> bool:
    """Return whether the value is a UUID in its usual form."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def token_hash(value: Any) -> str:
    """Check for a SHA-256 in hexadecimal digits, as :func:`novnc_twisted.access.hash_token` returns it."""
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise ValueError("not a SHA-256 in hexadecimal digits")
    return value


def link_id(value: Any) -> str:
    """Check for the id of a link, as :func:`novnc_twisted.access.tokens.link_id` returns it."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError("not the id of a link")
    return value


def admission(value: Any) -> str:
    """Check for the id of an admission (consoleauth's permission for one use of a token).

    The id is part of a key in the store.
    """
    if not isinstance(value, str) or not _ADMISSION.fullmatch(value):
        raise ValueError("not the id of an admission")
    return value


def request_id(value: Any) -> str:
    """Check for the id of a request, which is the same in the calls that repeat the request."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError("not the id of a request")
    return value


_shared_text = shared(text)


def owners(value: Any) -> tuple[str, ...]:
    """Check for a list of at most two texts: the id and the name of a project.  One or both of them may be missing."""
    if not isinstance(value, list | tuple) or len(value) > 2:
        raise ValueError("not a list of an id and a name")
    return tuple(map(_shared_text, value))


def one_of(*values: str) -> Callable[[Any], str]:
    """Return a check for one of these texts."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in values:
            raise ValueError(f"not one of {', '.join(values)}")
        return value

    return check
