import json
from base64 import b64encode
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.api import HTTPBasic, NoAuth
from novnc_twisted.api.htpasswd import parse
from novnc_twisted.api.passwords import MAX_WAITING, REMEMBERED, Passwords
from novnc_twisted.api.request import is_loopback
from novnc_twisted.api.tokens import TOKEN_TTL
from novnc_twisted.errors import ServiceUnavailable
from tests.api.harness import Answer, Connection, FakeHost, FakeReactor, System, instance, quick_hash, uuid_of

RED, ROOT = quick_hash("r3d:pass"), quick_hash("toor")
TOKENS = "/identity/v3/auth/tokens"
UNAUTHORIZED = {
    "error": {
        "code": 401,
        "title": "Unauthorized",
        "message": "The request you have made requires authentication.",
    }
}


def basic(name: str, password: str) -> str:
    return "Basic " + b64encode(f"{name}:{password}".encode()).decode()


def log_in(name: Any, password: Any, project: str | None = None, **more: Any) -> dict[str, Any]:
    user = {"name": name, "password": password, "domain": {"id": "default"}}
    auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
    if project is not None:
        auth["scope"] = {"project": {"name": project, "domain": {"id": "default"}}}
    return {"auth": auth | more}


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


class HTTPBasicTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.file = Path(self.mktemp())
        self.file.write_text(f"alice:{RED}:red\nroot:{ROOT}\nboris:{RED.replace('$2b$', '$2y$')}:blue-id\n")
        self.reactor = FakeReactor()
        self.hosts = [
            FakeHost(
                "host1",
                instance("red-vm", project_id="red-id", project_name="red"),
                instance("blue-vm", project_id="blue-id", project_name="blue"),
                instance("nobodys"),
            )
        ]
        self.system = self.build()

    def build(self, transport: Any = None) -> System:
        system = System(HTTPBasic(self.reactor, self.file), *self.hosts, reactor=self.reactor)
        return self.successResultOf(Deferred.fromCoroutine(system.start()))

    def refused(self, answer: Answer) -> None:
        self.assertEqual((answer.status, answer.body), (401, UNAUTHORIZED))
        self.assertEqual(answer["www-authenticate"], 'Keystone uri="http://localhost:8774/identity"')

    def token(self, name: str = "alice", password: str = "r3d:pass", project: str | None = None) -> str:
        answer = self.system.post(TOKENS, log_in(name, password, project))
        self.assertEqual(answer.status, 201)
        return answer["x-subject-token"]

    def names(self, **headers: str) -> list[str]:
        answer = self.system.get("/v2.1/servers", **headers)
        self.assertEqual(answer.status, 200)
        return [server["name"] for server in answer.body["servers"]]

    def test_public_documents(self) -> None:
        for path, status in (
            ("/", 200),
            ("/v2.1", 200),
            ("/v2.1/", 200),
            ("/v2", 200),
            ("/identity", 300),
            ("/identity/v3", 200),
            ("/identity/v3/", 200),
            ("/image", 300),
        ):
            self.assertEqual(self.system.get(path, Host="cloud.example", Origin="https://x").status, status, path)

    def test_everything_else_needs_a_user(self) -> None:
        for path in ("/v2.1/servers", "/v2.1/nothing", "/v2/servers", "/v2.1/os-services", "/image/v2/images", TOKENS):
            self.refused(self.system.get(path))
        for headers in (
            {"X_Auth_Token": "notused"},
            {"X_Auth_Token": ""},
            {"X_Auth_Token": "gAAAAAB" + "x" * 200},
            {"X_Auth_Token": "gAAAA" + "x" * 9000},
            {"Authorization": basic("alice", "wrong")},
            {"Authorization": basic("nobody", "r3d:pass")},
            {"Authorization": basic("", "")},
            {"Authorization": basic("alice", "")},
            {"Authorization": basic("alice", "r3d:pass\x00more")},
            {"Authorization": "Basic"},
            {"Authorization": "Basic ///"},
            {"Authorization": "Basic " + b64encode(b"\xff\xfe:x").decode()},
            {"Authorization": "Bearer " + self.token()},
            # Authorization counts alone where it came.
            {"Authorization": basic("alice", "wrong"), "X_Auth_Token": self.token()},
        ):
            self.refused(self.system.get("/v2.1/servers", **headers))

    def test_the_same_header_twice(self) -> None:
        connection = Connection(self.system.site)
        token = self.token().encode()
        connection.send(b"GET /v2.1/servers HTTP/1.1\r\nHost: x\r\nX-Auth-Token: %b\r\nX-Auth-Token: y\r\n\r\n" % token)
        self.assertEqual([answer.status for answer in connection.answers()], [400])

    def test_basic(self) -> None:
        self.assertEqual(self.names(Authorization=basic("alice", "r3d:pass")), ["red-vm"])
        self.assertEqual(self.names(Authorization=basic("boris", "r3d:pass")), ["blue-vm"])
        self.assertEqual(self.names(Authorization=basic("root", "toor")), ["blue-vm", "nobodys", "red-vm"])

    def test_projects_are_apart(self) -> None:
        """No verb of alice's reaches what is not red: it is not there."""
        alice = {"X_Auth_Token": self.token(), "X_OpenStack_Nova_API_Version": "2.31"}
        for name in ("blue-vm", "nobodys", "never-was"):
            path, message = f"/v2.1/servers/{uuid_of(name)}", f"Instance {uuid_of(name)} could not be found."
            for answer in (
                self.system.get(path, **alice),
                self.system.post(
                    f"{path}/remote-consoles", {"remote_console": {"protocol": "vnc", "type": "novnc"}}, **alice
                ),
                self.system.post(
                    f"{path}/action",
                    {"os-getVNCConsole": {"type": "novnc"}},
                    **alice | {"X_OpenStack_Nova_API_Version": "2.1"},
                ),
            ):
                self.assertEqual((answer.status, answer.body["itemNotFound"]["message"]), (404, message))
        self.assertEqual(self.names(**alice), ["red-vm"])
        for query in ("?all_tenants=1", "?project_id=blue-id", "?name=blue", f"?marker={uuid_of('blue-vm')}"):
            answer = self.system.get(f"/v2.1/servers{query}", **alice)
            self.assertNotIn(b"blue-vm", answer.raw)
        flavors = self.system.get("/v2.1/flavors", **alice)
        self.assertEqual(len(flavors.body["flavors"]), 1)
        self.assertEqual(self.system.consoleauth.tokens, {})

    def test_hosts_are_for_admins(self) -> None:
        path = f"/v2.1/servers/{uuid_of('red-vm')}"
        server = self.system.get(path, X_Auth_Token=self.token(), OpenStack_API_Version="compute 2.31").body["server"]
        self.assertNotIn("host_status", server)
        self.assertFalse([name for name in server if name.startswith("OS-EXT-SRV-ATTR")])

    def test_admin_only(self) -> None:
        alice = {"X_Auth_Token": self.token(), "OpenStack_API_Version": "compute 2.31"}
        for path, rule in (
            ("/v2.1/os-services", "os-services:list"),
            (f"/v2.1/os-console-auth-tokens/{uuid_of('x')}", "os-console-auth-tokens"),
        ):
            answer = self.system.get(path, **alice)
            message = f"Policy doesn't allow os_compute_api:{rule} to be performed."
            self.assertEqual((answer.status, answer.body["forbidden"]["message"]), (403, message))

    def test_project_of_the_url(self) -> None:
        token = self.token()
        self.assertEqual(self.system.get("/v2.1/red/servers", X_Auth_Token=token).status, 200)
        answer = self.system.get("/v2.1/blue/servers", X_Auth_Token=token)
        self.assertEqual(
            answer.body["badRequest"]["message"],
            "Malformed request URL: URL's project_id 'blue' doesn't match Context's project_id 'red'",
        )

    def test_token_document(self) -> None:
        answer = self.system.post(TOKENS, log_in("alice", "r3d:pass", "red"))
        token = answer.body["token"]
        self.assertEqual(token["project"]["name"], "red")
        self.assertEqual(token["user"]["name"], "alice")
        self.assertEqual([role["name"] for role in token["roles"]], ["member"])
        self.assertEqual([service["type"] for service in token["catalog"]], ["compute", "identity", "image"])
        self.assertEqual(token["expires_at"], "1970-01-01T01:00:00.000000Z")
        secret = answer["x-subject-token"]
        shown = self.system.get(TOKENS, X_Auth_Token=secret, X_Subject_Token=secret)
        self.assertEqual(shown.body["token"]["project"], token["project"])
        self.assertEqual(shown.body["token"]["expires_at"], token["expires_at"])

    def test_scopes(self) -> None:
        for name, password, project, status in (
            ("alice", "r3d:pass", None, 201),
            ("alice", "r3d:pass", "blue", 401),
            ("alice", "r3d:pass", "", 401),
            ("root", "toor", "anything", 201),
            ("root", "toor", None, 201),
        ):
            answer = self.system.post(TOKENS, log_in(name, password, project))
            self.assertEqual(answer.status, status, (name, project))
        for scope, status in (({"system": {"all": True}}, 201), ({"domain": {"id": "default"}}, 401), ([], 401)):
            answer = self.system.post(TOKENS, log_in("root", "toor", scope=scope))
            self.assertEqual(answer.status, status, scope)
        self.assertEqual(self.system.post(TOKENS, log_in("alice", "r3d:pass", scope={"system": {}})).status, 401)
        elsewhere = {"project": {"name": "red", "domain": {"id": "other"}}}
        self.assertEqual(self.system.post(TOKENS, log_in("alice", "r3d:pass", scope=elsewhere)).status, 401)

    def test_an_admin_with_a_scope_sees_everything(self) -> None:
        self.assertEqual(len(self.names(X_Auth_Token=self.token("root", "toor", "red"))), 3)

    def test_bad_log_ins(self) -> None:
        for name, password in (("alice", "x"), ("nobody", "x"), ("alice", None), (None, "x"), ("a\ud800", "\ud800")):
            self.refused(self.system.post(TOKENS, log_in(name, password)))
        answer = self.system.post(TOKENS, {"auth": {"identity": {"methods": ["token"], "token": {"id": "x"}}}})
        self.refused(answer)
        for body in ({}, [], {"auth": []}, {"auth": {"identity": {"methods": ["password"]}}}):
            self.assertEqual(self.system.post(TOKENS, body).status, 400, body)
        self.assertEqual(self.system.ask("DELETE", TOKENS).status, 405)
        self.assertEqual(self.system.get("/identity/v3/users").status, 404)

    def test_a_token_ends(self) -> None:
        token = self.token()
        self.reactor.advance(TOKEN_TTL)
        self.assertEqual(self.names(X_Auth_Token=token), ["red-vm"])
        self.reactor.advance(1)
        self.refused(self.system.get("/v2.1/servers", X_Auth_Token=token))

    def test_a_token_outlives_the_api(self) -> None:
        token = self.token()
        again = System(HTTPBasic(self.reactor, self.file), reactor=self.reactor)
        again.transport = self.system.transport
        from novnc_twisted.api import make_site
        from novnc_twisted.compute.rpcapi import ComputeAPI

        again.site = make_site(
            self.reactor,
            consoleauth=self.system.consoleauth,  # type: ignore[arg-type]
            compute=ComputeAPI(self.system.transport),
            transport=self.system.transport,
            auth=HTTPBasic(self.reactor, self.file),
        )
        self.assertEqual(again.get("/v2.1/servers", X_Auth_Token=token).status, 200)

    def test_a_token_needs_the_row_it_was_made_for(self) -> None:
        token = self.token()
        for row in (
            f"alice:{ROOT}:red\nroot:{ROOT}",
            f"alice:{RED}:blue\nroot:{ROOT}",
            f"alice:{RED}\nroot:{ROOT}",
            f"root:{ROOT}",
        ):
            self.file.write_text(row)
            self.refused(self.system.get("/v2.1/servers", X_Auth_Token=token))
        self.file.write_text(f"alice:{RED}:red\n")
        self.assertEqual(self.names(X_Auth_Token=token), ["red-vm"])

    def test_the_stored_key_alone_makes_no_token(self) -> None:
        self.token()
        key = self.successResultOf(self.system.transport.store.get("api:identity"))["secret"]
        forged = Fernet(key).encrypt_at_time(json.dumps({"u": "root", "p": None, "f": "0" * 64}).encode(), 0)
        self.refused(self.system.get("/v2.1/servers", X_Auth_Token=forged.decode()))

    def test_no_store(self) -> None:
        """Who logs in is told in Keystone's form, the only one that clients understand there; else in nova's."""
        token = self.token()

        async def get(key: str) -> None:
            raise ServiceUnavailable("Redis is gone")

        self.patch(self.system.transport.store, "get", get)
        answer = self.system.post(TOKENS, log_in("alice", "r3d:pass"))
        error = {"code": 503, "title": "Service Unavailable", "message": ServiceUnavailable.sentence}
        self.assertEqual((answer.status, answer.body), (503, {"error": error}))
        answer = self.system.get("/v2.1/servers", X_Auth_Token=f"gAAAA{token}")
        del error["title"]
        self.assertEqual((answer.status, answer.body), (503, {"serviceUnavailable": error}))

    def test_a_lost_key_is_made_again(self) -> None:
        token = self.token()
        self.successResultOf(self.system.transport.store.remove("api:identity"))
        self.assertEqual(self.names(X_Auth_Token=token), ["red-vm"])
        self.token()
        self.assertEqual(self.names(X_Auth_Token=token), ["red-vm"])

    def test_the_file_is_read_again(self) -> None:
        self.file.write_text(f"carol:{RED}:red\n")
        self.refused(self.system.get("/v2.1/servers", Authorization=basic("alice", "r3d:pass")))
        self.assertEqual(self.names(Authorization=basic("carol", "r3d:pass")), ["red-vm"])

    def test_an_unusable_file_changes_nothing(self) -> None:
        self.file.write_text("carol:plain\n")
        self.assertEqual(self.names(Authorization=basic("alice", "r3d:pass")), ["red-vm"])
        self.file.unlink()
        self.assertEqual(self.names(Authorization=basic("alice", "r3d:pass")), ["red-vm"])

    def test_nothing_secret_in_reprs(self) -> None:
        auth = HTTPBasic(self.reactor, self.file)
        self.assertNotIn("$2b$", repr(auth.user("alice")))


class PasswordTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.checked: list[tuple[bytes, bytes]] = []
        self.reactor = FakeReactor()
        self.users = parse(f"alice:{RED}:red\nroot:{ROOT}\n", "users")
        self.passwords = Passwords(self.reactor)
        self.waiting: list[Any] = []
        self.reactor.pool = self

    def callInThreadWithCallback(self, on_result: Any, function: Any, password: bytes, hashed: bytes) -> None:
        self.checked.append((password, hashed))
        self.waiting.append(lambda: on_result(True, function(password, hashed)))

    def check(self, name: str, password: str) -> Any:
        return Deferred.fromCoroutine(self.passwords.check(self.users, name, password))

    def run_all(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()

    def test_a_stranger_costs_as_much(self) -> None:
        """One comparison with a hash of the file, always the same one."""
        for _ in range(2):
            result = self.check("stranger", "toor")
            self.run_all()
            self.assertIsNone(self.successResultOf(result))
        self.assertEqual(len(self.checked), 2)
        self.assertEqual(self.checked[0], self.checked[1])
        self.assertIn(self.checked[0][1].decode(), (RED, ROOT))

    def test_right_ones_are_remembered_for_a_while(self) -> None:
        for advance, comparisons in ((0, 1), (REMEMBERED - 1, 1), (1, 2)):
            self.reactor.advance(advance)
            result = self.check("root", "toor")
            self.run_all()
            self.assertEqual(self.successResultOf(result).name, "root")
            self.assertEqual(len(self.checked), comparisons)

    def test_not_for_another_hash(self) -> None:
        result = self.check("root", "toor")
        self.run_all()
        self.successResultOf(result)
        self.users = parse(f"root:{RED}\n", "users")
        result = self.check("root", "toor")
        self.run_all()
        self.assertIsNone(self.successResultOf(result))

    def test_few_at_a_time(self) -> None:
        results = [self.check("root", "no") for _ in range(MAX_WAITING)]
        self.assertEqual(len(self.waiting), 4)
        self.assertEqual(self.failureResultOf(self.check("root", "no")).value.code, 503)
        for result in results:
            result.cancel()
            self.failureResultOf(result)
        # Those in threads are busy still.
        self.assertEqual(len(self.waiting), 4)
        self.assertEqual(self.failureResultOf(self.check("root", "no")).value.code, 503)
        self.run_all()
        result = self.check("root", "toor")
        self.run_all()
        self.assertEqual(self.successResultOf(result).name, "root")

    def test_long_passwords(self) -> None:
        self.users = parse(f"long:{quick_hash('x' * 72)}\n", "users")
        result = self.check("long", "x" * 100)
        self.run_all()
        self.assertEqual(self.successResultOf(result).name, "long")


class FileTests(SynchronousTestCase):
    def test_good(self) -> None:
        users = parse(f"# people\n\n  alice:{RED}:red \r\nroot:{ROOT}\nümläut:{ROOT}: p 1 \n", "users")
        self.assertEqual(
            {name: user.project for name, user in users.items()}, {"alice": "red", "root": None, "ümläut": "p 1"}
        )

    def test_bad(self) -> None:
        for text, why in (
            ("", "f holds no user"),
            ("alice", "f, line 1: user:hash or"),
            (f"\nalice:{RED}:red:x", "f, line 2: user:hash or"),
            (f":{RED}", "f, line 1: the user has no usable name"),
            ("alice:secret", "f, line 1: no bcrypt hash"),
            ("alice:$apr1$x$y", "f, line 1: no bcrypt hash"),
            (f"alice:{RED[:-1]}", "f, line 1: no bcrypt hash"),
            (f"alice:{RED}:", "f, line 1: the project is empty"),
            (f"alice:{RED}:  ", "f, line 1: the project is empty"),
            (f"alice:{RED}\nalice:{RED}:red", "f, line 2: the user is there twice"),
        ):
            error = str(self.assertRaises(ValueError, parse, text, "f"))
            self.assertTrue(error.startswith(why), error)
            self.assertNotIn(RED, error)
            self.assertNotIn("secret", error)

    def test_unusable(self) -> None:
        path = self.mktemp()
        for content in (None, b"\xff\xfe", b"x" * (1 << 20) + b"y"):
            if content is not None:
                Path(path).write_bytes(content)
            error = str(self.assertRaises(ValueError, HTTPBasic, FakeReactor(), path))
            self.assertIn(path, error)
            self.assertNotIn("\n", error)

    def test_a_folder(self) -> None:
        Path(path := self.mktemp()).mkdir()
        self.assertRaises(ValueError, HTTPBasic, FakeReactor(), path)
