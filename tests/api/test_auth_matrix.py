"""Header fields, parameters and bodies with which a client tries to act as another user or as an administrator.

See CVE-2023-54391 (an additional parameter skipped the password check), CVE-2024-0822 and CVE-2026-112816.
"""

from base64 import b64encode, urlsafe_b64encode
from typing import Any

from tests.api.users import TOKENS, UsersCase, basic, log_in
from tests.http.harness import Answer, Connection

GOOD, BAD = basic("alice", "r3d:pass"), basic("alice", "wrong")
ROOT = basic("root", "toor")


def encoded(text: str | bytes) -> str:
    return "Basic " + b64encode(text if isinstance(text, bytes) else text.encode()).decode()


IMPERSONATIONS = [
    # Fields that keystonemiddleware or a front-end web server adds for the application; ignored if a client sends them.
    ("X-Identity-Status", "Confirmed"),
    ("X-Roles", "admin"),
    ("X-Role", "admin"),
    ("X-Is-Admin", "True"),
    ("X-Is-Admin-Project", "True"),
    ("X-User-Id", "root"),
    ("X-User-Name", "root"),
    ("X-User", "root"),
    ("X-Project-Id", "blue-id"),
    ("X-Tenant-Id", "blue"),
    ("X-Auth-Project-Id", "blue"),
    ("X-Domain-Id", "default"),
    ("X-Service-Roles", "admin"),
    ("X-Service-Identity-Status", "Confirmed"),
    ("X-Remote-User", "root"),
    ("Remote-User", "root"),
    ("REMOTE_USER", "root"),
    ("X-Forwarded-User", "root"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Real-IP", "127.0.0.1"),
    ("Forwarded", "for=127.0.0.1;host=localhost"),
    ("X-Original-URL", "/v2.1"),
    ("X-Rewrite-URL", "/v2.1"),
    ("X-HTTP-Method-Override", "DELETE"),
    ("Proxy-Authorization", ROOT),
    ("X-Authorization", ROOT),
    ("X_Authorization", ROOT),
    ("Cookie", f"token=notused; X-Auth-Token=notused; session={ROOT}"),
    ("Origin", "http://localhost:8774"),
]
"""Header fields that change nothing."""

PARAMETERS = [
    "user=root&password=toor",
    "username=root",
    "token=notused",
    "auth_token=notused",
    "X-Auth-Token=notused",
    "Authorization=" + ROOT.replace(" ", "%20"),
    "project_id=blue&tenant_id=blue-id",
    "is_admin=1&admin=true&all_tenants=1",
    "nocheck=1&debug=1&skip_auth=true",
    "user=alice&user=root",
    "=&&;a[]=1&a[admin]=1&%00=%00",
]
"""Queries that change nothing."""


class AuthMatrixTests(UsersCase):
    def raw(self, *fields: tuple[str, str], query: str = "", path: str = "/v2.1/servers") -> Answer:
        """Send a request with exactly these header fields."""
        connection = Connection(self.system.site)
        lines = [f"GET {path}{'?' if query else ''}{query} HTTP/1.1", "Host: localhost:8774"]
        lines += [f"{name}: {value}" for name, value in fields]
        connection.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
        (answer,) = connection.answers()
        return answer

    def names_in(self, answer: Answer) -> list[str]:
        self.assertEqual(answer.status, 200, answer.body)
        return [server["name"] for server in answer.body["servers"]]

    def test_fields_that_change_nothing(self) -> None:
        """Each alone, with wrong credentials, and with correct ones."""
        token = self.token()
        for field in IMPERSONATIONS:
            self.refused(self.raw(field))
            self.refused(self.raw(field, ("X-Auth-Token", "gAAAAAB")))
            for good in (("X-Auth-Token", token), ("Authorization", GOOD)):
                self.assertEqual(self.names_in(self.raw(field, good)), ["red-vm"], field)
                self.assertEqual(self.names_in(self.raw(good, field)), ["red-vm"], field)
                self.assertEqual(self.raw(good, field, path="/v2.1/os-services").status, 403, field)

    def test_parameters_that_change_nothing(self) -> None:
        token = self.token()
        for query in PARAMETERS:
            self.refused(self.raw(query=query))
            self.refused(self.raw(("X-Auth-Token", "notused"), query=query))
            self.assertIn(self.names_in(self.raw(("X-Auth-Token", token), query=query)), (["red-vm"], []), query)
            self.assertEqual(self.raw(("X-Auth-Token", token), query=query, path="/v2.1/os-services").status, 403)
        self.refused(self.raw(("Authorization", BAD), query="&".join(PARAMETERS)))

    def test_a_header_field_twice(self) -> None:
        """The status is 400, even with correct credentials, because it is undefined which field counts."""
        token = self.token()
        for first in (GOOD, BAD, ROOT):
            for second in (GOOD, BAD, ROOT):
                self.assertEqual(self.raw(("Authorization", first), ("authorization", second)).status, 400)
        for other in (token, "x", ""):
            self.assertEqual(self.raw(("X-Auth-Token", token), ("x-auth-token", other)).status, 400)

    def test_both_kinds_of_credentials(self) -> None:
        """Authorization is used, and X-Auth-Token is ignored."""
        token, root = self.token(), self.token("root", "toor")
        self.refused(self.raw(("X-Auth-Token", root), ("Authorization", BAD)))
        self.refused(self.raw(("X-Auth-Token", root), ("Authorization", "")))
        self.refused(self.raw(("X-Auth-Token", root), ("Authorization", "Bearer x")))
        self.assertEqual(self.names_in(self.raw(("X-Auth-Token", root), ("Authorization", GOOD))), ["red-vm"])
        self.assertEqual(self.names_in(self.raw(("X-Auth-Token", "x"), ("Authorization", GOOD))), ["red-vm"])
        self.assertEqual(len(self.names_in(self.raw(("X-Auth-Token", token), ("Authorization", ROOT)))), 3)
        self.assertEqual(
            self.raw(("X-Auth-Token", token), ("Authorization", GOOD), ("Authorization", GOOD)).status, 400
        )

    def test_similar_header_names(self) -> None:
        """Fields whose names resemble those of the credentials are ignored."""
        token = self.token()
        for name in ("X_Auth_Token", "XAuthToken", "X-Auth-Token-", "X-Subject-Token", "X-Service-Token", "Auth-Token"):
            self.refused(self.raw((name, token)))
        for name in ("X-Storage-Token", "Authorisation", "WWW-Authenticate", "Proxy-Authorization"):
            self.refused(self.raw((name, GOOD)))

    def test_malformed_credentials(self) -> None:
        plain = b64encode(b"alice:r3d:pass").decode()
        for value in (
            f"{GOOD}, {GOOD}",
            f"{GOOD} {GOOD}",
            f"Basic {GOOD}",
            f"Basic\t{plain}",
            f"Basic={plain}",
            f"Basic:{plain}",
            f"Bearer {plain}",
            f"Digest {plain}",
            f"Negotiate {plain}",
            plain,
            GOOD.rstrip("=") + "A===",
            GOOD[:-1] + "\x80",
            "Basic " + urlsafe_b64encode(b"\xff\xfe\xfb:x").decode(),
            encoded("alice"),
            encoded("alice:"),
            encoded(":r3d:pass"),
            encoded("Alice:r3d:pass"),
            encoded("alice :r3d:pass"),
            encoded(" alice:r3d:pass"),
            encoded("alice\0:r3d:pass"),
            encoded("alice:r3d:pass\0"),
            encoded("alice:r3d:pass\n"),
            encoded("alice:r3d:pass "),
            encoded("alice:r3d:pas"),
            encoded("alice:r3d:PASS"),
            encoded("alice:red:r3d:pass"),
            encoded("al\u0131ce:r3d:pass"),
            encoded("\uff41lice:r3d:pass"),
            encoded("\ufeffalice:r3d:pass"),
            encoded("*:r3d:pass"),
            encoded("alice' or '1'='1:x"),
            encoded(b"alice\xff:r3d:pass"),
            encoded("root:" + "x" * 10_000),
        ):
            self.setUp()  # a new API, without lock-outs
            self.refused(self.raw(("Authorization", value)))
        for value in (GOOD, GOOD.replace("Basic", "bAsIc"), GOOD.replace("Basic ", "Basic   ")):
            self.assertEqual(self.names_in(self.raw(("Authorization", value))), ["red-vm"], value)

    def test_paths_that_avoid_the_log_in(self) -> None:
        """No spelling of a path lists servers without a log-in."""
        for path in (
            "//v2.1/servers",
            "/v2.1//servers",
            "/v2.1/./servers",
            "/v2.1/x/../servers",
            "/V2.1/servers",
            "/v2.1;x/servers",
            "/%76%32.1/servers",
            "/v2.1%2fservers",
            "/v2%2e1/servers",
            "/v2.1/servers/",
            "/v2.1/servers/.json",
            "/v2.1/servers%00",
            "/v2/servers",
            "/v2.0/servers",
            "/compute/v2.1/servers",
            "/identity/../v2.1/servers",
            "/image/../v2.1/servers",
            "/\\v2.1/servers",
        ):
            answer = self.raw(path=path)
            self.assertIn(answer.status, (300, 400, 401, 404), path)
            self.assertNotIn(b"-vm", answer.raw, path)

    def test_bodies_of_log_ins(self) -> None:
        """Only a name and its password log in, whatever else the body contains."""
        good: dict[str, Any] = log_in("alice", "r3d:pass")["auth"]["identity"]
        for change in (
            {"methods": ["password", "token"], "token": {"id": "x"}},
            {"methods": ["password", "password"]},
            {"methods": []},
            {"methods": "password"},
            {"methods": None},
            {"methods": ["external"]},
            {"methods": [["password"]]},
        ):
            answer = self.system.post(TOKENS, {"auth": {"identity": good | change}})
            self.assertEqual(answer.status, 401, change)
        user = good["password"]["user"]
        for change in (
            {"name": ["alice"]},
            {"name": True},
            {"name": {"alice": 1}},
            {"password": ["r3d:pass"]},
            {"password": True},
            {"password": {"$ne": ""}},
            {"password": None},
            {"domain": {"id": "other"}},
            {"domain": None},
            {"domain": []},
            {"name": None, "id": "alice"},
        ):
            body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user | change}}}}
            self.assertEqual(self.system.post(TOKENS, body).status, 401, change)
        more = user | {"is_admin": True, "roles": ["admin"], "project": None, "enabled": True}
        body = {"auth": {"identity": good | {"password": {"user": more}, "token": {"id": "x"}}, "is_admin": True}}
        token = self.system.post(TOKENS, body)["x-subject-token"]
        self.assertEqual(self.names(X_Auth_Token=token), ["red-vm"])

    def test_json_members_twice(self) -> None:
        """The last name and the last password count, and nothing else."""
        body = (
            '{"auth": {"identity": {"methods": ["password"], "password": {"user": {"domain": {"id": "default"}, %s}}}}}'
        )
        for members, status in (
            ('"name": "alice", "name": "root", "password": "r3d:pass"', 401),
            ('"name": "root", "name": "alice", "password": "toor"', 401),
            ('"name": "alice", "password": "r3d:pass", "password": "x"', 401),
            ('"name": "root", "name": "alice", "password": "r3d:pass"', 201),
        ):
            answer = self.system.post(TOKENS, (body % members).encode())
            self.assertEqual(answer.status, status, members)
            if status == 201:
                self.assertEqual(answer.body["token"]["user"]["name"], "alice")

    def test_scopes_of_others(self) -> None:
        for scope in (
            {"project": {"name": "blue", "domain": {"id": "default"}}},
            {"project": {"id": "blue-id"}},
            {"project": {"name": "RED", "domain": {"id": "default"}}},
            {"project": {"name": ["red"]}},
            {"project": {"name": "red", "domain": None}},
            {"project": {}},
            {"system": {"all": True}},
            {"domain": {"id": "default"}},
            {"OS-TRUST:trust": {"id": "x"}},
            "system",
            [],
        ):
            self.refused(self.system.post(TOKENS, log_in("alice", "r3d:pass", scope=scope)))

    def test_the_token_of_a_console(self) -> None:
        """It opens a console, but it does not log in."""
        good = ("X-Auth-Token", self.token())
        (server,) = self.raw(good).body["servers"]
        ask = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
        path = f"/v2.1/servers/{server['id']}/remote-consoles"
        answer = self.system.post(path, ask, X_Auth_Token=good[1], X_OpenStack_Nova_API_Version="2.6")
        token = answer.body["remote_console"]["url"].split("?token=")[1]
        self.assertEqual(len(self.system.consoleauth.tokens), 1)
        self.refused(self.raw(("X-Auth-Token", token)))
        self.refused(self.raw(("Authorization", basic("alice", token))))
        self.refused(self.raw(query=f"token={token}"))

    def test_changed_tokens(self) -> None:
        token = self.token()
        for other in (
            token[:-1],
            token + "A",
            token[:50],
            token.lower(),
            f"{token},{token}",
            token[::-1],
            "notused",
            "",
        ):
            self.refused(self.raw(("X-Auth-Token", other)))
        self.assertEqual(self.names_in(self.raw(("X-Auth-Token", f"  {token} "))), ["red-vm"])
