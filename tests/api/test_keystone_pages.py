"""The pages below ``/console/`` for the users of a simulated Keystone."""

import json
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.identity import KeystoneUsers
from novnc_twisted.keystone import Answer
from tests.api.harness import FakeHost, FakeReactor, instance, running, uuid_of
from tests.api.test_portal import ORIGIN
from tests.http.harness import Answer as Response
from tests.http.harness import Connection
from tests.support.handed_out import secret
from tests.support.identity import token_body

PASSWORD = "r3d:päss"


class FakeKeystone:
    """A Keystone with the user alice of the domain Default; see IKeystone.

    :ivar roles: the roles of alice by project id.
    :ivar tokens: the valid tokens, each with the body that describes it.
    :ivar asked: method and path of each request.
    """

    def __init__(self) -> None:
        self.roles = {"red-id": ("member",), "blue-id": ("reader",)}
        self.tokens: dict[str, Any] = {}
        self.credentials: dict[str, Any] = {}
        self.asked: list[tuple[str, str]] = []
        self.error: Exception | None = None
        self.silent = False

    def request(self, method: str, path: str, **more: Any) -> "Deferred[Answer]":
        self.asked.append((method, path.partition("?")[0]))
        result: Deferred[Answer] = Deferred()
        if self.error is not None:
            result.errback(self.error)
        elif not self.silent:
            work = {"POST": self._make, "GET": self._show, "DELETE": self._revoke}[method]
            result.callback(work(path, **more))
        return result

    def _make(
        self, path: str, *, json: Mapping[str, Any], authenticated: bool, headers: Mapping[str, str] | None = None
    ) -> Answer:
        assert not authenticated
        if path == "/users/alice-id/application_credentials":
            return self._credential(json["application_credential"], headers or {})
        identity, scope = json["auth"]["identity"], json["auth"].get("scope")
        if identity["methods"] == ["application_credential"]:
            known = self.credentials.get(identity["application_credential"]["id"])
            if known is None or known["secret"] != identity["application_credential"]["secret"]:
                return Answer(401, {})
            return self._token(known["project"]) if known["project"] in self.roles else Answer(401, {})
        user = {"name": "alice", "domain": {"name": "Default"}, "password": PASSWORD}
        right = identity.get("token", {}).get("id") in self.tokens or identity.get("password", {}).get("user") == user
        project = None if scope == "unscoped" else scope["project"]["id"]
        if not right or (project is not None and project not in self.roles):
            return Answer(401, {"error": {"code": 401}})
        return self._token(project)

    def _credential(self, wanted: Mapping[str, Any], headers: Mapping[str, str]) -> Answer:
        project = self.tokens[headers["X-Auth-Token"]]["token"]["project"]["id"]
        made = {
            **wanted,
            "id": f"ac{len(self.asked)}",
            "secret": secret(f"ac-secret-{uuid.uuid4()}"),
            "project": project,
        }
        self.credentials[made["id"]] = made
        return Answer(201, {"application_credential": made})

    def _token(self, project: str | None) -> Answer:
        token = f"gAAAAAB-{len(self.asked)}-{project}"
        name = project and project.removesuffix("-id")
        self.tokens[token] = token_body(
            project=project, project_name=name, roles=self.roles.get(project or "", ()), expires_at=7200
        )
        return Answer(201, self.tokens[token], token)

    def _show(self, path: str, *, headers: Mapping[str, str], authenticated: bool = True) -> Answer:
        if path == "/auth/projects":
            if headers["X-Auth-Token"] not in self.tokens:
                return Answer(401, {})
            rows = [{"id": id, "name": id.removesuffix("-id"), "domain_id": "default"} for id in self.roles]
            return Answer(200, {"projects": rows})
        found = self.tokens.get(headers["X-Subject-Token"])
        return Answer(200, found) if found else Answer(404, {})

    def _revoke(self, path: str, *, headers: Mapping[str, str], authenticated: bool) -> Answer:
        if path.startswith("/users/alice-id/application_credentials/"):
            assert headers["X-Auth-Token"] in self.tokens
            del self.credentials[path.rpartition("/")[2]]
            return Answer(204, None)
        del self.tokens[headers["X-Subject-Token"]]
        return Answer(204, None)


