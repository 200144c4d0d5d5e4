"""API tokens: who makes them, what they open, and when they end, for users of the password file."""

import json
import re
from typing import Any

from twisted.internet.defer import Deferred, fail

from novnc_twisted.api.console import log_in_check
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.events import APITokenChanged
from novnc_twisted.identity import HTTPBasic, NoAuth
from novnc_twisted.identity.api_token_records import MAX_TOKENS
from tests.api.harness import FakeHost, System, instance, running, uuid_of
from tests.api.test_portal import ORIGIN, PortalCase
from tests.api.users import basic
from tests.support.handed_out import secret
from tests.support.observed import only

RED = uuid_of("red-vm")
DAY = 24 * 3600


class TokenCase(PortalCase):
    def setUp(self) -> None:
        super().setUp()
        self.log_in()

    def build(self, transport: Any = None) -> System:
        self.events: list[APITokenChanged] = []
        auth = HTTPBasic(self.reactor, self.file, admin_users=["root"])
        system = System(auth, *self.hosts, reactor=self.reactor, observer=only(APITokenChanged, self.events))
        return self.successResultOf(Deferred.fromCoroutine(system.start()))

    def make(self, **more: Any) -> tuple[str, str]:
        """Make a token; return its id and its text."""
        answer = self.send("POST", "/console/v1/tokens", {"name": "backup", **more}, Origin=ORIGIN)
        self.assertEqual(answer.status, 201, answer.raw)
        token = answer.body["token"]
        return token["id"], secret(token["token"])

    def status(self, token: str, path: str = "/v2.1/servers", **headers: str) -> int:
        return self.system.get(path, X_Auth_Token=token, **headers).status

    def listed(self) -> list[dict[str, Any]]:
        return list(self.visit("/console/v1/tokens").body["tokens"])


