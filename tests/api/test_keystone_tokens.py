"""When the Keystone tokens of a log-in are revoked."""

from typing import Any

from twisted.internet.defer import Deferred, fail

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.identity.keystone.interfaces import DEADLINE
from tests.api.test_keystone_pages import KeystonePages


class RevocationTests(KeystonePages):
    def setUp(self) -> None:
        super().setUp()
        self.log_in(project="red")

    def projects_of_tokens(self) -> list[str | None]:
        return [one["token"].get("project", {}).get("id") for one in self.keystone.tokens.values()]

    def logged_out(self) -> bool:
        return b'name="password"' in self.visit().raw

    def test_log_out_revokes_the_tokens(self) -> None:
        answer = self.submit("/console/logout")
        self.assertEqual((answer.status, answer["location"]), (303, "/console/login"))
        self.assertEqual(self.keystone.tokens, {})
        self.assertTrue(self.logged_out())

    def test_another_project_revokes_the_token_of_the_first(self) -> None:
        self.assertEqual(self.projects_of_tokens(), [None, "red-id"])
        self.submit("/console/project", project="blue-id")
        self.assertEqual(self.projects_of_tokens(), [None, "blue-id"])
        self.assertIn(b"blue-vm", self.visit().raw)

    def test_nobody_waits_for_the_revocation(self) -> None:
        """If Keystone does not answer, no error is logged, because the token expires later."""
        request = self.keystone.request
        self.patch(
            self.keystone,
            "request",
            lambda method, *more, **named: Deferred() if method == "DELETE" else request(method, *more, **named),
        )
        self.assertEqual(self.submit("/console/project", project="blue-id").status, 303)
        self.reactor.advance(DEADLINE)
        self.assertIn(b"blue-vm", self.visit().raw)

    def test_two_choices_at_the_same_time(self) -> None:
        """The last choice counts, and the token of the other choice is revoked."""
        keystone = self.system.site.application._logins._keystone
        scoped = keystone.scoped

        async def scoped_late(*arguments: Any) -> Any:
            late.restore()
            token = await scoped(*arguments)
            self.assertEqual(self.submit("/console/project", project="red-id").status, 303)
            return token

        late = self.patch(keystone, "scoped", scoped_late)
        self.submit("/console/project", project="blue-id")
        self.assertEqual(self.projects_of_tokens(), [None, "blue-id"])

    def test_a_failed_log_in_leaves_no_token(self) -> None:
        known = list(self.keystone.tokens)
        self.assertEqual(self.log_in(project="green").status, 401)
        store = self.system.transport.store
        self.patch(store, "put", lambda *_: fail(ServiceUnavailable("it does not answer")))
        self.assertEqual(self.log_in(project="blue").status, 503)
        self.assertEqual(list(self.keystone.tokens), known)

    def test_log_out_while_a_project_is_chosen(self) -> None:
        """The answer of Keystone must not restore the log-in, and the new token is revoked as well."""
        keystone = self.system.site.application._logins._keystone
        scoped = keystone.scoped

        async def scoped_late(*arguments: Any) -> Any:
            token = await scoped(*arguments)
            self.assertEqual(self.submit("/console/logout").status, 303)
            return token

        self.patch(keystone, "scoped", scoped_late)
        self.submit("/console/project", project="blue-id")
        self.assertEqual(self.keystone.tokens, {})
        self.assertNotIn("api:session:", str(list(self.system.transport.store._entries)))
        self.assertTrue(self.logged_out())

    def test_log_out_while_a_project_was_chosen(self) -> None:
        """The project is chosen after the log-out has read the record, and before the log-out is noted."""
        logins = self.system.site.application._logins
        note = logins._log_outs.note_one

        async def note_late(*arguments: Any) -> None:
            noting.restore()
            self.assertEqual(self.submit("/console/project", project="blue-id").status, 303)
            await note(*arguments)

        noting = self.patch(logins._log_outs, "note_one", note_late)
        self.submit("/console/logout")
        self.assertNotIn("blue-id", self.projects_of_tokens())
        self.assertTrue(self.logged_out())
