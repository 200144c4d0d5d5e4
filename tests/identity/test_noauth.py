"""The strategy noauth: clients on this machine are administrators; web pages and proxies are refused."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.identity import NoAuth
from tests.api.harness import FakeHost, System, instance
from tests.api.users import TOKENS, log_in
from tests.http.harness import Connection


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
        """Only pages of this server are admitted: the same scheme, host and port."""
        for host, origin, status in (
            ("localhost:8774", "http://localhost:8774", 200),
            ("LOCALHOST:8774", "http://localhost:8774", 200),
            ("[::1]:8774", "http://[::1]:8774", 200),
            ("127.0.0.1", "http://127.0.0.1:80", 200),
            ("localhost:8774", "https://localhost:8774", 403),
            ("localhost:8774", "http://localhost:8775", 403),
            ("localhost:8774", "http://localhost", 403),
            ("localhost:8774", "http://127.0.0.1:8774", 403),
            ("localhost:8774", "http://localhost:8774.evil.example", 403),
            ("localhost:8774", "http://evil.example", 403),
            ("localhost:8774", "null", 403),
            ("localhost:8774", "", 403),
        ):
            for path in ("/", "/v2.1/servers"):
                self.assertEqual(self.system.get(path, Host=host, Origin=origin).status, status, (host, origin))

    def test_two_origins(self) -> None:
        connection = Connection(self.system.site)
        connection.send(
            b"GET /v2.1 HTTP/1.1\r\nHost: localhost:8774\r\nOrigin: http://localhost:8774\r\nOrigin: http://evil\r\n\r\n"
        )
        self.assertEqual([answer.status for answer in connection.answers()], [403])

    def test_pages_that_send_no_origin(self) -> None:
        """A cross-site GET of a browser has no Origin, but it has Sec-Fetch-Site."""
        for site, status in (
            ("none", 200),
            ("same-origin", 200),
            ("cross-site", 403),
            ("same-site", 403),
            ("none, cross-site", 403),
            ("", 403),
        ):
            for path in ("/", "/v2.1/servers", "/identity"):
                answer = self.system.get(path, Sec_Fetch_Site=site)
                self.assertEqual(answer.status == 403, status == 403, (site, path))

    def test_a_local_address_that_is_not_loopback(self) -> None:
        connection = Connection(self.system.site, local="192.0.2.1")
        connection.send(b"GET /v2.1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertEqual([answer.status for answer in connection.answers()], [403])

    def test_a_peer_on_another_machine(self) -> None:
        """Packets of another machine may reach a loopback address by NAT (route_localnet)."""
        connection = Connection(self.system.site, peer="192.0.2.7")
        connection.send(b"GET /v2.1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertEqual([answer.status for answer in connection.answers()], [403])

    def test_behind_a_proxy(self) -> None:
        """A proxy on this machine that sends Host localhost would make all its clients administrators."""
        for name in (
            "Forwarded",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "X-Forwarded-Proto",
            "X-Forwarded-Prefix",
            "X-Forwarded-Server",
            "X-Forwarded",
            "X-Original-Forwarded-For",
            "Forwarded-For",
            "X-Real-IP",
            "x-real-ip",
            "X-Client-IP",
            "X-Cluster-Client-IP",
            "X-Originating-IP",
            "X-Remote-IP",
            "X-Remote-Addr",
            "X-ProxyUser-IP",
            "Client-IP",
            "True-Client-IP",
            "CF-Connecting-IP",
            "CF-Connecting-IPv6",
            "CF-Ray",
            "CF-Visitor",
            "CDN-Loop",
            "Fastly-Client-IP",
            "Fly-Client-IP",
            "Akamai-Origin-Hop",
            "X-Azure-ClientIP",
            "X-Azure-SocketIP",
            "X-ARR-LOG-ID",
            "X-Amzn-Trace-Id",
            "X-Cloud-Trace-Context",
            "X-Envoy-External-Address",
            "X-Original-URL",
            "X-Rewrite-URL",
            "X-Host",
            "X-Scheme",
            "Front-End-Https",
            "Via",
            "Max-Forwards",
            "Proxy-Connection",
            "WL-Proxy-Client-IP",
        ):
            for path in ("/v2.1", "/v2.1/servers", "/identity/v3", "/image"):
                answer = self.system.get(path, **{name: "127.0.0.1"})
                self.assertEqual(answer.status, 403, (name, path))
                self.assertIn(name.lower(), str(answer.body))

    def test_with_underscores(self) -> None:
        """Some servers treat underscores as hyphens."""
        connection = Connection(self.system.site)
        connection.send(b"GET /v2.1 HTTP/1.1\r\nHost: localhost\r\nX_Forwarded_For: 127.0.0.1\r\n\r\n")
        self.assertEqual([answer.status for answer in connection.answers()], [403])

    def test_headers_of_clients(self) -> None:
        """Header fields of curl and of the OpenStack clients are not taken for those of a proxy."""
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate, zstd",
            "Accept-Language": "de",
            "Authorization": "Basic eDp5",
            "Cache-Control": "no-cache",
            "Connection": "close",
            "OpenStack-API-Version": "compute 2.6",
            "Origin-Agent-Cluster": "?1",
            "Traceparent": "00-0-0-00",
            "User-Agent": "python-novaclient",
            "X-Auth-Project-Id": "red",
            "X-Auth-Token": "notused",
            "X-OpenStack-Nova-API-Version": "2.6",
            "X-OpenStack-Request-ID": "req-1",
            "X-Service-Token": "x",
        }
        self.assertEqual(self.system.get("/v2.1/servers", **headers).status, 200)

    def test_a_bare_proxy_pass_of_nginx(self) -> None:
        """nginx before 1.29.7 sends the upstream's name as Host, adds no field, and uses HTTP/1.0."""
        for path in (b"/", b"/v2.1/servers", b"/identity/v3"):
            connection = Connection(self.system.site)
            connection.send(b"GET " + path + b" HTTP/1.0\r\nHost: 127.0.0.1:8774\r\nConnection: close\r\n\r\n")
            self.assertEqual([answer.status for answer in connection.answers()], [403])

    def test_the_host_of_an_absolute_target_counts(self) -> None:
        for target, host, status in (
            ("http://localhost:8774/v2.1/servers", "localhost:8774", 200),
            ("HTTP://127.0.0.1:8774/v2.1/servers", "evil.example", 200),
            ("http://evil.example/v2.1/servers", "localhost:8774", 403),
            ("http://evil.example", "localhost:8774", 403),
        ):
            self.assertEqual(self.system.get(target, Host=host).status, status, (target, host))

    def test_tokens_are_ignored(self) -> None:
        for headers in ({}, {"X_Auth_Token": "notused"}, {"Authorization": "Basic !"}):
            self.assertEqual(self.system.get("/v2.1/servers", **headers).status, 200)

    def test_every_log_in_succeeds(self) -> None:
        answer = self.system.post(TOKENS, log_in("me", "x", "any"))
        self.assertEqual((answer.status, answer["x-subject-token"]), (201, "notused"))
        self.assertEqual(answer.body["token"]["catalog"][0]["endpoints"][0]["url"], "http://localhost:8774/v2.1")
