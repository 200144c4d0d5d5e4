"""The console API: live sessions, revocations and links; rights, and services that do not answer."""

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.access import hash_token
from novnc_twisted.access.tokens import link_id
from novnc_twisted.contract.ended_session import EndedSession
from novnc_twisted.contract.session_info import SessionInfo
from novnc_twisted.identity.users import Caller
from tests.api.harness import uuid_of
from tests.api.users import UsersCase, basic
from tests.http.harness import Answer
from tests.session.workers import SERVER, Worker, worker

ALICE = {"Authorization": basic("alice", "r3d:pass")}
BORIS = {"Authorization": basic("boris", "r3d:pass")}
ROOT = {"Authorization": basic("root", "toor")}
RED, BLUE = "1" * 32, "2" * 32
TOKEN_HASH = "0a" * 32


class ConsoleCase(UsersCase):
    """alice of project red has a session; the administrator root has one with a server of project blue-id."""

    def setUp(self) -> None:
        super().setUp()
        self.worker = self.start("edge1")
        self.worker.add(RED)
        self.worker.add(BLUE, user_id="root", project_id="admin", owners=("blue-id", "blue"), mode="view")

    def start(self, host: str) -> Worker:
        return self.successResultOf(Deferred.fromCoroutine(worker(self.system.transport, host)))

    def ask(self, method: str, path: str, body: Any = None, who: dict[str, str] = ROOT) -> Answer:
        return self.system.ask(method, f"/console/v1/{path}", body, **who)

    def ids(self, path: str = "sessions", who: dict[str, str] = ROOT) -> list[str]:
        answer = self.ask("GET", path, who=who)
        self.assertEqual(answer.status, 200)
        return [session["id"][0] for session in answer.body["sessions"]]

    def fault(self, answer: Answer, status: int, name: str) -> str:
        self.assertEqual((answer.status, list(answer.body)), (status, [name]))
        return str(answer.body[name]["message"])

    @property
    def changes(self) -> list[tuple[str, dict[str, Any]]]:
        return self.system.consoleauth.changes


class ListTests(ConsoleCase):
    def test_a_session(self) -> None:
        answer = self.ask("GET", f"sessions/{RED}", who=ALICE)
        self.assertEqual(
            (answer.status, answer.body),
            (
                200,
                {
                    "session": {
                        "id": RED,
                        "server_id": SERVER,
                        "server_name": "myserver20",
                        "user_id": "alice",
                        "project_id": "red",
                        "console_type": "novnc",
                        "mode": "control",
                        "client_address": "192.0.2.7",
                        "proxy": "edge1",
                        "compute_host": "one",
                        "phase": "live",
                        "started_at": "1970-01-01T00:00:01.500Z",
                        "last_input_at": None,
                        "bytes_in": 0,
                        "bytes_out": 0,
                        "recording": False,
                    }
                },
            ),
        )
        internal = {
            "admission",
            "owners",
            "token_hash",
            "right",
            "control_since",
            "administrator",
            "has_page",
            "shared_from",
        }
        self.assertEqual(set(answer.body["session"]) | internal, set(SessionInfo.wire_names()))

    def test_what_is_not_known(self) -> None:
        """The token is still being checked, and the viewer came through a unix socket."""
        self.worker.add("4" * 32, server_id="", server_name="", client_address="", phase="token", owners=None)
        session = self.ask("GET", "sessions/" + "4" * 32).body["session"]
        self.assertEqual([session[name] for name in ("server_id", "server_name", "client_address")], [None] * 3)

    def test_whose_sessions(self) -> None:
        """Members see the sessions of all users with their project's servers; administrators see all sessions."""
        self.assertEqual(self.ids(), ["1", "2"])
        self.assertEqual(self.ids(who=ALICE), ["1"])
        self.assertEqual(self.ids(who=BORIS), ["2"])
        self.assertEqual(self.ids("sessions?project_id=red", BORIS), [])
        for method, body in (("GET", None), ("DELETE", None), ("PATCH", {"mode": "view"})):
            message = self.fault(self.ask(method, f"sessions/{BLUE}", body, ALICE), 404, "itemNotFound")
            self.assertEqual(message, f"Session {BLUE} could not be found.")
        self.assertEqual(self.changes, [])

    def test_without_a_project(self) -> None:
        with self.file.open("a") as file:
            file.write(self.file.read_text().splitlines()[0].replace("alice", "carl").removesuffix(":red") + "\n")
        for method, path in (("GET", "sessions"), ("GET", f"sessions/{RED}"), ("POST", "revocations")):
            answer = self.ask(method, path, {"user_id": "alice"}, {"Authorization": basic("carl", "r3d:pass")})
            self.fault(answer, 403, "forbidden")

    def test_a_stranger(self) -> None:
        self.refused(self.ask("GET", "sessions", who={}))

    def test_filters(self) -> None:
        for query, found in (
            ("server_id=" + SERVER.upper(), ["1", "2"]),
            ("user_id=root", ["2"]),
            ("project_id=red", ["1"]),
            ("proxy=edge1", ["1", "2"]),
            ("proxy=edge2", []),
        ):
            self.assertEqual(self.ids(f"sessions?{query}"), found, query)
        for query in ("server_id=x", "limit=0", "limit=-1", "limit=00", "limit=x", "marker=x", "user_id=%00"):
            self.assertIn(query[:5], self.fault(self.ask("GET", f"sessions?{query}"), 400, "badRequest"))

    def test_pages(self) -> None:
        self.start("edge2").add("3" * 32)
        first = self.ask("GET", "sessions?limit=2").body
        self.assertEqual((len(first["sessions"]), first["next"]), (2, BLUE))
        self.assertEqual(self.ids(f"sessions?limit=2&marker={first['next']}"), ["3"])
        self.assertIsNone(self.ask("GET", f"sessions?limit=2&marker={first['next']}").body["next"])
        for limit in ("1000000000", "9" * 5000, "0" * 10 + "3"):
            self.assertEqual(self.ids(f"sessions?limit={limit}"), ["1", "2", "3"])

    def test_a_proxy_does_not_answer(self) -> None:
        silent = self.start("edge2")
        silent.hangs = True
        for path in ("sessions", "sessions/" + "3" * 32):
            connection = self.system.send("GET", f"/console/v1/{path}", **ROOT)
            self.reactor.advance(3.5)
            self.assertIn(silent.manager.topic, self.fault(connection.answers()[0], 503, "serviceUnavailable"))


