"""Requests with a Keystone token: real keystoneauth1 against a small Keystone and nova on loopback."""

import gzip
import tracemalloc
from io import BytesIO
from pathlib import Path
from typing import Any

from oslo_config import cfg
from requests import Request as Asked
from requests import Response, exceptions
from requests.adapters import BaseAdapter
from twisted.internet import reactor
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IPullProducer
from twisted.internet.task import LoopingCall
from twisted.trial.unittest import TestCase
from twisted.web.http import Request
from twisted.web.server import NOT_DONE_YET
from urllib3 import HTTPResponse
from zope.interface import implementer

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.keystone import Answer, bounded, session
from novnc_twisted.keystone.bounded import MAX_BODY, BoundedAdapter, UnusableAnswer
from novnc_twisted.service.configuration import read_all
from novnc_twisted.service.nova_backend import make_client
from tests.support.openstack import PASSWORD, FakeOpenStack

TOKEN = "2b1c3d4e-0000-4000-8000-00000000000a"


class ClientCase(TestCase):
    """A client of a small cloud."""

    timeout = 300

    def setUp(self) -> None:
        self.cloud = FakeOpenStack.start(self)

    def conf(self, text: str) -> cfg.ConfigOpts:
        path = Path(self.mktemp())
        path.write_text(text)
        return read_all([str(path)]).conf

    def client(self, **more: str):
        client = make_client(reactor, self.conf(self.cloud.credentials(**more)))
        client.start()
        self.addCleanup(client.stop)
        return client

    async def unavailable(self, client) -> str:
        error = await self.assertFailure(client.request("GET", f"/os-console-auth-tokens/{TOKEN}"), ServiceUnavailable)
        self.assertNotIn(TOKEN, str(error))
        self.assertNotIn(PASSWORD, str(error))
        return error.detail


class ClientTests(ClientCase):
    """Successful requests, and the usual failures."""

    async def test_one_keystone_token_for_many_requests(self) -> None:
        client = self.client()
        for _ in range(3):
            answer = await client.request("GET", f"/os-console-auth-tokens/{TOKEN}")
            self.assertEqual(answer.status, 404)
        posts = [path for method, path, _ in self.cloud.requests if method == "POST"]
        self.assertEqual(posts, ["/identity/v3/auth/tokens"])
        versions = {version for _, path, version in self.cloud.requests if path.startswith("/compute")}
        self.assertEqual(versions, {"compute 2.31"})

    async def test_a_keystone_token_that_is_no_longer_valid_is_renewed_once(self) -> None:
        client = self.client()
        await client.request("GET", "/servers/x")
        self.cloud.valid.clear()
        answer = await client.request("GET", "/servers/x")
        self.assertEqual(answer.status, 404)
        self.assertEqual(len([1 for method, _, _ in self.cloud.requests if method == "POST"]), 2)
        self.cloud.status = 401
        answer = await client.request("GET", "/servers/x")
        self.assertEqual(answer.status, 401)
        self.assertEqual(len([1 for method, _, _ in self.cloud.requests if method == "POST"]), 3)

    async def test_refused_credentials(self) -> None:
        client = self.client(password="another")
        self.assertEqual(await self.unavailable(client), "Keystone refuses the credentials of [service_user]")

    async def test_nobody_listens(self) -> None:
        client = self.client()
        url = self.cloud.url
        await self.cloud.stop()
        self.assertIn(f"{url} does not answer", await self.unavailable(client))

    async def test_a_region_that_does_not_exist(self) -> None:
        detail = await self.unavailable(self.client(region_name="Mars"))
        self.assertIn("region_name", detail)

    async def test_not_a_keystone(self) -> None:
        client = self.client(auth_url=f"{self.cloud.url}/compute/v2.1")
        for _ in range(10):  # more than there are threads: none of them may wait for ever
            self.assertIn("auth_url of [service_user]", await self.unavailable(client))

    async def test_a_page_instead_of_a_keystone(self) -> None:
        """keystoneauth1 quotes the page, which contains an unrelated URL; our sentence does not name this URL."""
        self.cloud.identity_body = lambda _: b'<html xmlns="http://www.w3.org/1999/xhtml"><body>Horizon</body></html>'
        detail = await self.unavailable(self.client(auth_url=f"{self.cloud.url}/identity"))
        self.assertEqual(detail, "auth_url of [service_user] does not lead to a Keystone")

    async def test_a_keystone_that_cannot_be_reached(self) -> None:
        """The reason is the same whether or not keystoneauth1 has to discover the version first."""

        class Failing(BaseAdapter):
            def __init__(self, failure: Exception) -> None:
                super().__init__()
                self.failure = failure

            def send(self, request: Any, **options: Any) -> Response:  # type: ignore[override]
                raise self.failure

        for failure, reason in (
            (exceptions.SSLError("self-signed"), "the TLS certificate of {} cannot be verified (cafile of {})"),
            (exceptions.ConnectionError("refused"), "{} does not answer"),
            (exceptions.Timeout(), "{} does not answer"),
            (UnusableAnswer("redirects"), "{} redirects"),
        ):
            for path in ("", "/", "/v3", "/v2.0"):
                client = self.client(auth_url=f"https://keystone:5000{path}")
                client._adapter.session.session.mount("https://", Failing(failure))
                expected = reason.format("https://keystone:5000", "[service_user]")
                self.assertEqual(await self.unavailable(client), expected)

    async def test_a_keystone_that_hangs(self) -> None:
        """A log-in must end: it holds a lock for which all requests wait."""
        client = self.client()
        login = client._adapter.session
        self.assertEqual(login.timeout, session.LOGIN_TIMEOUT)
        login.timeout = 0.2
        self.cloud.identity_body = lambda _: NOT_DONE_YET
        self.assertIn("does not answer", await self.unavailable(client))
        self.cloud.identity_body = None
        # The session keeps the limit that it was made with: the next log-in must not fail on a busy machine.
        login.timeout = session.LOGIN_TIMEOUT
        self.assertEqual((await client.request("GET", "/servers/x")).status, 404)

    async def test_cancelled(self) -> None:
        client = self.client()
        self.cloud.silent = True
        asked = client.request("GET", "/servers/x")
        asked.cancel()
        await self.assertFailure(asked, CancelledError)

    async def test_stopped(self) -> None:
        client = self.client()
        client.stop()
        await self.unavailable(client)


