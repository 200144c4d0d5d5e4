"""The Identity v3 API: its documents, log-ins, and the validity of its tokens."""

import json

from cryptography.fernet import Fernet

from novnc_twisted.api import make_site
from novnc_twisted.compute.rpcapi import ComputeAPI
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.identity import HTTPBasic
from novnc_twisted.identity.tokens import TOKEN_TTL
from tests.api.harness import System
from tests.api.users import RED, ROOT, TOKENS, UsersCase, log_in


class IdentityTests(UsersCase):
    def test_token_document(self) -> None:
        answer = self.system.post(TOKENS, log_in("alice", "r3d:pass", "red"))
        token = answer.body["token"]
        self.assertEqual(token["project"]["name"], "red")
        self.assertEqual(token["user"]["name"], "alice")
        self.assertEqual([role["name"] for role in token["roles"]], ["member"])
        self.assertEqual([service["type"] for service in token["catalog"]], ["compute", "identity", "image", "console"])
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

    def test_bad_log_ins(self) -> None:
        for name, password in (("alice", "x"), ("nobody", "x"), ("alice", None), (None, "x")):
            self.refused(self.system.post(TOKENS, log_in(name, password)))
        answer = self.system.post(TOKENS, {"auth": {"identity": {"methods": ["token"], "token": {"id": "x"}}}})
        self.refused(answer)
        for body in (
            {},
            [],
            {"auth": []},
            log_in("a\ud800", "\ud800"),
            {"auth": {"identity": {"methods": ["password"]}}},
        ):
            self.assertEqual(self.system.post(TOKENS, body).status, 400, body)
        self.assertEqual(self.system.ask("DELETE", TOKENS).status, 405)
        self.assertEqual(self.system.get("/identity/v3/users").status, 404)


class CatalogueTests(UsersCase):
    def test_all_interfaces_of_all_services(self) -> None:
        """clouds.yaml may ask for ``interface: internal`` or ``admin``."""
        catalogue = self.system.post(TOKENS, log_in("alice", "r3d:pass")).body["token"]["catalog"]
        self.assertEqual([service["type"] for service in catalogue], ["compute", "identity", "image", "console"])
        for service in catalogue:
            endpoints = service["endpoints"]
            self.assertEqual([endpoint["interface"] for endpoint in endpoints], ["public", "internal", "admin"])
            self.assertEqual(len({endpoint["url"] for endpoint in endpoints}), 1)
            self.assertEqual({endpoint["region"] for endpoint in endpoints}, {"RegionOne"})
        ids = [endpoint["id"] for service in catalogue for endpoint in service["endpoints"]]
        self.assertEqual(len(set(ids)), len(ids))


class TokenTests(UsersCase):
    def test_a_token_expires(self) -> None:
        token = self.token()
        self.reactor.advance(TOKEN_TTL)
        self.assertEqual(self.names(X_Auth_Token=token), ["red-vm"])
        self.reactor.advance(1)
        self.refused(self.system.get("/v2.1/servers", X_Auth_Token=token))

    def test_the_wall_clock_steps_back(self) -> None:
        """A token that was made before the step appears to be from the future; it stays valid."""
        self.reactor.advance(10_000)
        token = self.token()
        self.reactor.rightNow -= 700
        self.assertEqual(self.names(X_Auth_Token=token), ["red-vm"])

    def test_a_token_outlives_the_api(self) -> None:
        token = self.token()
        again = System(HTTPBasic(self.reactor, self.file, admin_users=["root"]), reactor=self.reactor)
        again.transport = self.system.transport
        again.site = make_site(
            self.reactor,
            consoleauth=self.system.consoleauth,  # type: ignore[arg-type]
            compute=ComputeAPI(self.system.transport),
            transport=self.system.transport,
            auth=HTTPBasic(self.reactor, self.file, admin_users=["root"]),
            now=self.reactor.seconds,
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
        """The identity endpoints answer in Keystone's format, which clients expect there; the others in nova's."""
        token = self.token()

        async def get(key: str) -> None:
            raise ServiceUnavailable("Redis is gone")

        self.patch(self.system.transport.store, "get", get)
        answer = self.system.post(TOKENS, log_in("alice", "r3d:pass"))
        error = {"code": 503, "title": "Service Unavailable", "message": ServiceUnavailable.sentence}
        self.assertEqual((answer.status, answer.body), (503, {"error": error}))
        answer = self.system.get("/v2.1/servers", X_Auth_Token=f"gAAAAAAA{token}")
        del error["title"]
        self.assertEqual((answer.status, answer.body), (503, {"serviceUnavailable": error}))

    def test_a_lost_key_is_made_again(self) -> None:
        token = self.token()
        self.successResultOf(self.system.transport.store.remove("api:identity"))
        self.assertEqual(self.names(X_Auth_Token=token), ["red-vm"])
        self.token()
        self.assertEqual(self.names(X_Auth_Token=token), ["red-vm"])