class UseTests(TokenCase):
    def test_a_token_acts_as_its_user(self) -> None:
        _, token = self.make()
        self.assertRegex(token, r"\Anvt_[\w-]{43}\Z")
        for headers in ({"X_Auth_Token": token}, {"Authorization": f"Bearer {token}"}):
            self.assertEqual(
                [one["name"] for one in self.system.get("/v2.1/servers", **headers).body["servers"]], ["red-vm"]
            )
            self.assertEqual(self.system.get(f"/v2.1/servers/{uuid_of('blue-vm')}", **headers).status, 404)
            answer = self.system.post(f"/console/v1/servers/{RED}/consoles", {"type": "novnc"}, **headers)
            self.assertEqual(answer.status, 200)
        made = list(self.system.consoleauth.tokens.values())
        self.assertEqual({one["connect_info"]["user_id"] for one in made}, {"alice"})

    def test_its_event_stream_ends_with_it(self) -> None:
        """The stream ends within one interval of the log-in check."""
        token_id, token = self.make()
        stream = self.system.send("GET", "/console/v1/events", X_Auth_Token=token)
        self.reactor.pump([0.5] * 30)
        self.assertFalse(stream.transport.value().endswith(b"0\r\n\r\n"))
        self.assertEqual(self.send("DELETE", f"/console/v1/tokens/{token_id}", None, Origin=ORIGIN).status, 204)
        self.reactor.pump([0.5] * int(2 * log_in_check.INTERVAL))
        self.assertTrue(stream.transport.value().endswith(b"0\r\n\r\n"))

    def test_a_token_that_reads(self) -> None:
        _, token = self.make(right="read")
        self.assertEqual(self.status(token), 200)
        self.assertEqual(self.status(token, "/console/v1/sessions"), 200)
        answer = self.system.post(f"/v2.1/servers/{RED}/action", {"os-stop": None}, X_Auth_Token=token)
        self.assertEqual(answer.status, 403)
        self.assertIn("This API token may only read.", answer.body["forbidden"]["message"])
        answer = self.system.get(f"/console/v1/servers/{RED}/screenshot", X_Auth_Token=token)
        self.assertEqual(answer.status, 403)
        self.assertIn("This API token may only read lists.", answer.body["forbidden"]["message"])
        self.assertEqual(self.hosts[0].power, [])

    def test_the_current_rights_of_the_user_count(self) -> None:
        _, token = self.make()
        text = self.file.read_text()
        for changed, status in (
            (text.replace("alice:", "alicia:"), 401),
            (re.sub("(alice:.*):red", r"\1:blue-id", text), 401),
            (text, 200),
        ):
            self.file.write_text(changed)
            self.reactor.advance(10)
            self.assertEqual(self.status(token), status, changed)

    def test_a_former_administrator(self) -> None:
        self.log_in("root", "toor")
        _, token = self.make()
        self.assertEqual(len(self.system.get("/v2.1/servers?all_tenants=1", X_Auth_Token=token).body["servers"]), 3)
        self.patch(self.system.site.application._auth._file, "_admin_users", ())
        self.file.write_text(self.file.read_text() + "\n")
        self.reactor.advance(10)
        self.assertEqual(self.system.get("/v2.1/servers", X_Auth_Token=token).body["servers"], [])

    def test_a_token_ends_by_itself(self) -> None:
        _, token = self.make(expires_in=DAY)
        self.reactor.advance(DAY - 1)
        self.assertEqual(self.status(token), 200)
        self.reactor.advance(1)
        self.assertEqual(self.status(token), 401)

    def test_nonsense(self) -> None:
        _, token = self.make()
        for text in (token[:-1], token + "x", token.upper(), "nvt_" + "x" * 43, "nvt_" + "é" * 43):
            self.assertEqual(self.status(text), 401, text)
        for value in (f"bearer  {token}", f"Basic {token}", token):
            status = self.system.get("/v2.1/servers", Authorization=value).status
            self.assertEqual(status, 200 if value.startswith("bearer") else 401, value)

    def test_it_is_no_password_and_no_cookie(self) -> None:
        _, token = self.make()
        self.assertEqual(self.system.get("/v2.1/servers", Authorization=basic("alice", token)).status, 401)
        self.cookie = token
        self.assertEqual(self.visit("/console/v1/servers").status, 401)

    def test_it_makes_and_revokes_no_tokens(self) -> None:
        id, token = self.make()
        answer = self.system.post("/console/v1/tokens", {"name": "x"}, X_Auth_Token=token)
        self.assertEqual(answer.status, 403)
        self.assertEqual(self.system.ask("DELETE", f"/console/v1/tokens/{id}", X_Auth_Token=token).status, 403)
        self.assertEqual(len(self.listed()), 1)


