"""HTTP heads (RFC 9112): of a request from a viewer or browser, and of the response to our own CONNECT request.

A head is the part of a message before its body: the first line and the header fields.  The parser is stricter than
those of most web servers.  It refuses ambiguous heads: obsolete line folding, a space before the colon, a bare CR,
different line endings in one head.  If two servers read a head differently, requests can be smuggled.
"""

import re
from dataclasses import field
from typing import Final

from novnc_twisted.read_only import read_only

HEAD_LIMIT: Final = 16384
"""Maximum number of bytes of a head."""

MAX_FIELDS: Final = 100
"""Maximum number of fields of a head; browsers send about twenty."""

_REQUEST = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP/1\.([0-9])")
_ABSOLUTE = re.compile(r"(?i:https?)://([^/?#]*)([^#]*)")
_END = re.compile(rb"\n\r?\n")
_STATUS = re.compile(r"HTTP/1\.[0-9] ([0-9]{3})(?: [^\r\n]*)?")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):(.*)")

_CONTROL = bytes({*range(0x20), 0x7F} - set(b"\t\r\n"))  # some parsers end a line or a name at these


class BadHead(ValueError):
    """The data is not a valid HTTP head; the text says why."""


class HeadTooBig(BadHead):
    """The head has too many bytes or too many fields."""


@read_only()
class RequestHead:
    """A request without its body.

    :ivar method: as sent; methods are case-sensitive.
    :ivar target: the request target as sent, with its percent-escapes.  If it was in absolute form, only its path and
        query.
    :ivar minor: the n of HTTP/1.n.
    :ivar fields: the header fields in their order, with names in lower case.
    """

    method: str
    target: str
    minor: int
    fields: tuple[tuple[str, str], ...] = ()
    _values: dict[str, list[str]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.fields:
            self._values.setdefault(name, []).append(value)

    def all(self, name: str) -> list[str]:
        """Return the values of all fields with this name, which must be given in lower case."""
        return self._values.get(name, [])

    def one(self, name: str) -> str | None:
        """Return the value of the only field with this name; None if there is no such field, or more than one."""
        values = self.all(name)
        return values[0] if len(values) == 1 else None

    def lists(self, name: str) -> list[str]:
        """Return the members of a comma-separated field, in lower case."""
        parts = [part.strip(" \t").lower() for value in self.all(name) for part in value.split(",")]
        return [part for part in parts if part]


class HeadBuffer:
    """Collects the bytes of a head, which may arrive in pieces of any size.  Discards a head that is too long.

    :ivar rest: the bytes that were received after the head.
    """

    def __init__(self, limit: int = HEAD_LIMIT) -> None:
        self.rest = b""
        self._limit = limit
        self._data = bytearray()

    @property
    def empty(self) -> bool:
        """Whether no byte of an incomplete head is stored."""
        return not self._data

    def receive(self, data: bytes) -> bytes | None:
        """Return the complete head with its empty line, or None while it is incomplete.

        This method must not be called again after it has returned a head: the next head needs a new buffer.

        :raises HeadTooBig: the head is longer than the limit.
        """
        seen = len(self._data)
        self._data += data
        # Search the new piece, and the last two bytes before it, in which the empty line may begin.
        end = _end_of_head(self._data, max(0, seen - 2))
        if end < 0:
            if len(self._data) > self._limit:
                self._data.clear()
                raise HeadTooBig(f"a head of more than {self._limit} bytes")
            return None
        if end > self._limit:
            self._data.clear()
            raise HeadTooBig(f"a head of more than {self._limit} bytes")
        head, self.rest = bytes(self._data[:end]), bytes(self._data[end:])
        self._data.clear()
        return head


def _end_of_head(data: bytearray, start: int) -> int:
    """Return where the body begins, or -1.  Lines may end in a bare LF (RFC 9112, section 2.2)."""
    found = _END.search(data, start)
    return found.end() if found else -1


def read_request(head: bytes) -> RequestHead:
    """Read the head of a request.

    A target in absolute form is accepted; its authority replaces the value of a Host field (RFC 9112, section 3.2.2).

    :raises BadHead: the head is invalid or ambiguous; HeadTooBig: it has more than :data:`MAX_FIELDS` fields.
    """
    first, fields = _lines(head)
    match = _REQUEST.fullmatch(first)
    if match is None:
        raise BadHead("no request line")
    authority, target = split_absolute(match[2])
    if authority is not None:
        # If the target is in absolute form, an origin server must ignore Host (section 3.2.2).  If both values were
        # kept, one check could use Host, and another one the authority.
        fields = tuple((name, authority if name == "host" else value) for name, value in fields)
    return RequestHead(match[1], target, int(match[3]), fields)


def split_absolute(target: str) -> tuple[str | None, str]:
    """Split a request target in absolute form (RFC 9112, section 3.2.2) into its authority, and its path and query.

    :return: None and the whole target if it is in another form.
    """
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        return None, target
    authority, path = absolute.groups()
    return authority, path if path.startswith("/") else f"/{path}"


def read_status(head: bytes) -> int:
    """Return the status of a response.

    :raises BadHead: the head is invalid or ambiguous.
    """
    first, _ = _lines(head)
    match = _STATUS.fullmatch(first)
    if match is None:
        raise BadHead("no status line")
    return int(match[1])


def _lines(head: bytes) -> tuple[str, tuple[tuple[str, str], ...]]:
    text = head.decode("latin-1")
    if "\r" in text:
        # Refuse a head with both line endings: a server that accepts a bare LF may find the end of the head elsewhere
        # than a server that accepts only CRLF.
        if text.count("\n") != text.count("\r\n"):
            raise BadHead("lines that end in different ways")
        text = text.replace("\r\n", "\n")
    text = text.rstrip("\n")
    if "\r" in text or len(head.translate(None, _CONTROL)) < len(head):
        raise BadHead("control characters")
    first, *rest = text.split("\n")
    if len(rest) > MAX_FIELDS:
        raise HeadTooBig(f"a head of more than {MAX_FIELDS} fields")
    fields: list[tuple[str, str]] = []
    for line in rest:
        # No blank is allowed before the colon (section 5.1), and none at the beginning of a line (obsolete folding,
        # 5.2).
        match = _FIELD.fullmatch(line)
        if match is None:
            raise BadHead("a malformed header field")
        # Stripped here, because a pattern that strips the blanks would take quadratic time if there are many.
        fields.append((match[1].lower(), match[2].strip(" \t")))
    return first, tuple(fields)
