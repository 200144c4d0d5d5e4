"""auth_strategy noauth: everyone on this machine, and no web page."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.api import NoAuth
from novnc_twisted.api.request import is_loopback
from tests.api.harness import Connection, FakeHost, System, instance
from tests.api.users import TOKENS, log_in


class NoAuthTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.system = self.successResultOf(
            Deferred.fromCoroutine(System(NoAuth(), FakeHost("host1", instance("one"))).start())
        )

    def test_loopback_hosts(self) -> None:
        for host in ("localhost", "LOCALHOST:8774", "127.0.0.1:8774", "127.8.9.1", "[::1]:8774", "localhost.:1"):
            self.assertEqual(self.system.get("/v2.1/servers", Host=host).status, 200, host)

    def test_foreign_hosts(self) -> None:
        for host in (
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.0.2.1:8774",
            "[2001:db8::1]",
            "0.0.0.0",
            "[::]",
            "2130706433",
        ):
            for path in ("/", "/v2.1", "/v2.1/servers", "/identity", TOKENS, "/image", "/else"):
                answer = self.system.get(path, Host=host)
                name = "error" if path.startswith("/identity") else "forbidden"
                self.assertEqual((answer.status, list(answer.body)), (403, [name]), (host, path))

    def test_no_host(self) -> None:
        connection = Connection(self.system.site)
        connection.send(b"GET /v2.1 HTTP/1.0\r\n\r\n")
        self.assertEqual([answer.status for answer in connection.answers()], [403])

    def test_origins(self) -> None:
        for origin in ("https://evil.example", "null", "", "http://localhost:8774"):
            for path in ("/", "/v2.1/servers"):
                self.assertEqual(self.system.get(path, Origin=origin).status, 403)

    def test_an_address_that_others_reach(self) -> None:
        connection = Connection(self.system.site, local="192.0.2.1")
        connection.send(b"GET /v2.1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertEqual([answer.status for answer in connection.answers()], [403])

    def test_behind_a_proxy(self) -> None:
        """One on this machine that names us localhost would make everybody an admin."""
        for client, status in (
            ("127.0.0.1", 200),
            ("::1, 127.0.0.1", 200),
            ("192.0.2.7", 403),
            ("192.0.2.7, 127.0.0.1", 403),
            ("127.0.0.1, 2001:db8::1", 403),
            ("unknown", 403),
            ("", 403),
        ):
            for path in ("/v2.1", "/v2.1/servers", TOKENS):
                answer = self.system.get(path, X_Forwarded_For=client)
                self.assertEqual(403 if answer.status == 403 else 200, status, (client, path))

    def test_any_token_will_do(self) -> None:
        for headers in ({}, {"X_Auth_Token": "notused"}, {"Authorization": "Basic !"}):
            self.assertEqual(self.system.get("/v2.1/servers", **headers).status, 200)

    def test_anybody_may_log_in(self) -> None:
        answer = self.system.post(TOKENS, log_in("me", "x", "any"))
        self.assertEqual((answer.status, answer["x-subject-token"]), (201, "notused"))
        self.assertEqual(answer.body["token"]["catalog"][0]["endpoints"][0]["url"], "http://localhost:8774/v2.1")

    def test_is_loopback(self) -> None:
        for host in ("127.0.0.1", "::1", "[::1]", "::ffff:127.0.0.1", "localhost:1"):
            self.assertTrue(is_loopback(host), host)
        for host in ("", "x", "1.2.3.4", "::", "local host", "127.0.0.1:x", "[::1].example"):
            self.assertFalse(is_loopback(host), host)
