"""Only the option admin_users makes administrators; a line of the user file without a project does not."""

from typing import Any

from novnc_twisted.identity import HTTPBasic
from tests.api.harness import running
from tests.api.users import RED, ROOT, TOKENS, UsersCase, basic, log_in
from tests.http.harness import Answer
from tests.support.logged import Logged

ALICE = {"Authorization": basic("alice", "r3d:pass")}
ROOT_USER = {"Authorization": basic("root", "toor")}
ALL = ["blue-vm", "nobodys", "red-vm"]


class LostProjectTests(UsersCase):
    """``htpasswd -B FILE alice`` rewrites ``alice:HASH:red`` as ``alice:HASH``."""

    def setUp(self) -> None:
        super().setUp()
        self.log = Logged(self)
        self.before = self.token()
        self.file.write_text(f"alice:{RED}\nroot:{ROOT}\n")

    def test_the_user_sees_no_server(self) -> None:
        self.assertEqual(self.names(**ALICE), [])
        self.assertEqual(len(self.log.lines("line 1: user alice has no project")), 1)
        body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
        for uuid in self.hosts[0].instances:
            self.assertEqual(self.system.get(f"/v2.1/servers/{uuid}", **ALICE).status, 404)
            answer = self.system.post(
                f"/v2.1/servers/{uuid}/remote-consoles", body, OpenStack_API_Version="compute 2.6", **ALICE
            )
            self.assertEqual(answer.status, 404)
        for path in ("/v2.1/os-services", "/v2.1/os-console-auth-tokens/x"):
            self.assertEqual(self.system.get(path, **ALICE).status, 403)

    def test_every_scope_is_refused(self) -> None:
        for scope in ({"project": {"name": "red", "domain": {"id": "default"}}}, {"system": {"all": True}}):
            self.refused(self.system.post(TOKENS, log_in("alice", "r3d:pass", scope=scope)))
        answer = self.system.post(TOKENS, log_in("alice", "r3d:pass"))
        self.assertEqual((answer.status, "project" in answer.body["token"]), (201, False))
        self.assertEqual([role["name"] for role in answer.body["token"]["roles"]], ["member"])
        self.assertEqual(self.names(X_Auth_Token=answer["x-subject-token"]), [])

    def test_earlier_tokens_are_refused(self) -> None:
        self.refused(self.system.get("/v2.1/servers", X_Auth_Token=self.before))

    def test_a_project_in_the_path_does_not_help(self) -> None:
        answer = self.system.get("/v2.1/red/servers", **ALICE)
        self.assertEqual((answer.status, answer.body), (200, {"servers": []}))


class AdminTests(UsersCase):
    def restart_with(self, *names: str) -> None:
        """Restart the API with these administrators and the same key for tokens."""
        store = self.system.transport.store
        auth = HTTPBasic(self.reactor, self.file, admin_users=names)
        self.system = running(self, auth, *self.hosts, reactor=self.reactor)
        secret: Any = self.successResultOf(store.get("api:identity"))
        self.successResultOf(self.system.transport.store.put("api:identity", secret, 3600))

    def test_named(self) -> None:
        self.assertEqual(self.names(**ROOT_USER), ALL)
        self.assertEqual(self.names(**ALICE), ["red-vm"])

    def test_without_administrators(self) -> None:
        token = self.token("root", "toor")
        self.restart_with()
        self.assertEqual(self.names(**ROOT_USER), [])
        self.refused(self.system.get("/v2.1/servers", X_Auth_Token=token))

    def test_a_former_administrator(self) -> None:
        """A former administrator's token for another project is refused."""
        self.file.write_text(f"alice:{RED}:red\nroot:{ROOT}:red\n")
        token = self.token("root", "toor", "blue")
        self.assertEqual(self.names(X_Auth_Token=token), ALL)
        self.restart_with("alice")
        self.refused(self.system.get("/v2.1/servers", X_Auth_Token=token))
        self.assertEqual(self.names(**ROOT_USER), ["red-vm"])

    def test_with_a_project(self) -> None:
        self.token()
        self.restart_with("alice")
        self.assertEqual(self.names(**ALICE), ALL)
        answer: Answer = self.system.post(TOKENS, log_in("alice", "r3d:pass"))
        self.assertEqual(answer.body["token"]["project"]["id"], "red")
        self.assertEqual([role["name"] for role in answer.body["token"]["roles"]], ["admin", "member"])
        self.assertEqual(self.system.post(TOKENS, log_in("alice", "r3d:pass", "blue")).status, 201)

    def test_names_are_compared_exactly(self) -> None:
        self.token()
        self.restart_with("Root", "root ", "roo", "*", "")
        self.assertEqual(self.names(**ROOT_USER), [])
