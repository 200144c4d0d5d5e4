"""The Compute API: its parsers of bodies, targets and hosts, and a whole site."""

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure

from novnc_twisted.access.hosts import is_host, is_loopback
from novnc_twisted.api.errors import fault_body
from novnc_twisted.api.microversion import MAXIMUM, MINIMUM, requested
from novnc_twisted.api.schema import choices
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.json_body import MAX_DEPTH, read_json
from novnc_twisted.http.request import Request
from novnc_twisted.http.targets import split_target
from novnc_twisted.identity.noauth import NoAuth
from novnc_twisted.identity.users import User
from tests.api.harness import FakeHost, System, instance
from tests.http.harness import Connection

from .tools import Target, cuttings, holds, same

FIELDS = {"type": ["novnc", "xvpvnc"]}


def check_error(error: HTTPError, *codes: int) -> None:
    """Check that an error has one of these codes, and can be sent."""
    holds(error.status in codes, "another error than documented", error.status)
    json.dumps(fault_body(error)).encode("ascii")


def depth_of(value: Any) -> int:
    deepest, now = 0, [value]
    while now := [item for item in now if isinstance(item, (dict, list))]:
        deepest += 1
        now = [one for item in now for one in (item.values() if isinstance(item, dict) else item)]
    return deepest


def run_json(data: bytes) -> None:
    """A body: refused with 400, or a value within the limits that can be written as JSON."""
    try:
        value = read_json(data)
    except HTTPError as error:
        check_error(error, 400)
        return
    holds(depth_of(value) <= MAX_DEPTH, "too deep", depth_of(value))
    try:
        same(json.loads(json.dumps(value, allow_nan=False)), value, "the value that was written")
    except ValueError:
        holds(False, "a number that JSON can't represent")
    for lenient in (False, True):
        try:
            chosen = choices(value, "os-getVNCConsole", FIELDS, lenient=lenient)
        except HTTPError as error:
            check_error(error, 400)
            holds(len(json.dumps(fault_body(error))) < 8000, "a long fault")
        else:
            same(chosen, {"type": value["os-getVNCConsole"]["type"]}, "the choice")
            holds(chosen["type"] in FIELDS["type"], "an unknown console type", chosen)


def run_target(data: bytes) -> None:
    """Lines: a request target, then texts that are read as a Host and as a microversion."""
    target, *rest = data.split(b"\n")
    try:
        segments, query = split_target(target.decode("latin-1"))
    except HTTPError as error:
        check_error(error, 400)
    else:
        holds(sum(map(len, query.values())) <= 100, "too many parameters")
        holds(all(len(segment) <= len(target) for segment in segments), "a long segment", segments)
    for text in (line.decode("latin-1") for line in rest):
        if is_host(text):
            holds(not set(text) & set("/\\@?# \t\r\n\0"), "not a host", text)
        if is_loopback(text) and is_host(text):
            bare = text.lower()
            holds(bare.startswith(("localhost", "127.", "[")) or bare[:1].isdigit() or "::1" in bare, "not local", text)
        for name in ("openstack-api-version", "x-openstack-nova-api-version"):
            try:
                version = requested(Request(method="GET", segments=(), headers={name: [text]}))
            except HTTPError as error:
                check_error(error, 400, 406)
            else:
                holds(MINIMUM <= version <= MAXIMUM, "a version that is not served", version)


class Basic(NoAuth):
    """Users in memory, without bcrypt."""

    tokens = True

    def admit(self, request: Request) -> None:
        """Admit anybody."""

    async def log_in(self, name: str, password: str, *_: Any) -> User:
        """Accept any password: its check is not under test."""
        return User(name, None, "$2b$" + password.encode("utf-8", "surrogatepass").hex())

    def user(self, name: str) -> User:
        """Accept any name."""
        return User(name, None, "")


