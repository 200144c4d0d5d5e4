"""Health checks of load balancers: answered by the server itself, without a line in the log."""

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.http.harness import Connection, EchoSite
from tests.support.logged import Logged


class CheckTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = EchoSite()
        self.log = Logged(self)

    def response(self, request: bytes) -> bytes:
        connection = Connection(self.site, peer="192.0.2.7")
        connection.send(request)
        return connection.transport.value()

    def test_healthz(self) -> None:
        for request in (
            b"GET /healthz HTTP/1.1\r\nHost: api.example\r\n\r\n",
            b"GET /healthz HTTP/1.0\r\n\r\n",
            b"GET /healthz/?x=y HTTP/1.1\r\nHost: 192.0.2.1:8774\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n",
            b"GET http://api.example/healthz HTTP/1.1\r\nHost: api.example\r\n\r\n",
        ):
            head, _, body = self.response(request).partition(b"\r\n\r\n")
            self.assertTrue(head.startswith((b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 OK\r\n")), head)
            self.assertIn(b"Content-Type: text/plain; charset=UTF-8", head)
            self.assertIn(b"Content-Length: 2", head)
            self.assertEqual(body, b"ok")
        head, _, body = self.response(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n").partition(b"\r\n\r\n")
        self.assertEqual((head[:15], body), (b"HTTP/1.1 200 OK", b""))
        self.assertEqual(self.log.lines(), [])

    def test_options(self) -> None:
        for request in (
            b"OPTIONS / HTTP/1.0\r\n\r\n",
            b"OPTIONS / HTTP/1.1\r\nHost: api.example\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nHost: api.example\r\n\r\n",
            b"OPTIONS * HTTP/1.0\r\n\r\n",
            b"OPTIONS http://api.example HTTP/1.1\r\nHost: api.example\r\n\r\n",
        ):
            head, _, body = self.response(request).partition(b"\r\n\r\n")
            self.assertIn(b" 204 No Content\r\n", head + b"\r\n", request)
            self.assertIn(b"\r\nAllow: GET, HEAD, POST, OPTIONS", head)
            self.assertNotIn(b"content-", head.lower())
            self.assertNotIn(b"transfer-encoding", head.lower())
            self.assertEqual(body, b"")
        self.assertEqual(self.log.lines(), [])

    def test_a_connection_goes_on_after_it(self) -> None:
        connection = Connection(self.site)
        connection.send(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertTrue(connection.transport.value().endswith(b"\r\n\r\nok"))

    def test_what_else_load_balancers_send(self) -> None:
        """Connections that end without a whole request, GET of the root, and HEAD."""
        for data in (b"", b"GET"):
            connection = Connection(self.site)
            connection.send(data)
            connection.protocol.connectionLost(Failure(ConnectionLost()))
        for method, path in ((b"GET", b"/"), (b"HEAD", b"/some/path")):
            self.assertIn(b" 200 OK", self.response(b"%b %b HTTP/1.1\r\nHost: x\r\n\r\n" % (method, path))[:20])
        self.assertEqual(self.log.lines(), [])

    def test_what_is_no_check(self) -> None:
        for method, target, status in (
            (b"OPTIONS", b"/some/path", 200),
            (b"GET", b"*", 400),
            (b"OPTIONS", b"**", 400),
        ):
            response = self.response(b"%b %b HTTP/1.1\r\nHost: x\r\n\r\n" % (method, target))
            self.assertTrue(response.startswith(b"HTTP/1.1 %d " % status), response)
        self.assertEqual(len(self.log.lines("192.0.2.7")), 3)
