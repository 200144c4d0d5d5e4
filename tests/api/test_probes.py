"""Health checks of load balancers: answered without a token, and without a line in the log."""

from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.identity import NoAuth
from tests.api.harness import Connection, FakeHost, System, running
from tests.api.users import UsersCase
from tests.support.logged import Logged


class ProbeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.system: System = running(self, NoAuth(), FakeHost("host1"))
        self.log = Logged(self)

    def raw(self, request: bytes, **where: Any) -> bytes:
        connection = Connection(self.system.site, **where)
        connection.send(request)
        return connection.transport.value()

    def test_healthz(self) -> None:
        for request in (
            b"GET /healthz HTTP/1.1\r\nHost: api.example\r\n\r\n",
            b"GET /healthz HTTP/1.0\r\n\r\n",
            b"GET /healthz/?x=y HTTP/1.1\r\nHost: 192.0.2.1:8774\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n",
            b"GET http://api.example/healthz HTTP/1.1\r\nHost: api.example\r\n\r\n",
        ):
            head, _, body = self.raw(request, peer="192.0.2.7").partition(b"\r\n\r\n")
            self.assertTrue(head.startswith((b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 OK\r\n")), head)
            self.assertIn(b"Content-Type: text/plain; charset=UTF-8", head)
            self.assertIn(b"Content-Length: 2", head)
            self.assertEqual(body, b"ok")
        head, _, body = self.raw(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n").partition(b"\r\n\r\n")
        self.assertEqual((head[:15], body), (b"HTTP/1.1 200 OK", b""))
        self.assertEqual(self.log.lines(), [])

    def test_other_methods(self) -> None:
        answer = self.system.ask("DELETE", "/healthz")
        self.assertEqual((answer.status, answer["allow"]), (405, "GET, HEAD"))
        self.assertEqual(len(self.log.lines("DELETE /healthz 405")), 1)

    def test_options(self) -> None:
        for request in (
            b"OPTIONS / HTTP/1.0\r\n\r\n",
            b"OPTIONS / HTTP/1.1\r\nHost: api.example\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nHost: api.example\r\n\r\n",
            b"OPTIONS * HTTP/1.0\r\n\r\n",
            b"OPTIONS http://api.example HTTP/1.1\r\nHost: api.example\r\n\r\n",
        ):
            head, _, body = self.raw(request).partition(b"\r\n\r\n")
            self.assertIn(b" 204 No Content\r\n", head + b"\r\n", request)
            self.assertIn(b"\r\nAllow: GET, HEAD, POST, OPTIONS", head)
            self.assertNotIn(b"content-", head.lower())
            self.assertNotIn(b"transfer-encoding", head.lower())
            self.assertEqual(body, b"")
        self.assertEqual(self.log.lines(), [])

    def test_a_connection_goes_on_after_it(self) -> None:
        both = b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        connection = Connection(self.system.site)
        for request in both:
            connection.send(request)
        self.assertTrue(connection.transport.value().endswith(b"\r\n\r\nok"))

    def test_other_targets(self) -> None:
        for method, target, status in (
            ("OPTIONS", "/v2.1", 405),
            ("OPTIONS", "/v2.1/servers", 405),
            ("GET", "*", 400),
            ("OPTIONS", "**", 400),
            ("GET", "/healthz/x", 300),
        ):
            self.assertEqual(self.system.ask(method, target).status, status, (method, target))

    def test_what_else_load_balancers_send(self) -> None:
        """A connection without a byte, one that is reset, HEAD and GET of the root."""
        for data in (b"", b"GET"):
            connection = Connection(self.system.site)
            connection.send(data)
            connection.protocol.connectionLost(Failure(ConnectionLost()))
        for request in (
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"HEAD /v2.1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ):
            self.assertIn(b" 200 OK", self.raw(request)[:20])
        self.assertEqual(self.log.lines(), [])


class RefusedTests(UsersCase):
    def test_a_head_that_is_refused_leaves_its_line(self) -> None:
        log = Logged(self)
        self.system.send("HEAD", "/v2.1/servers")
        self.assertEqual(len(log.lines("HEAD /v2.1/servers 401")), 1)
