"""What a handler is given and what it gives back; no Twisted in sight."""

import ipaddress
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

from novnc_twisted.api.faults import Fault, malformed

MAX_DEPTH = 32
"""Levels of nesting of a JSON body; nova's own requests have four."""

MAX_QUERY_FIELDS = 100

_JSON_TYPES = ("application/json", "application/vnd.openstack.compute+json", "text/plain")
# An unended string matches, too, and nothing is tried twice: else a body of quotes would cost its length squared.
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]*)(.*)")
_HOST = re.compile(r"(?:[A-Za-z0-9_.-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    :ivar status: the HTTP status.
    :ivar body: JSON; None for no body, and bytes are sent as text.
    :ivar headers: further headers.
    :ivar refused: for the log, why the request was refused before the API looked at what it asks for.
    """

    status: int
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    refused: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request, read whole.

    :ivar method: as sent, ``GET`` for instance.
    :ivar segments: the path's parts, decoded; a trailing slash adds none.
    :ivar query: name -> values, the blank ones too.
    :ivar headers: name in lower case -> values.
    :ivar body: the body's bytes.
    :ivar scheme: ``http`` or ``https``, as the user's side of a trusted proxy has it.
    :ivar host: the host of an absolute target, else the Host header, else (HTTP/1.0) this end's address.
    :ivar prefix: the path below which a trusted proxy publishes this API, as ``/compute``; mostly empty.
    :ivar protocol: the client's version of HTTP, as ``HTTP/1.1``.
    :ivar local: whether this end of the connection is a loopback address.
    :ivar client: the client's address, by X-Forwarded-For of a trusted proxy, else the peer's.
    """

    method: str
    segments: tuple[str, ...]
    query: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, list[str]] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    scheme: str = "http"
    host: str = "localhost"
    prefix: str = ""
    protocol: str = "HTTP/1.1"
    local: bool = True
    client: str = ""

    @property
    def base_url(self) -> str:
        """What links begin with: where the user sees this API."""
        return f"{self.scheme}://{self.host}{self.prefix}"

    def header(self, name: str) -> str | None:
        """The value of a header that may come once.

        :raises Fault: 400, where it comes twice: which of them counts would be guesswork.
        """
        values = self.headers.get(name, [])
        if len(values) > 1:
            raise Fault(400, f"The header {name} came more than once.")
        return values[0] if values else None

    def parameter(self, name: str) -> str | None:
        """The last value of a query parameter."""
        values = self.query.get(name)
        return values[-1] if values else None

    def json(self) -> Any:
        """The body.

        :raises Fault: 415 for another type of content, 400 for what is no JSON or is nested too deep.
        """
        content_type = (self.header("content-type") or "").partition(";")[0].strip().lower()
        if content_type and content_type not in _JSON_TYPES:
            raise Fault(415, "Unsupported Content-Type")
        return read_json(self.body)


def read_json(body: bytes) -> Any:
    """JSON in UTF-8, at most :data:`MAX_DEPTH` deep.

    :raises Fault: 400.
    """
    if _depth(body) > MAX_DEPTH:
        raise Fault(400, "Malformed request body")
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        raise Fault(400, "Malformed request body") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):  # 1e999, which no answer could repeat
        raise ValueError("a number that is too large")
    return number


def _depth(body: bytes) -> int:
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return 0
    depth = deepest = 0
    for bracket in _BRACKETS.finditer(_STRINGS.sub(b"", body)):
        depth += 1 if bracket[0] in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def split_target(target: bytes) -> tuple[tuple[str, ...], dict[str, list[str]]]:
    """A request target's path segments and query.

    :raises Fault: 400 for what is no path, or has too many parameters.
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


def absolute_form(target: bytes) -> tuple[bytes | None, bytes]:
    """Split an absolute request target (RFC 9112, section 3.2.2) into its authority and the rest.

    :return: None and the target itself where it is in another form.
    """
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        return None, target
    rest = found[2]
    return found[1], rest if rest.startswith(b"/") else b"/" + rest


def host_of(header: str) -> str | None:
    """The Host header where it is a name or an address with or without a port, else None."""
    return header if _HOST.fullmatch(header) else None


def is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, names this machine's loopback."""
    name = host.rpartition(":")[0] if re.search(r"(?:^[^:]*|\]):[0-9]+$", host) else host
    name = name.strip("[]").lower().rstrip(".")
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
