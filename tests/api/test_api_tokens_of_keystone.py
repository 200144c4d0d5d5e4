"""API tokens of Keystone users: each has an application credential, and ends with it."""

import json
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.keystone import Answer
from novnc_twisted.messaging.interfaces import UnusableRecord
from tests.api.test_keystone_pages import KeystonePages
from tests.api.test_portal import ORIGIN
from tests.support.handed_out import secret


def _failing_for(method: Any, prefix: str) -> Any:
    """Wrap a method of the store, so that it fails for keys with this prefix."""

    def call(key: str, *others: Any) -> Any:
        return fail(ServiceUnavailable("redis")) if key.startswith(prefix) else method(key, *others)

    return call


class KeystoneTokenTests(KeystonePages):
    def make(self, **more: Any) -> tuple[str, str]:
        self.log_in(project="red")
        answer = self.system.post(
            "/console/v1/tokens", {"name": "x", **more}, Cookie=f"novnc_login={self.cookie}", Origin=ORIGIN
        )
        self.assertEqual(answer.status, 201, answer.raw)
        return answer.body["token"]["id"], secret(answer.body["token"]["token"])

    def status(self, token: str) -> int:
        return self.system.get("/v2.1/servers", X_Auth_Token=token).status

    def test_it_has_an_application_credential(self) -> None:
        _, token = self.make()
        (credential,) = self.keystone.credentials.values()
        self.assertEqual((credential["unrestricted"], credential["expires_at"]), (False, "1970-01-31T00:00:00.000000"))
        self.assertNotIn(credential["secret"], self.stored())
        answer = self.system.get("/v2.1/servers", Authorization=f"Bearer {token}")
        self.assertEqual([one["name"] for one in answer.body["servers"]], ["red-vm"])
        asked = len(self.keystone.asked)
        self.status(token)
        self.assertEqual(len(self.keystone.asked), asked)  # the result is cached

    def test_a_keystone_token_that_ended_is_replaced(self) -> None:
        _, token = self.make()
        self.assertEqual(self.status(token), 200)
        self.keystone.tokens.clear()
        self.reactor.advance(300)
        self.assertEqual(self.status(token), 200)

    def test_a_lost_role_ends_it(self) -> None:
        _, token = self.make()
        self.assertEqual(self.status(token), 200)
        del self.keystone.roles["red-id"]
        self.keystone.tokens.clear()
        self.reactor.advance(300)
        self.assertEqual(self.status(token), 401)

    def test_revoking_it_ends_the_credential(self) -> None:
        id, token = self.make()
        path = f"/console/v1/tokens/{id}"
        answer = self.system.ask("DELETE", path, Cookie=f"novnc_login={self.cookie}", Origin=ORIGIN)
        self.assertEqual((answer.status, self.keystone.credentials, self.status(token)), (204, {}, 401))
        _, token = self.make()
        self.submit("/console/logout/everywhere", tokens="yes")
        self.assertEqual((self.keystone.credentials, self.status(token)), ({}, 401))

    def test_all_are_revoked_while_one_is_made(self) -> None:
        """The new token is not made: no list would contain it, so nobody could revoke it."""
        self.log_in(project="red")
        ask, held = self.keystone.request, []

        def hold(method: str, path: str, **more: Any) -> Any:
            if not path.endswith("/application_credentials"):
                return ask(method, path, **more)
            held.append(Deferred())
            ask(method, path, **more).chainDeferred(done := Deferred())
            return held[-1].addCallback(lambda _: done)

        self.patch(self.keystone, "request", hold)
        making = self.system.send(
            "POST",
            "/console/v1/tokens",
            json.dumps({"name": "x"}).encode(),
            Content_Type="application/json",
            Cookie=f"novnc_login={self.cookie}",
            Origin=ORIGIN,
        )
        self.submit("/console/logout/everywhere", tokens="yes")
        held[0].callback(None)
        (answer,) = making.answers()
        self.assertEqual(answer.status, 404)
        self.assertIn("Make it again.", answer.body["itemNotFound"]["message"])
        self.assertNotIn("api:token:", " ".join(self.system.transport.store._entries))

    def test_the_store_fails_while_one_is_made(self) -> None:
        """No credential remains in Keystone; no entry remains in the list, unless its removal fails as well."""
        self.log_in(project="red")
        store = self.system.transport.store
        for names in (("put",), ("get",), ("put", "remove")):
            patches = [self.patch(store, name, _failing_for(getattr(store, name), "api:token")) for name in names]
            answer = self.system.post(
                "/console/v1/tokens", {"name": "x"}, Cookie=f"novnc_login={self.cookie}", Origin=ORIGIN
            )
            for patch in patches:
                patch.restore()
            self.assertEqual((answer.status, self.keystone.credentials), (503, {}), names)
            if "remove" not in names:
                self.assertNotIn("api:token", " ".join(store._entries))

    def test_the_store_and_keystone_fail_while_one_is_made(self) -> None:
        """The entry in the list is removed nevertheless, because the user did not receive the token."""
        self.log_in(project="red")
        store, holders = self.system.transport.store, self.system.site.application._api_tokens._holders
        for error in (ServiceUnavailable("the store of log-ins"), HTTPError(503, "Keystone")):
            patches = [
                self.patch(store, "put", _failing_for(store.put, "api:token:")),
                self.patch(holders, "withdraw", lambda *_, error=error: fail(error)),
            ]
            answer = self.system.post(
                "/console/v1/tokens", {"name": "x"}, Cookie=f"novnc_login={self.cookie}", Origin=ORIGIN
            )
            for patch in patches:
                patch.restore()
            self.assertEqual(answer.status, 503)
            self.assertNotIn("api:token", " ".join(store._entries))

    def test_the_others_are_revoked_if_keystone_fails(self) -> None:
        """Keystone keeps the credentials, because the user's Keystone token cannot be read."""
        tokens = [self.make()[1] for _ in range(2)]
        holders = self.system.site.application._api_tokens._holders
        patched = self.patch(holders, "withdraw", lambda *_: fail(ServiceUnavailable("the store of log-ins")))
        self.submit("/console/logout/everywhere", tokens="yes")
        patched.restore()
        self.assertEqual([self.status(token) for token in tokens], [401, 401])

    def test_the_others_are_revoked_if_a_record_cannot_be_read(self) -> None:
        tokens = [self.make()[1] for _ in range(2)]
        store = self.system.transport.store
        broken = next(key for key in store._entries if key.startswith("api:token:"))
        get, get_many = store.get, store.get_many

        def fail_for_it(key: str) -> Any:
            return fail(UnusableRecord("no object")) if key == broken else get(key)

        def find_it_unusable(keys: Sequence[str], *more: Any) -> Any:
            found = get_many(keys, *more)
            return succeed([UnusableRecord("no object")]) if list(keys) == [broken] else found

        patches = [self.patch(store, "get", fail_for_it), self.patch(store, "get_many", find_it_unusable)]
        self.submit("/console/logout/everywhere", tokens="yes")
        for patch in patches:
            patch.restore()
        self.assertNotIn("api:token", " ".join(store._entries))
        self.assertEqual([self.status(token) for token in tokens], [401, 401])

    def test_keystone_makes_no_credential(self) -> None:
        """If Keystone refuses the credential (4xx), the status is 403; after any other failure, it is 503."""
        self.log_in(project="red")
        for status, expected in ((400, 403), (401, 403), (403, 403), (409, 403), (500, 503), (503, 503), (302, 503)):
            self.patch(self.keystone, "_credential", lambda *_, status=status: Answer(status, None))
            answer = self.system.post(
                "/console/v1/tokens", {"name": "x"}, Cookie=f"novnc_login={self.cookie}", Origin=ORIGIN
            )
            self.assertEqual(answer.status, expected, status)
            self.assertEqual(b"Try again" in answer.raw, expected == 503, status)

    def test_keystone_is_down(self) -> None:
        _, token = self.make()
        self.keystone.error = ServiceUnavailable("it does not answer")
        self.assertEqual(self.status(token), 503)
        answer = self.system.post(
            "/console/v1/tokens", {"name": "x"}, Cookie=f"novnc_login={self.cookie}", Origin=ORIGIN
        )
        self.assertEqual(answer.status, 503)
        self.keystone.error = None
        self.assertEqual(self.status(token), 200)
        self.assertEqual(len(self.visit("/console/v1/tokens").body["tokens"]), 1)