class EndTests(ConsoleCase):
    def test_it_is_ended_and_its_token_revoked(self) -> None:
        answer = self.ask("DELETE", f"sessions/{RED}?reason=lunch", who=ALICE)
        self.assertEqual((answer.status, answer.raw.partition(b"\r\n\r\n")[2]), (204, b""))
        self.assertEqual(self.changes, [("revoke", {"token_hash": TOKEN_HASH, "reason": "by alice: lunch"})])

    def test_a_proxy_does_not_answer_to_a_change(self) -> None:
        self.system.consoleauth.unanswered = ["proxy.edge2.w"]
        for method, body in (("DELETE", None), ("PATCH", {"mode": "view"})):
            answer = self.ask(method, f"sessions/{RED}", body)
            self.assertIn("No answer from proxy.edge2.w.", self.fault(answer, 503, "serviceUnavailable"))
        answer = self.ask("POST", "revocations", {"user_id": "alice"})
        self.assertIn("No answer from proxy.edge2.w.", self.fault(answer, 503, "serviceUnavailable"))

    def test_rights_are_changed(self) -> None:
        answer = self.ask("PATCH", f"sessions/{RED}", {"mode": "view"}, ALICE)
        self.assertEqual((answer.status, answer.body["session"]["mode"]), (200, "view"))
        self.assertEqual(self.changes, [("set_mode", {"token_hash": TOKEN_HASH, "mode": "view"})])

    def test_it_ended_meanwhile(self) -> None:
        self.system.consoleauth.changed = 0
        self.fault(self.ask("PATCH", f"sessions/{RED}", {"mode": "view"}), 404, "itemNotFound")

    def test_wrong_bodies(self) -> None:
        for body, why in (
            ({}, "'mode' is a required property"),
            ({"mode": "all"}, "not one of control, view"),
            ({"mode": None}, "not one of control, view"),
            ({"mode": "view", "x": 1}, "('x' was unexpected)"),
            ([], "Malformed"),
        ):
            self.assertIn(why, self.fault(self.ask("PATCH", f"sessions/{RED}", body), 400, "badRequest"))