class LifeTests(TokenCase):
    def test_list_and_revoke(self) -> None:
        id, token = self.make(right="read")
        self.reactor.advance(60)
        self.status(token)
        (shown,) = self.listed()
        self.assertEqual(
            shown,
            {
                "id": id,
                "name": "backup",
                "right": "read",
                "project": "red",
                "made_at": "1970-01-01T00:00:00.000Z",
                "expires_at": "1970-01-31T00:00:00.000Z",
                "used_at": "1970-01-01T00:01:00.000Z",
            },
        )
        self.assertEqual(
            self.system.ask("DELETE", f"/console/v1/tokens/{id}", Authorization=basic("boris", "r3d:pass")).status, 404
        )
        self.assertEqual(self.send("DELETE", f"/console/v1/tokens/{id}", None, Origin="http://evil").status, 403)
        self.assertEqual(self.send("DELETE", f"/console/v1/tokens/{id}", None, Origin=ORIGIN).status, 204)
        self.assertEqual((self.status(token), self.listed()), (401, []))
        self.assertEqual(self.send("DELETE", f"/console/v1/tokens/{id}", None, Origin=ORIGIN).status, 404)

    def test_used_after_the_clock_was_set_back(self) -> None:
        _, token = self.make()
        self.reactor.advance(7200)
        self.status(token)
        self.reactor.rightNow -= 3600
        self.status(token)
        self.assertEqual(self.listed()[0]["used_at"], "1970-01-01T01:00:00.000Z")
        self.assertEqual([event.change for event in self.events], ["made", "used", "used"])

    def test_what_is_stored_opens_nothing(self) -> None:
        id, token = self.make()
        stored = json.dumps([[key, entry.text] for key, entry in self.system.transport.store._entries.items()])
        self.assertNotIn(token, stored)
        self.assertNotIn(token.removeprefix("nvt_"), stored)
        for text in (id, re.findall(r"api:token:(\w+)", stored)[0]):
            self.assertEqual(self.status(text), 401)

    def test_a_damaged_record(self) -> None:
        """The token is refused and can be revoked; other tokens still work."""
        store = self.system.transport.store
        _, other = self.make(name="other")
        for field, wrong in (("hash", []), ("right", "all"), ("expires_at", "x"), ("user", ["u"]), ("grant", [])):
            id, token = self.make()
            key = next(key for key in store._entries if key.startswith(f"api:token:{id}"))
            stored = self.successResultOf(store.get(key))
            self.successResultOf(store.put(key, {**stored, field: wrong}, 60))
            self.assertEqual((self.status(token), self.status(other)), (503, 200), field)
            self.assertEqual(self.send("DELETE", f"/console/v1/tokens/{id}", None, Origin=ORIGIN).status, 204)
            self.assertEqual(self.status(token), 401, field)

    def test_a_damaged_slot(self) -> None:
        store = self.system.transport.store
        self.make(name="other")
        _, token = self.make(name="damaged")
        slot = next(key for key in store._entries if key.startswith("api:tokens:") and key.endswith(":1"))
        for wrong in ({"hash": 5}, {}, {**self.successResultOf(store.get(slot)), "made_at": None}):
            self.successResultOf(store.put(slot, wrong, 60))
            self.assertEqual([one["name"] for one in self.listed()], ["other"])
        self.assertEqual(self.status(token), 200)
        self.submit("/console/logout/everywhere", tokens="yes")
        self.reactor.advance(1)
        self.log_in()
        self.assertEqual((self.listed(), self.status(token)), ([], 401))

    def test_a_damaged_time_of_use(self) -> None:
        id, token = self.make()
        self.status(token)
        store = self.system.transport.store
        key = next(key for key in store._entries if key.startswith(f"api:token-used:{id}"))
        self.successResultOf(store.put(key, {"at": "yesterday"}, 60))
        self.assertEqual([one["used_at"] for one in self.listed()], [None])

    def test_the_maximum_number_of_tokens(self) -> None:
        ids = [self.make(name=f"n{number}")[0] for number in range(MAX_TOKENS)]
        answer = self.send("POST", "/console/v1/tokens", {"name": "x"}, Origin=ORIGIN)
        self.assertEqual(answer.status, 403)
        self.assertIn("Revoke one first.", answer.body["forbidden"]["message"])
        self.send("DELETE", f"/console/v1/tokens/{ids[7]}", None, Origin=ORIGIN)
        self.make()
        self.assertEqual(len(self.listed()), MAX_TOKENS)

    def test_wrong_requests(self) -> None:
        for body in (
            {},
            {"name": ""},
            {"name": "x" * 101},
            {"name": "a\nb"},
            {"name": "x", "right": "admin"},
            {"name": "x", "expires_in": 1e9},
            {"name": "x", "expires_in": 0},
            {"name": "x", "user": "root"},
        ):
            self.assertEqual(self.send("POST", "/console/v1/tokens", body, Origin=ORIGIN).status, 400, body)
        self.assertEqual(self.listed(), [])

    def test_revoked_while_it_is_made(self) -> None:
        """The list already shows its id, by which it is revoked.  Other tokens stay valid."""
        _, kept = self.make()
        store = self.system.transport.store
        put = store.put

        def late(key: str, *more: Any) -> Any:
            if key.startswith("api:token:"):
                self.patch(store, "put", put)
                (id,) = [one["id"] for one in self.listed() if one["name"] == "new"]
                self.assertEqual(self.send("DELETE", f"/console/v1/tokens/{id}", None, Origin=ORIGIN).status, 204)
            return put(key, *more)

        self.patch(store, "put", late)
        answer = self.send("POST", "/console/v1/tokens", {"name": "new"}, Origin=ORIGIN)
        self.assertEqual(answer.status, 404)
        self.assertEqual(
            answer.body["itemNotFound"]["message"],
            "The new API token was not found: it was revoked while it was being made. Make it again.",
        )
        self.assertEqual([one["name"] for one in self.listed()], ["backup"])
        self.assertEqual(self.status(kept), 200)

    def test_log_out_everywhere(self) -> None:
        """The tokens stay valid unless the form asks to revoke them."""
        _, token = self.make()
        self.submit("/console/logout/everywhere")
        self.assertEqual(self.status(token), 200)
        self.reactor.advance(1)
        self.log_in()
        self.submit("/console/logout/everywhere", tokens="yes")
        self.assertEqual(self.status(token), 401)

    def test_the_audit(self) -> None:
        id, token = self.make()
        for _ in range(3):
            self.status(token)
        self.reactor.advance(61)
        self.status(token)
        self.send("DELETE", f"/console/v1/tokens/{id}", None, Origin=ORIGIN)
        self.assertEqual([one.change for one in self.events], ["made", "used", "used", "revoked"])
        self.assertEqual(
            {(one.user_id, one.project_id, one.name, one.link_id) for one in self.events},
            {("alice", "red", "backup", id)},
        )

    def test_the_store_does_not_answer(self) -> None:
        _, token = self.make()

        self.patch(self.system.transport.store, "get", lambda *_: fail(ServiceUnavailable("redis")))
        self.assertEqual(self.status(token), 503)


