"""The API and both proxies on loopback, for clients that send raw bytes and check each byte of an answer."""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory

from novnc_twisted.http import channel
from novnc_twisted.identity import NoAuth
from novnc_twisted.novncproxy import NoVNCProxyFactory, page
from novnc_twisted.xvpvncproxy import XVPVNCProxyFactory
from tests.api.harness import FakeHost, System, instance
from tests.session.harness import FrontCase, Raw

API, NOVNC, XVP = PORTS = ("api", "novnc", "xvp")

SMUGGLED = b"smuggled"
"""Part of smuggled requests, which no port may answer."""

_LINE = re.compile(rb"[A-Za-z][A-Za-z0-9-]*: [ -~]*")
_FORBIDDEN = (b"set-cookie", b"refresh", b"x-powered-by")


class Outcome(NamedTuple):
    """The response to a client.

    :ivar statuses: the statuses of the answers, in their order.
    :ivar closed: whether the port closed the connection.
    """

    statuses: tuple[int, ...]
    closed: bool


def parse(data: bytes) -> list[tuple[int, dict[bytes, bytes], bytes]]:
    """The answers in a stream, each with status, fields and body, after checking them."""
    answers = []
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        assert end, f"half a head: {head!r}"
        first, *lines = head.split(b"\r\n")
        assert re.fullmatch(rb"HTTP/1\.1 [1-5][0-9]{2} [ -~]+", first), first
        assert all(_LINE.fullmatch(line) for line in lines), lines
        fields = {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}
        judge(fields)
        length = int(fields.get(b"content-length", b"0"))
        assert len(data) >= length, "half a body"
        body, data = data[:length], data[length:]
        if b"html" not in fields.get(b"content-type", b""):
            assert b"<" not in body, body
        answers.append((int(first[9:12]), fields, body))
    return answers


def judge(fields: dict[bytes, bytes]) -> None:
    """Assert that no cookie is set, and that no redirect leads to another host."""
    assert not [name for name in _FORBIDDEN if name in fields], fields
    location = fields.get(b"location", b"/")
    assert re.fullmatch(rb"/(?![/\\])[!-~]*", location), location


class PortsCase(FrontCase):
    """All three ports.  The API answers without a log-in; tokens are those of FrontCase.

    :cvar head_deadline: seconds for a request head; at the API, for the whole request.
    :ivar asked_of_api: each request that reached the API's application.
    """

    timeout = 300
    auth: Any = None
    head_deadline = 10.0

    async def setUp(self) -> None:
        super().setUp()
        self.patch(channel, "REQUEST_TIMEOUT", self.head_deadline)
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        (folder / "vnc_auto.html").write_text("<title>page</title>")
        self.patch(page, "SHIPPED", folder)
        self.system = System(self.auth or NoAuth(), FakeHost("host1", instance("one")), reactor=reactor)
        await self.system.start()
        self.addCleanup(self.system.transport.stop)
        self.addCleanup(self._api_closed)
        settings = self.settings(max_failures_per_minute=0, head_deadline=self.head_deadline)
        self.fronts = {
            NOVNC: NoVNCProxyFactory(reactor, self.authorise, settings=settings, web=folder, keep_token=self.keep),
            XVP: XVPVNCProxyFactory(reactor, self.authorise, settings=settings, keep_token=self.keep),
        }
        for front in self.fronts.values():
            self.addCleanup(front.stop_sessions)
        self.ports = {API: self.listen(self.system.site)}
        self.ports |= {name: self.listen(front) for name, front in self.fronts.items()}
        self.asked_of_api: list[Any] = []
        application = self.system.site.application
        answer = application.answer

        def noted(request: Any) -> Any:
            self.asked_of_api.append(request)
            return answer(request)

        self.patch(application, "answer", noted)

    async def _api_closed(self) -> None:
        for one in list(self.system.site.connections):
            gone: Deferred[None] = Deferred()
            lost = one.connectionLost

            def ended(reason: Any = None, gone: Any = gone, lost: Any = lost) -> None:
                lost(reason)
                gone.callback(None)

            one.transport.protocol.connectionLost = ended
            one.transport.abortConnection()
            await gone

    async def connect(self, name: str) -> Raw:
        """A client of a port."""
        client: Any = await TCP4ClientEndpoint(reactor, "127.0.0.1", self.ports[name]).connect(Factory.forProtocol(Raw))
        self.addCleanup(self._hang_up, client)
        return client

    async def _hang_up(self, client: Raw) -> None:
        if not client.lost:
            client.transport.abortConnection()
            await client.gone

    async def answers(self, client: Raw, count: int = 1) -> list[tuple[int, dict[bytes, bytes], bytes]]:
        """Wait for complete answers, or for the end of the connection."""

        def take() -> Any:
            try:
                found = parse(bytes(client.buffer))
            except AssertionError:
                if client.lost:
                    raise
                return None
            return found if len(found) >= count or client.lost else None

        return await client.when(take)

    async def outcome(self, name: str, raw: bytes) -> Outcome:
        """Send bytes to a port, followed by a good request, which shows whether the connection was closed."""
        client = await self.connect(name)
        client.write(raw)
        found = await self.answers(client)
        if not client.lost:
            _, fields, _ = found[-1] if found else (0, {}, b"")
            if fields.get(b"connection", b"close" if name == XVP else b"").lower() == b"close":
                await client.gone
                found = parse(bytes(client.buffer))
        closed = client.lost
        if not closed:
            client.write(b"GET /v2.1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            await client.gone
            *found, (last, _, _) = parse(bytes(client.buffer))
            assert last in (200, 404), last
        return Outcome(tuple(status for status, _, _ in found), closed)