class RevocationTests(ConsoleCase):
    def test_each_selector(self) -> None:
        for body, sent in (
            ({"server_id": SERVER.upper()}, {"server_id": SERVER}),
            ({"user_id": "alice"}, {"user_id": "alice"}),
            ({"project_id": "red"}, {"project_id": "red"}),
            ({"token": "secret"}, {"token_hash": hash_token("secret")}),
        ):
            answer = self.ask("POST", "revocations", {**body, "reason": "leaver"})
            self.assertEqual((answer.status, answer.body), (200, {"sessions": 2, "tokens": 3}))
            self.assertEqual(self.changes.pop(), ("revoke", {**sent, "reason": "by root: leaver"}))

    def test_revocations_of_a_member_are_limited_to_the_project(self) -> None:
        self.assertEqual(self.ask("POST", "revocations", {"user_id": "root"}, ALICE).status, 200)
        self.assertEqual(self.changes, [("revoke", {"user_id": "root", "owner": "red", "reason": "by alice"})])

    def test_wrong_bodies(self) -> None:
        for body in ({}, {"reason": "x"}, {"server_id": SERVER, "user_id": "u"}, {"server_id": "x"}, {"token": ""}, []):
            self.fault(self.ask("POST", "revocations", body), 400, "badRequest")
        self.assertEqual(self.changes, [])

    def test_without_consoleauth(self) -> None:
        self.successResultOf(self.system.undo[-1]())
        answer = self.ask("POST", "revocations", {"user_id": "u"})
        self.assertIn("nobody serves consoleauth", self.fault(answer, 503, "serviceUnavailable"))


class LinkTests(ConsoleCase):
    def create(self, who: dict[str, str] = ALICE, server: str = "red-vm", **body: Any) -> Answer:
        return self.ask("POST", f"servers/{uuid_of(server)}/consoles", body, who)

    def test_a_link(self) -> None:
        answer = self.create(type="novnc", mode="view", expires_in=60, one_time=True, record=False)
        self.assertEqual(answer.status, 200)
        console = answer.body["console"]
        token = console.pop("url").partition("?token=")[2]
        expected = {"id": link_id(hash_token(token)), "mode": "view", "expires_at": "1970-01-01T00:10:00.000Z"} | {
            "expires_in": 600
        }
        self.assertEqual(console, expected)
        asked = self.system.consoleauth.tokens[hash_token(token)]
        self.assertEqual((asked["expires_in"], asked["one_time"], asked["owner"]), (60, True, "red"))
        info = asked["connect_info"]
        self.assertEqual((info["mode"], info["user_id"], info["project_id"]), ("view", "alice", "red"))

    def test_defaults(self) -> None:
        console = self.create(type="xvpvnc").body["console"]
        (asked,) = self.system.consoleauth.tokens.values()
        self.assertEqual((asked["expires_in"], asked["one_time"], console["mode"]), (None, False, "control"))

    def test_a_foreign_server(self) -> None:
        self.fault(self.create(server="blue-vm", type="novnc"), 404, "itemNotFound")
        self.assertEqual(self.create(ROOT, server="blue-vm", type="novnc").status, 200)

    def test_wrong_bodies(self) -> None:
        for body, why in (
            ({}, "'type' is a required property"),
            ({"type": "spice"}, "not one of novnc, xvpvnc"),
            ({"type": "novnc", "mode": "all"}, "mode"),
            ({"type": "novnc", "expires_in": 0}, "not a number of seconds"),
            ({"type": "novnc", "expires_in": "60"}, "not a finite number"),
            ({"type": "novnc", "one_time": 1}, "not true or false"),
            ({"type": "novnc", "record": True}, "not recorded"),
        ):
            self.assertIn(why, self.fault(self.create(**body), 400, "badRequest"))


