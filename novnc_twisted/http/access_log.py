"""Prepares request paths for the access log: without secrets, with a limited length, on one line."""

from collections.abc import Collection
from typing import Final
from urllib.parse import unquote

from novnc_twisted.access.display import scrub

_MAX_LOGGED: Final = 300


def loggable(path: bytes, secret_below: Collection[str] = ()) -> str:
    """Return a path as it may be logged, with ``?`` for characters that cannot be printed.

    :param secret_below: names of path segments.  The part of the path after such a segment is replaced by ``***``.
    """
    segments = scrub(path.decode("ascii", "replace")).split("/")
    for index, segment in enumerate(segments):
        # Decode before comparing, because a client may escape any letter.
        name = unquote(segment).lower()
        if any(secret in name for secret in secret_below):
            segments[index + 1 :] = ["***"] * (index + 1 < len(segments))
            break
    text = "/".join(segments)[:_MAX_LOGGED]
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "?" for character in text)
