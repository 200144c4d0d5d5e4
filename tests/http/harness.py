"""An HTTP site in memory, with an application that echoes each request."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from novnc_twisted.access.connection_limits import ConnectionLimits
from novnc_twisted.access.forwarded import networks
from novnc_twisted.events import RequestRefused
from novnc_twisted.http import HTTPError, Request, Response, Site
from novnc_twisted.http.access_log import LoggedPaths


class EchoApplication:
    """Answers with the parts of each request.

    :ivar silent: the requests for ``/wait`` are answered when this fires.
    """

    def __init__(self) -> None:
        self.silent: Deferred[None] = Deferred()

    async def answer(self, request: Request) -> Response:
        """See IApplication."""
        if request.segments == ("wait",):
            await self.silent
        parts = {
            "method": request.method,
            "url": "/".join((request.base_url, *request.segments)),
            "query": dict(request.query),
            "client": request.client,
        }
        try:
            return Response(200, {**parts, "body": request.json() if request.body else None})
        except HTTPError as error:
            return self.error_response(error)

    def error_response(self, error: HTTPError) -> Response:
        """See IApplication."""
        return Response(error.status, {"error": error.message}, error.headers)


class EchoSite(Site):
    """A site with an :class:`EchoApplication`, on a clock that the test moves.

    :ivar refusals: the events of refused requests.
    """

    application: EchoApplication

    def __init__(
        self, *, limits: ConnectionLimits | None = None, trusted: Sequence[str] = (), paths: LoggedPaths | None = None
    ) -> None:
        self.clock = Clock()
        self.refusals: list[RequestRefused] = []
        super().__init__(
            self.clock,
            EchoApplication(),
            connection_limits=ConnectionLimits() if limits is None else limits,
            observer=self.refusals.append,  # type: ignore[arg-type]  # a site makes no other events
            trusted_proxies=networks(trusted),
            logged_paths=paths or LoggedPaths(["some/path"]),
            name="echo",
        )


@dataclass
class Answer:
    """A response, parsed.

    :ivar body: the value of a JSON body; None if there is no body.
    """

    status: int
    headers: dict[str, list[str]]
    body: Any
    raw: bytes = b""

    def __getitem__(self, name: str) -> str:
        """Return the last value of a header field."""
        return self.headers[name.lower()][-1]


@dataclass
class Connection:
    """One connection to a site, without a network."""

    site: Any
    local: str = "127.0.0.1"
    peer: str = "127.0.0.1"
    transport: StringTransport = field(init=False)

    def __post_init__(self) -> None:
        self.transport = StringTransport(
            hostAddress=IPv4Address("TCP", self.local, 8774), peerAddress=IPv4Address("TCP", self.peer, 40000)
        )
        self.protocol = self.site.buildProtocol(self.transport.getPeer())
        if self.protocol is not None:
            self.protocol.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        """Send bytes to the site."""
        self.protocol.dataReceived(data)

    def answers(self) -> list[Answer]:
        """Return all responses that were sent."""
        return parse_all(self.transport.value())


def parse_all(data: bytes) -> list[Answer]:
    """Split what a server sent into responses."""
    found = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers: dict[str, list[str]] = {}
        for line in lines:
            name, _, value = line.partition(": ")
            headers.setdefault(name.lower(), []).append(value)
        code = int(status.split(" ")[1])
        if code == 100:
            continue
        length = int(headers.get("content-length", ["0"])[0])  # a 204 has none
        raw, data = data[:length], data[length:]
        is_json = any("json" in kind for kind in headers.get("content-type", []))
        found.append(Answer(code, headers, json.loads(raw) if raw and is_json else None, raw))
    return found
