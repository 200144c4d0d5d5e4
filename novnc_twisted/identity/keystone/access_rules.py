"""Access rules of application credentials.  Tokens of a credential with rules allow only requests that match a rule.

The wildcards are those of keystonemiddleware: ``*`` and ``{name}`` match one or more characters in a segment of the
path; ``**`` matches any text, even an empty one.  All other characters match only themselves.  (keystonemiddleware, in
contrast, puts these characters unescaped into a regular expression, in which ``.`` matches every character.)
"""

import re
from typing import Any, Final, NamedTuple, Self
from urllib.parse import quote

from novnc_twisted.contract.fields import text_up_to
from novnc_twisted.http.request import Request

MAX_PATH: Final = 1024
"""Maximum number of characters of a path that a rule can match."""

_text = text_up_to(255)
_WILDCARD = re.compile(r"(\*\*|\*|\{[^}]*\})")
# The special characters that webob leaves unquoted in the path of a request.  keystonemiddleware compares webob's path
# with the rules, so the path is quoted in the same way here.
_UNQUOTED: Final = "~!$&'()*+,;=:@"


class AccessRule(NamedTuple):
    """One kind of request that is allowed.

    :ivar service: the type of the service, such as ``compute``.
    :ivar method: the HTTP method.
    :ivar path: the pattern of the path.
    """

    service: str
    method: str
    path: str

    @classmethod
    def read(cls, value: Any) -> Self:
        """Read a rule of a token.

        :raises ValueError: the rule is invalid.
        """
        if not isinstance(value, dict):
            raise ValueError("an access rule is not an object")
        return cls(_text(value.get("service")), _text(value.get("method")), _text(value.get("path")))

    def allows(self, service: str, request: Request) -> bool:
        """Whether the rule allows a request to this service."""
        if (self.service, self.method) != (service, request.method):
            return False
        path = "/" + "/".join(quote(segment, safe=_UNQUOTED) for segment in request.segments)
        return len(path) <= MAX_PATH and matches(self.path, path)


def matches(pattern: str, path: str) -> bool:
    """Whether a path matches a pattern.

    A regular expression with many wildcards could take hours.  Here the time is bounded by the product of both lengths.
    """
    # Positions in the path where a match of the parts handled so far can end.
    ends = {0}
    # split() also returns the wildcards, because they are in a group.  So every second part is a wildcard.  The others
    # are literal, even if they contain an unclosed brace.
    for number, part in enumerate(_WILDCARD.split(pattern)):
        if number % 2 and part == "**":
            ends = set(range(min(ends), len(path) + 1))
        elif number % 2:
            ends = _segment(path, ends)
        elif part:
            ends = {end + len(part) for end in ends if path.startswith(part, end)}
        if not ends:
            return False
    return len(path) in ends


def _segment(path: str, ends: set[int]) -> set[int]:
    """Return where a ``*`` that begins at one of ``ends`` can end: after one or more characters without a slash."""
    found: set[int] = set()
    inside = False
    for index, character in enumerate(path):
        inside = character != "/" and (inside or index in ends)
        if inside:
            found.add(index + 1)
    return found
