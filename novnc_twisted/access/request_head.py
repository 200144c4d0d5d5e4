"""HTTP heads (RFC 9112), bounded and strict: the request of a viewer or browser, the reply to our own CONNECT.

Not a web server's parser: what is ambiguous (obsolete line folding, a space before the colon, a bare CR, lines of one
head that end in different ways) is refused, because two readers that understand it differently are how requests are
smuggled.
"""

import re
from dataclasses import dataclass
from typing import Final

HEAD_LIMIT: Final = 16384
"""Bytes of the longest head that is taken."""

MAX_FIELDS: Final = 100
"""Fields of a head; browsers send some twenty."""

_REQUEST = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP/1\.([0-9])")
_ABSOLUTE = re.compile(r"(?i:https?)://([^/?#]*)([^#]*)")
_END = re.compile(rb"\n\r?\n")
_STATUS = re.compile(r"HTTP/1\.[0-9] ([0-9]{3})(?: [^\r\n]*)?")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):(.*)")

_CONTROL = bytes({*range(0x20), 0x7F} - set(b"\t\r\n"))  # some readers end a line, or a name, at one of them


class BadHead(ValueError):
    """It is no proper HTTP head; says why."""


class HeadTooBig(BadHead):
    """It is longer than what is taken."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request without its body.

    :ivar method: as sent; methods are case-sensitive.
    :ivar target: the request target as sent, percent-escapes untouched; of an absolute form its path and query.
    :ivar minor: n of HTTP/1.n.
    :ivar fields: the header fields in their order, names in lower case.
    """

    method: str
    target: str
    minor: int
    fields: tuple[tuple[str, str], ...] = ()

    def all(self, name: str) -> list[str]:
        """The values of every field of this name (lower case)."""
        return [value for key, value in self.fields if key == name]

    def one(self, name: str) -> str | None:
        """The value of the only field of this name; None where there is none, or more than one."""
        values = self.all(name)
        return values[0] if len(values) == 1 else None

    def lists(self, name: str) -> list[str]:
        """The members of a comma-separated field, in lower case."""
        parts = [part.strip(" \t").lower() for value in self.all(name) for part in value.split(",")]
        return [part for part in parts if part]


class HeadBuffer:
    """Gathers bytes until a head is complete.  Works at any chunking, keeps no more than the limit.

    :ivar rest: after the head: bytes that came with it.
    """

    def __init__(self, limit: int = HEAD_LIMIT) -> None:
        self.rest = b""
        self._limit = limit
        self._data = bytearray()

    @property
    def empty(self) -> bool:
        """Whether nothing came yet."""
        return not self._data

    def receive(self, data: bytes) -> bytes | None:
        """The whole head with its empty line, once it is there; None until then.  Not to be called after that.

        :raises HeadTooBig: once it can't be shorter than the limit.
        """
        seen = len(self._data)
        self._data += data
        end = _end_of_head(self._data, max(0, seen - 3))
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
    """Where the body begins; bare LF ends a line as well (RFC 9112, section 2.2)."""
    found = _END.search(data, start)
    return found.end() if found else -1


def read_request(head: bytes) -> RequestHead:
    """Read a request's head.

    A target in absolute form is served like any other; its authority counts in place of the Host field's (RFC 9112,
    section 3.2.2).

    :raises BadHead: if it is malformed or ambiguous.
    """
    first, fields = _lines(head)
    match = _REQUEST.fullmatch(first)
    if match is None:
        raise BadHead("no request line")
    authority, target = split_absolute(match[2])
    if authority is not None:
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
    """The status of a reply, of a proper status line only.

    :raises BadHead: if it is malformed.
    """
    first, _ = _lines(head)
    match = _STATUS.fullmatch(first)
    if match is None:
        raise BadHead("no status line")
    return int(match[1])


def _lines(head: bytes) -> tuple[str, tuple[tuple[str, str], ...]]:
    text = head.decode("latin-1")
    if "\r" in text:
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
        match = _FIELD.fullmatch(line)
        if match is None:
            raise BadHead("a malformed header field")
        fields.append((match[1].lower(), match[2].strip(" \t")))  # in the pattern it would cost the square of a run
    return first, tuple(fields)
