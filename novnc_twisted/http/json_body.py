"""JSON bodies of requests, with a limit on their nesting."""

import re
from typing import Any, Final

from novnc_twisted.access import strict_json
from novnc_twisted.http.errors import HTTPError

MAX_DEPTH: Final = 32
"""Maximum number of levels of nesting in a body; nova's own requests have four."""

# The closing quote is optional, for a body that ends inside of a string.  If the quote were required, and such a body
# consisted of escaped quotes, the time would grow with the square of its length.
# Without the possessive quantifier, a string of 1 MiB would take 120 MiB of memory.
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def read_json(body: bytes) -> Any:
    """Return the value of a body of JSON in UTF-8, at most :data:`MAX_DEPTH` levels deep.

    :raises HTTPError: 400: the body is not JSON in UTF-8, or is nested too deep.
    """
    try:
        # The parser itself would accept up to 1024 levels.
        if _is_flat(body):
            return strict_json.loads(body)
    except ValueError:
        pass
    raise HTTPError(400, "Malformed request body")


def _is_flat(body: bytes) -> bool:
    """Return whether a body is nested at most MAX_DEPTH levels deep.

    A body with a bracket that has no partner is not JSON; for such a body, the result is True or False.
    """
    # The usual case: a body with so few brackets cannot be nested too deep.
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return True
    # Brackets inside of strings do not nest.
    brackets = _STRINGS.sub(b"", body).translate(_ONE_KIND, _NO_BRACKETS)
    # Each pass removes the innermost level.  A loop over all brackets of a body of 1 MiB would take a second.  During
    # this time, no other request would be answered.
    for _ in range(MAX_DEPTH):
        if b"[]" not in brackets:
            break
        brackets = brackets.replace(b"[]", b"")
    return not brackets