class HistoryTests(ConsoleCase):
    def test_rows(self) -> None:
        """Members see no detail: it may name addresses inside of the cloud."""
        session = self.worker.sessions[RED].info
        ended = EndedSession(session=session, ended_at=61.0, cause="ConsoleClosed", detail="10.0.0.1 is gone")
        self.system.consoleauth.history = [ended.to_wire()]
        for who, more in ((ALICE, {}), (ROOT, {"detail": "10.0.0.1 is gone"})):
            answer = self.ask("GET", "history", who=who)
            self.assertEqual((answer.status, answer.body["next"]), (200, "0-7"))
            (row,) = answer.body["sessions"]
            live = self.ask("GET", f"sessions/{RED}").body["session"]
            expected = {**live, "ended_at": "1970-01-01T00:01:01.000Z", "cause": "ConsoleClosed", **more}
            self.assertEqual(row, expected | {"proxy": "claimed"})

    def test_filters(self) -> None:
        query = f"server_id={SERVER}&user_id=u&project_id=p&proxy=e&limit=5&marker=0-9"
        times = "since=1970-01-01T00:00:05Z&until=1970-01-01T01:00:10%2B01:00"
        self.ask("GET", f"history?{query}&{times}", who=ALICE)
        self.ask("GET", "history?since=1970-01-02")
        common = {"server_id": SERVER, "user_id": "u", "project_id": "p", "proxy": "e", "limit": 5, "marker": "0-9"}
        (_, asked), (_, defaults) = self.changes
        self.assertEqual(asked, {**common, "since": 5.0, "until": 10.0, "owner": "red"})
        self.assertEqual(defaults, {"limit": 1000, "marker": "", "since": 86400.0})

    def test_wrong_queries(self) -> None:
        for query in ("since=yesterday", "until=x", "marker=x", "limit=0", "server_id=x"):
            self.fault(self.ask("GET", f"history?{query}"), 400, "badRequest")


class ReaderTests(ConsoleCase):
    """Keystone's role reader."""

    def test_lists_alone(self) -> None:
        async def reader(*_: Any) -> Caller:
            return Caller("rita", "red", False, reads_only=True)

        self.patch(self.system.site.application._auth, "caller", reader)
        self.assertEqual(self.ids(), ["1"])
        self.assertEqual(self.ask("GET", "history").status, 200)
        link = f"servers/{uuid_of('red-vm')}/consoles"
        for method, path, body in (
            ("DELETE", f"sessions/{RED}", None),
            ("PATCH", f"sessions/{RED}", {"mode": "view"}),
            ("POST", "revocations", {"user_id": "alice"}),
            ("POST", link, {"type": "novnc", "mode": "view"}),
            ("POST", f"servers/{uuid_of('red-vm')}/keys", {"text": "a"}),
        ):
            answer = self.ask(method, path, body)
            self.fault(answer, 403, "forbidden")
            sentence = "A user with the role reader cannot open consoles or change anything. Ask for the role member."
            self.assertEqual(answer.body["forbidden"]["message"], sentence)
        answer = self.ask("GET", f"servers/{uuid_of('red-vm')}/screenshot")
        self.fault(answer, 403, "forbidden")
        sentence = "A user with the role reader cannot see screens. Ask for the role member."
        self.assertEqual(answer.body["forbidden"]["message"], sentence)


class VersionTests(ConsoleCase):
    def test_the_version_needs_no_log_in(self) -> None:
        for path in ("/console/v1", "/console/v1/"):
            answer = self.system.get(path)
            self.assertEqual((answer.status, answer.body["version"]["id"]), (200, "v1.0"))
        self.assertEqual(self.system.post("/console/v1", {}).status, 405)
        self.assertEqual(self.system.post("/console/v2", {}).status, 405)

    def test_an_unknown_version(self) -> None:
        """The answer lists the versions of the console API, not those of the Compute API."""
        for path in ("/console/v2", "/console/v2/servers"):
            answer = self.system.get(path)
            self.assertEqual((answer.status, [one["id"] for one in answer.body["choices"]]), (300, ["v1.0"]))
            (link,) = answer.body["choices"][0]["links"]
            self.assertEqual(link["href"].rpartition("/console/")[2], "v1/")

    def test_other_paths(self) -> None:
        self.fault(self.ask("GET", "nothing"), 404, "itemNotFound")
        self.assertEqual(self.ask("PUT", f"sessions/{RED}", {})["allow"], "DELETE, GET, PATCH")

    def test_the_document_names_every_route(self) -> None:
        text = (Path(__file__).parents[2] / "docs" / "console_api.rst").read_text()
        for method, pattern in self.system.site.application.console.router.table:
            self.assertIn(f"``{method} /{pattern.replace('{}', 'ID')}``", text)
