"""The API's URL in links, for absolute request targets and behind trusted proxies; paths in the log."""

from collections.abc import Iterable
from typing import Any

from novnc_twisted.identity import HTTPBasic
from tests.api.harness import instance, running, uuid_of
from tests.api.users import TOKENS, UsersCase, basic, log_in
from tests.support.logged import Logged

ALICE = {"Authorization": basic("alice", "r3d:pass")}
PASTED = (
    "/s3cret",
    "/vnc_auto.html/s3cret",
    "/%3Ftoken%3Ds3cret",
    "/v2.1/s3cret",
    "/v2.1/s3cret/s3cret",
    "/v2.1/servers/red/s3cret",
    "/v2.1/os-console-auth-tokens/s3cret/s3cret",
    "/v2/os-console-auth-token%73/s3cret",
    "/console/s3cret",
    "/console/servers/s3cret/s3cret",
    "/console/assets/s3cret",
    "/console/login/s3cret",
    "/console/account/s3cret",
    "/console/v1/s3cret",
    "/console/v1/tokens/s3cret",
    "/console/v9/s3cret",
    "/identity/v3/auth/tokens/s3cret",
    "/image/v2/images/s3cret",
    "s3cret",
)
ROOT_USER = {"Authorization": basic("root", "toor")}


class AbsoluteTests(UsersCase):
    """Targets in absolute form: their host counts, and the Host field is ignored (RFC 9112, section 3.2.2)."""

    def test_served(self) -> None:
        for target in ("http://api.example:8774/v2.1", "HTTPS://api.example:8774/v2.1"):
            answer = self.system.get(target, Host="other.example")
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.body["version"]["links"][0]["href"], "http://api.example:8774/v2.1/")

    def test_with_a_query(self) -> None:
        answer = self.system.get("http://api.example/v2.1/servers?name=blue", **ROOT_USER)
        self.assertEqual([server["name"] for server in answer.body["servers"]], ["blue-vm"])

    def test_without_a_path(self) -> None:
        for target in ("http://api.example", "http://api.example/", "http://[2001:db8::1]:8774?a=b"):
            self.assertEqual(len(self.system.get(target).body["versions"]), 2)

    def test_a_post(self) -> None:
        self.assertEqual(self.system.post("http://api.example" + TOKENS, log_in("alice", "r3d:pass")).status, 201)

    def test_no_token_in_the_log(self) -> None:
        log = Logged(self)
        self.system.get("http://api.example/v2.1/os-console-auth-tokens/s3cret?token=s3cret", **ALICE)
        self.assertEqual(log.lines("s3cret"), [])
        self.assertTrue(log.lines("/v2.1/os-console-auth-tokens/***"))


class LoggedPathTests(UsersCase):
    """Paths of requests in the log: a token that a user pasted into a path is not shown."""

    def test_pasted_tokens(self) -> None:
        log = Logged(self)
        for path in PASTED:
            for headers in ({}, ALICE, {**ALICE, "Referer": "http://localhost/s3cret?token=s3cret"}):
                for method in ("GET", "POST", "DELETE"):
                    self.system.ask(method, path, None, **headers)
        self.assertEqual(log.lines("s3cret"), [])
        self.assertTrue(log.lines("/console/servers/***/*** 404"))

    def test_known_paths(self) -> None:
        """Variable segments of routes are shown, except where a token may be."""
        log = Logged(self)
        application = self.system.site.application
        for base, router in (("/v2.1", application.compute.router), ("/v2/red", application.compute.router)):
            self.are_shown(log, base, router.table - {("GET", "os-console-auth-tokens/{}")})
        self.are_shown(log, "/console/v1", application.console.router.table - {("DELETE", "tokens/{}")})
        self.are_shown(log, "/console", {("GET", "servers/{}"), ("POST", "servers/{}/open"), ("GET", "login")})
        self.are_shown(log, "/identity", {("GET", "v3"), ("POST", "v3/auth/tokens")})

    def are_shown(self, log: Logged, base: str, table: Iterable[tuple[str, str]]) -> None:
        for method, pattern in table:
            path = f"{base}/{pattern.replace('{}', uuid_of('red-vm'))}"
            self.system.ask(method, path, None)
            self.assertTrue(log.lines(f"{method} {path} "), path)


