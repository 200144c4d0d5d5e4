"""Splits a request target into path and query (RFC 9112, section 3.2)."""

from typing import Final
from urllib.parse import parse_qs, unquote

from novnc_twisted.http.errors import malformed

MAX_QUERY_FIELDS: Final = 100


def split_target(target: str) -> tuple[tuple[str, ...], dict[str, list[str]]]:
    """Return the decoded path segments and the query of a target.  A trailing slash adds no segment.

    :param target: path and query, without scheme and host.
    :raises HTTPError: 400: the target does not begin with a slash, is not ASCII, or has more than
        :data:`MAX_QUERY_FIELDS` parameters.
    """
    path, _, query = target.partition("?")
    if not path.startswith("/") or not target.isascii():
        raise malformed("Malformed request URL")
    try:
        values = parse_qs(query, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    except ValueError:
        raise malformed("Malformed request URL") from None
    # Split before decoding, because an escaped slash is part of a name.
    segments = [unquote(part) for part in path[1:].split("/")]
    if segments[-1] == "":
        segments.pop()
    return tuple(segments), values