class HostileAnswerTests(ClientCase):
    """Unusable answers of Keystone or nova: each is refused with a clear sentence, and memory stays bounded."""

    async def test_endless_answers(self) -> None:
        sent = 0

        @implementer(IPullProducer)
        class Endless:
            """Sends as fast as the client reads."""

            def __init__(self, request: Request) -> None:
                self.request = request

            def resumeProducing(self) -> None:
                nonlocal sent
                sent += 1 << 16
                self.request.write(b"x" * (1 << 16))

            def stopProducing(self) -> None:
                """The client closed the connection."""

        def endless(request: Request) -> int:
            request.registerProducer(Endless(request), False)
            return NOT_DONE_YET

        self.cloud.body = endless
        client = self.client()
        self.assertIn(f"{self.cloud.url} sends an answer of more than", await self.unavailable(client))
        self.assertLess(sent, 16 * MAX_BODY)
        self.cloud.body, self.cloud.identity_body = None, endless
        self.assertIn("sends an answer of more than", await self.unavailable(self.client()))

    async def test_a_compressed_answer_that_grows(self) -> None:
        bomb = gzip.compress(b" " * (64 << 20))

        def compressed(request: Request) -> bytes:
            request.setHeader("Content-Encoding", "gzip")
            return bomb

        self.cloud.body = compressed
        client = self.client()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        self.assertIn("sends an answer of more than", await self.unavailable(client))
        self.assertLess(tracemalloc.get_traced_memory()[1], 40 << 20)

    async def test_an_answer_that_trickles(self) -> None:
        self.patch(bounded, "BODY_SECONDS", 0.2)

        def slow(request: Request) -> int:
            trickle = LoopingCall(request.write, b" ")
            request.notifyFinish().addBoth(lambda _: trickle.stop())
            trickle.start(0.05)
            return NOT_DONE_YET

        self.cloud.body = slow
        self.assertIn("takes more than 0.2 s for an answer", await self.unavailable(self.client()))

    async def test_answers_that_are_not_json(self) -> None:
        client = self.client()
        for body in (b"", b"[" * 100_000, b"\xff\xfe", b"NaN", b"9" * 100_000, b"\x80" * 300_000):
            self.cloud.body = lambda _request, body=body: body
            self.assertEqual(await client.request("GET", "/servers/x"), Answer(200, None))
            self.cloud.identity_body = lambda _request, body=body: body
            await self.unavailable(self.client())
            self.cloud.identity_body = None

    async def test_a_body_that_is_not_what_its_header_says(self) -> None:
        client = self.client()
        for field, value in (("Content-Encoding", "gzip"), ("Content-Length", "50")):

            def wrong(request: Request, field: str = field, value: str = value) -> int:
                request.setHeader(field, value)
                request.write(b"not this")
                request.transport.loseConnection()
                return NOT_DONE_YET

            self.cloud.body = wrong
            self.assertIn("does not answer", await self.unavailable(client))

    async def test_connections_are_kept(self) -> None:
        client = self.client()
        for _ in range(5):
            await client.request("GET", "/servers/x")
        self.assertLessEqual(self.cloud.connections, 2)

    def test_a_redirect_away_from_tls(self) -> None:
        """Refused: the password would be sent again, unencrypted."""

        class Inner(BaseAdapter):
            def send(self, request: Any, **options: Any) -> Response:  # type: ignore[override]
                response = Response()
                response.status_code = 307
                response.headers["Location"] = "HTTP://keystone/v3/auth/tokens"
                response.raw = HTTPResponse(BytesIO(b""), preload_content=False)
                return response

        send = BoundedAdapter(Inner()).send
        with self.assertRaisesRegex(UnusableAnswer, "from https to http"):
            send(Asked("POST", "https://keystone/v3/auth/tokens").prepare())
        self.assertEqual(send(Asked("POST", "http://keystone/v3/auth/tokens").prepare()).status_code, 307)