class PrefixTests(UsersCase):
    """Links contain X-Forwarded-Proto and X-Forwarded-Prefix of a trusted proxy."""

    def setUp(self) -> None:
        super().setUp()
        self.hosts[0].instances |= {uuid_of(name): instance(name) for name in ("one", "two")}
        auth = HTTPBasic(self.reactor, self.file, admin_users=["root"])
        self.system = running(self, auth, *self.hosts, reactor=self.reactor, trusted_proxies=["127.0.0.1"])

    def link(self, **headers: str) -> str:
        return str(self.system.get("/v2.1", **headers).body["version"]["links"][0]["href"])

    def test_every_link(self) -> None:
        base = "https://localhost:8774/cloud/compute"
        headers: dict[str, Any] = {"X_Forwarded_Proto": "https", "X_Forwarded_Prefix": "/cloud/compute"}
        bodies = [
            self.system.get(path, **ROOT_USER, **headers).body
            for path in (
                "/",
                "/v2.1",
                "/v2",
                "/else",
                "/v2.1/servers?limit=1",
                "/v2.1/servers/detail?limit=1",
                "/v2.1/servers/" + uuid_of("one"),
                "/v2.1/red/servers?limit=1",
                "/v2.1/flavors",
                "/identity",
                "/identity/v3",
                "/image",
            )
        ]
        login = self.system.post(TOKENS, log_in("root", "toor", "red"), **headers)
        bodies.append(login.body)
        found = [url for body in bodies for url in urls(body) if "docs.openstack.org" not in url]
        self.assertGreater(len(found), 30)
        self.assertEqual([url for url in found if not url.startswith(base + "/")], [])
        refused = self.system.get("/v2.1/servers", **headers)
        self.assertEqual(refused["www-authenticate"], f'Keystone uri="{base}/identity"')

    def test_usable_prefixes(self) -> None:
        for prefix, shown in (("/compute/", "/compute"), ("/", ""), ("/a/b-c_d.e~f", "/a/b-c_d.e~f"), ("/...", "/...")):
            self.assertEqual(self.link(X_Forwarded_Prefix=prefix), f"http://localhost:8774{shown}/v2.1/")

    def test_malformed_prefixes_are_ignored(self) -> None:
        for prefix in (
            "compute",
            "//evil.example",
            "/a//b",
            "/../x",
            "/a/..",
            "/./a",
            "/a, /b",
            "/a?b",
            "/a#b",
            "/a%2e",
            "/a:b@c",
            '/a"><script>',
            "/a\x85b",
            "/\\evil.example",
            "http://evil.example",
            "/" + "a" * 256,
            "",
        ):
            self.assertEqual(self.link(X_Forwarded_Prefix=prefix), "http://localhost:8774/v2.1/", prefix)

    def test_two_prefixes(self) -> None:
        connection = self.system.send("GET", "/v2.1", X_Forwarded_Prefix="/a\r\nX-Forwarded-Prefix: /b")
        (answer,) = connection.answers()
        self.assertEqual(answer.body["version"]["links"][0]["href"], "http://localhost:8774/v2.1/")

    def test_schemes(self) -> None:
        self.assertEqual(self.link(X_Forwarded_Proto="https"), "https://localhost:8774/v2.1/")
        for proto in ("javascript", "https, http", "", "https://evil.example/"):
            self.assertEqual(self.link(X_Forwarded_Proto=proto), "http://localhost:8774/v2.1/")

    def test_headers_of_other_clients_are_ignored(self) -> None:
        self.system.peer = "192.0.2.7"
        headers = {"X_Forwarded_Proto": "https", "X_Forwarded_Prefix": "/compute"}
        self.assertEqual(self.link(**headers), "http://localhost:8774/v2.1/")


def urls(value: Any) -> list[str]:
    """Return every absolute URL in a body."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [url for item in value for url in urls(item)]
    return [value] if isinstance(value, str) and value.startswith("http") else []
