"""JSON bodies of requests, with a limit on their nesting."""

import re
from typing import Any, Final

from novnc_twisted.access import strict_json
from novnc_twisted.http.errors import HTTPError

MAX_DEPTH: Final = 32
"""Maximum levels of nesting in a body; nova's own requests have four."""

# The possessive quantifier and the optional closing quote keep the time linear.  Otherwise a body of quotes would take
# time that grows with the square of its length.
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")


def read_json(body: bytes) -> Any:
    """Return the value of a body of JSON in UTF-8, at most :data:`MAX_DEPTH` levels deep.

    :raises HTTPError: 400.
    """
    try:
        # Counted before parsing: deep nesting takes the parser to Python's recursion limit.
        if _depth(body) <= MAX_DEPTH:
            return strict_json.loads(body)
    except ValueError:
        pass
    raise HTTPError(400, "Malformed request body")


def _depth(body: bytes) -> int:
    # The usual case: a body with so few brackets cannot be nested too deep.
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return 0
    depth = deepest = 0
    # Brackets inside of strings do not nest.
    for bracket in _BRACKETS.finditer(_STRINGS.sub(b"", body)):
        depth += 1 if bracket[0] in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest
