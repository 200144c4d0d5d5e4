"""Request targets: their forms (RFC 9112, section 3.2), their path and their query."""

import re
from typing import Final
from urllib.parse import parse_qs, unquote

from novnc_twisted.http.errors import malformed

MAX_QUERY_FIELDS: Final = 100

_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]*)(.*)")


def absolute_form(target: bytes) -> tuple[bytes | None, bytes]:
    """Split a target in absolute form (RFC 9112, section 3.2.2) into its authority and the rest.

    :return: None and the whole target if it is in another form.
    """
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        return None, target
    rest = found[2]
    return found[1], rest if rest.startswith(b"/") else b"/" + rest


def split_target(target: bytes) -> tuple[tuple[str, ...], dict[str, list[str]]]:
    """Return the decoded path segments and the query of a target.  A trailing slash adds no segment.

    :raises HTTPError: 400: it has no path, or has more than :data:`MAX_QUERY_FIELDS` parameters.
    """
    path, _, query = target.partition(b"?")
    try:
        text = path.decode("ascii")
        values = parse_qs(query.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    except ValueError:
        raise malformed("Malformed request URL") from None
    if not text.startswith("/"):
        raise malformed("Malformed request URL")
    segments = [unquote(part) for part in text[1:].split("/")]
    if segments[-1] == "":
        segments.pop()
    return tuple(segments), values
