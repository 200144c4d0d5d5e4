"""Text of any language, made safe for the place where it is shown: a log line, a title, a table."""

import re
from typing import Final

from novnc_twisted.access.tokens import scrub

MAX_LOGGED: Final = 300
"""Characters of a text in a log line."""

# Controls, lone surrogates, line and paragraph separators, and the characters that reverse or embed text (Unicode
# bidirectional controls, UAX #9): each of them makes a line look like another one.  Joiners (ZWNJ, ZWJ), direction
# marks and blanks of any kind are parts of people's names and stay.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(text: str, limit: int = 300) -> str:
    """The text on one line, at most ``limit`` characters, with ``?`` for each character that could disguise it."""
    text = text[:limit]
    if text.isascii() and text.isprintable():
        return text  # nearly every text, in a fifth of the time
    return _UNSAFE.sub("?", text)


def clean(text: str) -> str:
    """Text for a log: one line, at most :data:`MAX_LOGGED` characters, without tokens."""
    if len(text) <= MAX_LOGGED and text.isascii() and text.isprintable() and "=" not in text and "%" not in text:
        return text  # nearly every text: no token can be in it; each session has fourteen of them
    return scrub(one_line(text, 4 * MAX_LOGGED))[:MAX_LOGGED]
