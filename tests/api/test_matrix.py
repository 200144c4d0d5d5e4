"""For every route of the Compute API, servers of other projects do not exist (see CVE-2026-115373).

The rows are compared with the API's table of routes, so that a new route without a row fails.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

from tests.api.harness import uuid_of
from tests.api.users import TOKENS, UsersCase, log_in
from tests.http.harness import Answer

VERSIONS = ("2.1", "2.5", "2.6", "2.31")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")


class Row(NamedTuple):
    """A route, and requests for it.

    :ivar what: ``server``: the path has the id of a server; ``list``: the route lists what the caller may see;
        ``admin``: for administrators only; ``size``: the path has the id of a flavor.
    :ivar body: a valid body.
    :ivar version: a microversion that has the route.
    """

    what: str
    body: Any = None
    version: str = "2.31"


ROWS = {
    ("GET", "servers"): Row("list"),
    ("GET", "servers/detail"): Row("list"),
    ("GET", "servers/{}"): Row("server"),
    ("POST", "servers/{}/action"): Row("server", {"os-getVNCConsole": {"type": "novnc"}}, "2.1"),
    ("POST", "servers/{}/remote-consoles"): Row("server", {"remote_console": {"protocol": "vnc", "type": "xvpvnc"}}),
    ("GET", "os-console-auth-tokens/{}"): Row("admin"),
    ("GET", "os-services"): Row("admin"),
    ("GET", "flavors"): Row("list"),
    ("GET", "flavors/detail"): Row("list"),
    ("GET", "flavors/{}"): Row("size"),
    ("GET", "flavors/{}/os-extra_specs"): Row("size"),
}


class MatrixTests(UsersCase):
    """alice of project red asks for a server of blue, one without a project, and one that does not exist."""

    def setUp(self) -> None:
        super().setUp()
        blue = self.hosts[0].instances[uuid_of("blue-vm")]
        blue |= {"vcpus": 77, "memory_mb": 77777}
        self.alice = {"X_Auth_Token": self.token()}

    def rows(self, *kinds: str) -> Iterator[tuple[str, str, Row]]:
        for (method, pattern), row in ROWS.items():
            if row.what in kinds:
                yield method, pattern, row

    def ask(self, method: str, path: str, row: Row, version: str | None = None, **headers: str) -> Answer:
        sent = self.alice | {"X_OpenStack_Nova_API_Version": version or row.version} | headers
        return self.system.ask(method, path, row.body, **sent)

    def nothing_foreign(self, answer: Answer, where: object) -> None:
        """Assert that a response has no name, id or size of a server outside of project red."""
        for secret in ("blue-vm", "blue-id", "nobodys", "77vcpu", "77777", uuid_of("blue-vm")[:23]):
            self.assertNotIn(secret.encode(), answer.raw, where)

    def test_every_route_has_a_row(self) -> None:
        self.assertEqual(set(ROWS), self.system.site.application.compute.router.table)

    def test_a_server_of_the_own_project(self) -> None:
        """The requests of the rows are correct; otherwise a 404 would prove nothing."""
        for method, pattern, row in self.rows("server"):
            path = f"/v2.1/{pattern.replace('{}', uuid_of('red-vm'))}"
            self.assertEqual(self.ask(method, path, row).status, 200, path)

    def test_a_server_of_another_project(self) -> None:
        """The response equals that for a server that does not exist, at every version and prefix."""
        tokens = len(self.system.consoleauth.tokens)
        for method, pattern, row in self.rows("server"):
            for prefix in ("/v2.1", "/v2.1/red", "/v2"):
                for version in VERSIONS:
                    answers = []
                    for name in ("blue-vm", "nobodys", "never-was"):
                        path = f"{prefix}/{pattern.replace('{}', uuid_of(name))}"
                        answer = self.ask(method, path, row, version)
                        text = answer.raw.decode().replace(uuid_of(name), "ID")
                        answers.append((answer.status, text))
                    self.assertEqual(len(set(answers)), 1, answers)
                    gone = "no such action" in answers[0][1]  # at this version, for every user
                    self.assertEqual(answers[0][0], 400 if gone else 404, (path, version, answers))
        for name in ("blue-vm", "nobodys"):
            self.assertEqual([asked for asked in self.hosts[0].asked if asked[0] == uuid_of(name)], [])
        self.assertEqual(len(self.system.consoleauth.tokens), tokens)

    def test_spellings_of_an_id(self) -> None:
        identity = uuid_of("blue-vm")
        for method, pattern, row in self.rows("server"):
            for written in (
                identity.upper(),
                identity.replace("-", ""),
                f"{{{identity}}}",
                f"urn:uuid:{identity}",
                f" {identity}",
                f"{identity}\0",
                f"{identity}/../{uuid_of('red-vm')}",
                "blue-vm",
                "*",
                "..",
            ):
                path = f"/v2.1/{pattern.replace('{}', quote(written, safe=''))}"
                self.assertEqual(self.ask(method, path, row).status, 404, path)

    def test_methods_without_a_route(self) -> None:
        """The same response for a server of the caller's project, of another one, and one that does not exist."""
        table = self.system.site.application.compute.router.table
        for pattern in {pattern for _, pattern in table}:
            for method in METHODS:
                if (method, pattern) in table or (method == "HEAD" and ("GET", pattern) in table):
                    continue
                seen = set()
                for name in ("red-vm", "blue-vm", "never-was"):
                    answer = self.ask(method, f"/v2.1/{pattern.replace('{}', uuid_of(name))}", Row(""))
                    seen.add((answer.status, answer.raw))
                self.assertEqual([status for status, _ in seen], [405], (method, pattern))

    def test_head_reveals_no_more_than_get(self) -> None:
        for name, status in (("red-vm", 200), ("blue-vm", 404), ("never-was", 404)):
            connection = self.system.send("HEAD", f"/v2.1/servers/{uuid_of(name)}", **self.alice)
            self.assertTrue(connection.transport.value().startswith(b"HTTP/1.1 %d " % status), name)

    def test_lists(self) -> None:
        """They contain no server of another project, with any query."""
        blue = uuid_of("blue-vm")
        for method, pattern, row in self.rows("list"):
            for query in (
                "",
                "?all_tenants=1",
                "?all_tenants=true&project_id=blue",
                "?project_id=blue-id",
                "?tenant_id=blue",
                "?name=blue-vm",
                "?name=",
                "?host=host1",
                f"?uuid={blue}",
                "?is_public=None",
                "?limit=1000",
                f"?marker={blue}",
                "?marker=77vcpu-77777mb",
                "?project_id=red&project_id=blue",
                "?deleted=False&changes-since=1970-01-01",
            ):
                path = f"/v2.1/{pattern}{query}"
                answer = self.ask(method, path, row)
                self.assertIn(answer.status, (200, 400), path)
                if answer.status == 400:
                    self.assertIn(
                        f"marker [{blue}] not found".encode(), answer.raw.replace(b"77vcpu-77777mb", blue.encode())
                    )
                else:
                    self.nothing_foreign(answer, path)

    def test_routes_for_administrators(self) -> None:
        """The response does not reveal whether a token is valid: the status is 403 in both cases."""
        url = self.ask(
            "POST", f"/v2.1/servers/{uuid_of('red-vm')}/remote-consoles", ROWS["POST", "servers/{}/remote-consoles"]
        )
        good = url.body["remote_console"]["url"].partition("token=")[2]
        for method, pattern, row in self.rows("admin"):
            seen = {
                self.ask(method, f"/v2.1/{pattern.replace('{}', token)}", row).raw for token in (good, uuid_of("x"))
            }
            self.assertEqual(len(seen), 1)
            self.assertEqual(self.ask(method, f"/v2.1/{pattern.replace('{}', good)}", row).status, 403)

    def test_a_flavor_reveals_no_server(self) -> None:
        """The details of a flavor follow from its id, whether a server has it or not."""
        for method, pattern, row in self.rows("size"):
            for identity in ("77vcpu-77777mb", "78vcpu-77777mb"):
                self.assertEqual(self.ask(method, f"/v2.1/{pattern.replace('{}', identity)}", row).status, 200)

    def test_the_project_of_the_path(self) -> None:
        """A project in the path gives no access to it."""
        for (method, pattern), row in ROWS.items():
            for project in ("blue", "blue-id"):
                answer = self.ask(method, f"/v2.1/{project}/{pattern.replace('{}', uuid_of('blue-vm'))}", row)
                self.assertEqual(answer.status, 400, (method, pattern))
                self.assertIn(b"doesn't match Context's project_id 'red'", answer.raw)

    def test_the_token_of_another_user(self) -> None:
        """A token of the identity service is shown to its user and to administrators."""
        boris = self.system.post(TOKENS, log_in("boris", "r3d:pass"))["x-subject-token"]
        self.assertEqual(self.system.get(TOKENS, X_Subject_Token=boris, **self.alice).status, 404)
        for method in ("DELETE", "PUT", "PATCH"):
            self.assertEqual(self.system.ask(method, TOKENS, X_Subject_Token=boris, **self.alice).status, 405)
        self.assertEqual(self.names(X_Auth_Token=boris), ["blue-vm"], "the token is still valid")

    def test_no_other_resources(self) -> None:
        """The identity and image services list no users, projects or anything else."""
        for path in (
            "/identity/v3/users",
            "/identity/v3/users/boris",
            "/identity/v3/projects",
            "/identity/v3/auth/projects",
            "/identity/v3/auth/catalog",
            "/identity/v3/credentials",
            "/identity/v2.0/tokens",
            "/identity/v3/auth/tokens/x",
            "/image/v2/images/x",
            "/image/v1/images",
        ):
            for method in METHODS:
                if method != "HEAD":
                    self.assertEqual(self.system.ask(method, path, **self.alice).status, 404, (method, path))


class AnonymousTests(UsersCase):
    """Without a log-in, every path is answered with 401."""

    def test_every_route(self) -> None:
        paths = [
            (method, f"/v2.1/{pattern.replace('{}', uuid_of('red-vm'))}", row.body)
            for (method, pattern), row in ROWS.items()
        ]
        paths += [(method, "/v2.1/nothing/here", None) for method in METHODS if method != "HEAD"]
        for method, path, body in paths:
            for version in VERSIONS:
                self.refused(self.system.ask(method, path, body, X_OpenStack_Nova_API_Version=version))
                self.refused(self.system.ask(method, path.replace("/v2.1", "/v2.1/red"), body))
                self.refused(self.system.ask(method, path.replace("/v2.1", "/v2"), body))
        self.assertEqual((self.hosts[0].asked, self.system.consoleauth.tokens), ([], {}))