class KeystonePages(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.keystone = FakeKeystone()
        auth = KeystoneUsers(self.reactor, self.keystone, identity_url="https://k/v3", now=self.reactor.seconds)
        servers = [instance(f"{name}-vm", project_id=f"{name}-id", project_name=name) for name in ("red", "blue")]
        self.host = FakeHost("host1", *servers)
        self.system = running(self, auth, self.host, reactor=self.reactor)
        self.cookie = ""

    def visit(self, path: str = "/console/", **headers: str) -> Response:
        return self.system.get(path, Cookie=f"novnc_login={self.cookie}", **headers)

    def submit(self, path: str, origin: str = ORIGIN, /, **form: str) -> Response:
        return self.system.ask(
            "POST",
            path,
            urlencode(form).encode(),
            Content_Type="application/x-www-form-urlencoded",
            Origin=origin,
            Cookie=f"novnc_login={self.cookie}",
        )

    def log_in(self, **more: str) -> Response:
        form = {"user": "alice", "password": PASSWORD, "domain": "Default"} | more
        answer = self.submit("/console/login", **form)
        if answer.status == 303:
            self.cookie = answer["set-cookie"].partition(";")[0].removeprefix("novnc_login=")
        return answer

    def stored(self) -> str:
        return json.dumps([entry.text for entry in self.system.transport.store._entries.values()])


class LogInTests(KeystonePages):
    def test_one_project_needs_no_choice(self) -> None:
        del self.keystone.roles["blue-id"]
        form = self.visit("/console/?name=r").raw
        self.assertIn(b'name="domain"', form)
        answer = self.log_in(next="/console/?name=r")
        self.assertEqual((answer.status, answer["location"]), (303, "/console/?name=r"))
        self.assertEqual(answer["set-cookie"].split("; ")[1:], ["Max-Age=7200", "Path=/", "HttpOnly", "SameSite=Lax"])
        page = self.visit().raw
        self.assertIn(b"red-vm", page)
        self.assertNotIn(b"blue-vm", page)
        self.assertIn(b"alice-id, project red", page)

    def test_a_project_is_chosen_and_changed(self) -> None:
        self.log_in()
        answer = self.visit("/console/?name=vm")
        self.assertEqual((answer.status, answer["location"]), (303, "/console/project?next=%2Fconsole%2F%3Fname%3Dvm"))
        self.assertEqual(self.visit("/console/v1/servers").status, 403)
        choice = self.visit(answer["location"]).raw
        self.assertLess(choice.index(b'value="blue-id"'), choice.index(b'value="red-id"'))
        answer = self.submit("/console/project", project="red-id", next="/console/?name=vm")
        self.assertEqual((answer.status, answer["location"]), (303, "/console/?name=vm"))
        self.assertIn(b"red-vm", self.visit().raw)
        self.assertIn(b'value="red-id" aria-current="true"', self.visit("/console/project").raw)
        self.submit("/console/project", project="blue-id")
        self.assertEqual([one["name"] for one in self.visit("/console/v1/servers").body["servers"]], ["blue-vm"])
        self.assertEqual(self.submit("/console/project", project="green-id").status, 403)
        self.assertEqual(self.submit("/console/project", "http://evil", project="red-id").status, 403)
        self.assertIn(b"blue-vm", self.visit().raw)

    def test_a_project_by_name(self) -> None:
        self.log_in(project="blue")
        self.assertIn(b"blue-vm", self.visit().raw)
        self.assertEqual(self.log_in(project="green").status, 401)

    def test_the_cookie_opens_consoles_with_the_rights_of_the_role(self) -> None:
        path = {name: f"/console/servers/{uuid_of(name + '-vm')}/open" for name in ("red", "blue")}
        self.log_in(project="red")
        self.assertEqual(self.submit(path["red"]).status, 303)
        self.assertEqual(self.submit(path["red"], "http://evil").status, 403)
        self.log_in(project="blue")
        self.assertEqual(self.submit(path["blue"]).status, 403)  # a reader

    def test_a_reader_is_offered_no_console(self) -> None:
        consoles = f"/console/split?server={uuid_of('red-vm')}&server={uuid_of('blue-vm')}"
        self.log_in(project="red")
        page = self.visit().raw
        self.assertEqual((b"Open console" in page, b"data-reads-only" in page), (True, False))
        self.log_in(project="blue")
        page = self.visit().raw
        self.assertIn(b"blue-vm", page)
        self.assertEqual((b"Open console" in page, b"data-reads-only" in page), (False, True))
        answer = self.visit(consoles)
        self.assertEqual(answer.status, 403)
        self.assertIn(b"A user with the role reader cannot open consoles", answer.raw)

    def test_a_reader_is_offered_no_api_token(self) -> None:
        self.log_in(project="red")
        self.assertEqual(self.submit("/console/account/tokens", name="backup").status, 200)
        for project, offered in (("red-id", True), ("blue-id", False)):
            self.submit("/console/project", project=project)
            page = self.visit("/console/account").raw
            self.assertIn(b"backup", page)
            for form in (b"/console/account/tokens", b"/console/account/revoke"):
                self.assertEqual(form in page, offered, (project, form))

    def test_nothing_readable_leaves_the_server(self) -> None:
        answer = self.log_in(project="red")
        sent = answer.raw + str(answer.headers).encode() + self.visit().raw + self.stored().encode()
        for text in (*self.keystone.tokens, PASSWORD):
            self.assertNotIn(text.encode(), sent)
        self.assertNotIn(self.cookie, self.stored())
        for token in self.keystone.tokens:
            self.assertEqual(self.system.get("/console/v1/servers", Cookie=f"novnc_login={token}").status, 401)
        self.assertEqual(self.system.get("/v2.1/servers", X_Auth_Token=self.cookie).status, 401)


class EndTests(KeystonePages):
    def setUp(self) -> None:
        super().setUp()
        self.log_in(project="red")

    def logged_out(self) -> bool:
        return b'name="password"' in self.visit().raw

    def test_a_revoked_token_ends_it_within_the_time_of_the_cache(self) -> None:
        self.assertFalse(self.logged_out())
        self.keystone.tokens.clear()
        self.reactor.advance(5)
        path = f"/console/servers/{uuid_of('red-vm')}/open"
        self.assertEqual(self.submit(path).status, 401)
        self.assertTrue(self.logged_out())

    def test_a_revoked_token_chooses_no_project(self) -> None:
        """The user is asked to log in again, and no message says that a role is missing."""
        answer = self.submit("/console/project", project="green-id")
        self.assertEqual((answer.status, b"You have no role in this project" in answer.raw), (403, True))
        self.keystone.tokens.clear()
        answer = self.submit("/console/project", project="blue-id", next="/console/?name=vm")
        self.assertEqual((answer.status, b"You have no role" in answer.raw), (200, False))
        self.assertIn(b'name="password"', answer.raw)
        self.assertIn(b'value="/console/?name=vm"', answer.raw)

    def test_a_lost_role_says_so(self) -> None:
        for body in self.keystone.tokens.values():
            body["token"]["roles"] = []
        answer = self.visit()
        self.assertEqual((answer.status, b"None of your roles in this project" in answer.raw), (403, True))
        self.assertIn(b'href="/console/project"', answer.raw)

    def test_what_ends_event_streams(self) -> None:
        """A log-out or a change of project ends a stream within seconds; that of another browser goes on."""
        self.log_in(project="red-id")
        other = self.stream()
        self.log_in(project="red-id")
        for end in (
            lambda: self.submit("/console/project", project="blue-id"),
            lambda: self.submit("/console/logout"),
        ):
            stream = self.stream()
            self.reactor.pump([0.5] * 30)
            self.assertFalse(self.ended(stream))
            end()
            self.reactor.pump([0.5] * 30)
            self.assertEqual((self.ended(stream), self.ended(other)), (True, False))

    def stream(self) -> Connection:
        return self.system.send("GET", "/console/v1/events", Cookie=f"novnc_login={self.cookie}")

    def ended(self, stream: Connection) -> bool:
        return stream.transport.value().endswith(b"0\r\n\r\n")

    def test_log_out_while_keystone_is_down(self) -> None:
        self.keystone.error = ServiceUnavailable("it does not answer")
        self.assertEqual(self.submit("/console/logout").status, 303)
        self.assertTrue(self.logged_out())

    def test_log_out_everywhere(self) -> None:
        ahead = self.patch(self.system.site.application._logins, "_now", lambda: self.reactor.seconds() + 30)
        elsewhere = self.log_in(project="red") and self.cookie
        ahead.restore()
        self.log_in(project="blue")
        self.submit("/console/logout/everywhere")
        self.assertTrue(self.logged_out())
        self.cookie = elsewhere
        self.assertTrue(self.logged_out())
        self.reactor.advance(1)
        self.log_in(project="red")
        self.assertFalse(self.logged_out())

    def test_an_idle_log_in_ends_and_a_used_one_ends_with_the_token(self) -> None:
        self.reactor.advance(3000)
        self.assertFalse(self.logged_out())
        self.reactor.advance(3000)
        self.assertFalse(self.logged_out())
        self.reactor.advance(1300)
        self.assertTrue(self.logged_out())
        self.log_in(project="red")
        self.reactor.advance(3601)
        self.assertTrue(self.logged_out())

    def test_nonsense_in_the_store(self) -> None:
        store = self.system.transport.store
        (key,) = [key for key in store._entries if key.startswith("api:session:")]
        for value in ({}, {"box": 1}, {"box": "x"}, {"box": ["x"]}):
            self.successResultOf(store.put(key, value, 60))
            self.assertTrue(self.logged_out())