class PageTests(TokenCase):
    def test_a_name_with_a_control_character(self) -> None:
        answer = self.submit("/console/account/tokens", name="a\tb", right="read", days="7")
        self.assertEqual(answer.status, 400)
        self.assertIn(b"1 to 100 printable characters", answer.raw)

    def test_made_shown_once_and_revoked(self) -> None:
        answer = self.submit("/console/account/tokens", name="<b>", right="control", days="7")
        self.assertEqual((answer.status, answer["cache-control"]), (200, "no-store"))
        (token,) = re.findall(rb'value="(nvt_[\w-]{43})"', answer.raw)
        self.assertEqual(self.status(secret(token.decode())), 200)
        page = self.visit("/console/account").raw
        self.assertNotIn(token, page)
        self.assertIn(b"&lt;b&gt;", page)
        self.assertIn(b"1970-01-08 00:00 UTC", page)
        (shown,) = self.listed()
        self.assertEqual(self.submit("/console/account/revoke", "http://evil", id=shown["id"]).status, 403)
        answer = self.submit("/console/account/revoke", id=shown["id"])
        self.assertEqual((answer.status, answer["location"]), (303, "/console/account"))
        self.assertEqual(self.status(token.decode()), 401)
        self.assertEqual(self.submit("/console/account/revoke", id="x").status, 404)

    def test_a_form_that_was_changed(self) -> None:
        self.submit("/console/account/tokens", name=" x ", right="admin", days="9999")
        (shown,) = self.listed()
        self.assertEqual((shown["name"], shown["right"]), ("x", "read"))
        self.assertEqual(shown["expires_at"], "1970-01-31T00:00:00.000Z")
        self.assertEqual(self.submit("/console/account/tokens", name=" ").status, 400)


class NoAuthTests(PortalCase):
    def test_nobody_has_tokens(self) -> None:
        self.system = running(self, NoAuth(), FakeHost("host1", instance("myserver20")))
        self.assertEqual(self.system.get("/console/v1/tokens").status, 404)
        self.assertEqual(self.system.get("/console/account").status, 404)
