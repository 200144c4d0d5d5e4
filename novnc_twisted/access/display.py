"""Text of any language, made safe for a log line, a title or a table."""

import re
from typing import Final

MAX_LOGGED: Final = 300
"""Maximum number of characters of a text in a log line."""

# Control characters, line and paragraph separators, and the characters that reverse or embed text (Unicode
# bidirectional controls, UAX #9) can make a line look like another one.  Lone surrogates cannot be written in UTF-8.
# Joiners (ZWNJ, ZWJ), direction marks and spaces of any width are parts of people's names and stay.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

# Matches a name and its value, if the name is "token" after decoding, or ends with "token".  Letters of the name may be
# escaped several times: a link inside a parameter of another link is escaped once more.  An escaped "&" may be a part
# of the value, so the match does not end there.
_SECRET = re.compile(
    "(?i)("
    + "".join(f"(?:{letter}|%(?:25)*{ord(letter.upper()):x}|%(?:25)*{ord(letter):x})" for letter in "token")
    + r"(?:=|%(?:25)*3d))[^&#\s]*"
)


def one_line(text: str, limit: int = 300) -> str:
    """Return a text as one line of at most ``limit`` characters, with ``?`` for each unsafe character."""
    # Cut before the pattern runs, so that a long text does not take more time.
    text = text[:limit]
    if text.isascii() and text.isprintable():
        return text  # the usual case, in a fifth of the time
    return _UNSAFE.sub("?", text)


def scrub(text: str) -> str:
    """Return a path, a URL or a line for the log, in which ``***`` replaces the value of each ``token``."""
    if "%" not in text and "token" not in text.lower():
        return text  # the usual case, in a tenth of the time
    return _SECRET.sub(r"\1***", text)


def is_clean(text: str) -> bool:
    """Return whether :func:`clean` certainly returns the text unchanged.  No regular expression is needed for this."""
    return len(text) <= MAX_LOGGED and text.isascii() and text.isprintable() and "=" not in text and "%" not in text


def clean(text: str) -> str:
    """Return a text for the log: one line of at most :data:`MAX_LOGGED` characters, without tokens."""
    if is_clean(text):
        return text
    # Scrub before the final cut, so that a long token does not take the place of the text after it.
    return scrub(one_line(text, 4 * MAX_LOGGED))[:MAX_LOGGED]