class Wire:
    """A site, with checks of its log and answers."""

    def __init__(self, auth: Any) -> None:
        self.host = FakeHost("host1", instance("one"), instance("two", state="shutoff", power_state=4))
        self.system = System(auth, self.host, observer=lambda event: None)  # the access log would have a timer
        Deferred.fromCoroutine(self.system.start())

    def exchange(self, chunks: list[bytes]) -> list[int]:
        """Send chunks on a new connection; return the status of each answer."""
        failures: list[LogEvent] = []

        def look(event: LogEvent) -> None:
            if "log_failure" in event:
                failures.append(event)

        globalLogPublisher.addObserver(look)  # type: ignore[arg-type]  # any callable will do
        try:
            before = set(self.system.reactor.getDelayedCalls())
            connection = Connection(self.system.site)
            for chunk in chunks:
                if not connection.transport.disconnecting:
                    connection.send(chunk)
            answers = connection.answers()
            connection.protocol.connectionLost(_GONE)
            left = set(self.system.reactor.getDelayedCalls()) - before
            holds(not left, "timers are left", left)
        finally:
            globalLogPublisher.removeObserver(look)  # type: ignore[arg-type]
            self.system.consoleauth.tokens.clear()
            self.host.asked.clear()
        if failures:
            raise failures[0]["log_failure"].value
        for answer in answers:
            same(answer["content-type"], "application/json; charset=UTF-8", "the content type")
            holds(100 < answer.status < 600 and answer.status != 500, "an internal error", answer.status, answer.raw)
        return [answer.status for answer in answers]


_GONE = Failure(ConnectionDone())
_WIRES: list[Wire] = []


def run_site(data: bytes) -> None:
    """First byte: the auth strategy; the rest: a client's stream.  No failure is logged, and no timer is left."""
    if not data or b"HEAD " in data:  # its answer has a length and no body, so that the next answer could not be found
        return
    if not _WIRES:
        _WIRES.extend((Wire(NoAuth()), Wire(Basic())))
    wire = _WIRES[data[0] & 1]
    wanted = wire.exchange([data[1:]])
    holds(len(wanted) <= 1, "answers a pipelined request", wanted)
    for chunks in cuttings(data[1:]):
        # In chunks, a second request may arrive after the first answer, so that it is not pipelined.
        same(wire.exchange([chunk for chunk in chunks if chunk])[:1], wanted, "the first answer")


_GET = b"GET /v2.1/servers HTTP/1.1\r\nHost: localhost\r\n"

TARGETS = (
    Target(
        "api-json",
        run_json,
        384,
        (
            b'{"os-getVNCConsole":{"type":"novnc"}}',
            b'{"',
            b'":',
            b'"',
            b"[",
            b"]" * 33,
            b"[" * 33,
            b"1e999",
            b"\\ud800",
            b"NaN",
        ),
    ),
    Target(
        "api-target",
        run_target,
        256,
        (
            b"/v2.1/servers/detail?name=a",
            b"%2F",
            b"\n",
            b"localhost:8774",
            b"[::1]",
            b"127.0.0.1",
            b"compute 2.31",
            b"latest",
        ),
    ),
    Target(
        "api-site",
        run_site,
        1024,
        (
            _GET,
            b"\r\n",
            b"POST /v2.1/servers/11111111-2222-3333-4444-555555555555/action HTTP/1.1\r\nHost: localhost\r\n",
            b"POST /identity/v3/auth/tokens HTTP/1.1\r\nHost: localhost\r\n",
            b"Content-Length: 10\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"\r\n5\r\nabcde\r\n0\r\n\r\n",
            b"Content-Type: application/json\r\n",
            b"X-Auth-Token: gAAAA\r\n",
            b"Authorization: Basic YTpi\r\n",
            b"OpenStack-API-Version: compute 2.6\r\n",
            b"Expect: 100-continue\r\n",
            b'{"os-getVNCConsole":{"type":"novnc"}}',
        ),
    ),
)
