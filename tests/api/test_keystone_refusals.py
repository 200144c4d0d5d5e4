"""Log-ins that Keystone refuses or does not answer."""

from typing import Any
from urllib.parse import urlencode

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.identity.keystone.log_in import MAX_LOG_INS
from novnc_twisted.keystone import Answer
from tests.api.test_keystone_pages import PASSWORD, KeystonePages
from tests.api.test_portal import ORIGIN
from tests.support.logged import Logged


class WrongTests(KeystonePages):
    def test_a_wrong_password_keeps_the_form(self) -> None:
        answer = self.log_in(password="<wrong>", user='"al>', next="/console/?name=vm")
        self.assertEqual(answer.status, 401)
        self.assertIn(b"The user, the password, the domain or the project is wrong.", answer.raw)
        self.assertIn(b'value="&quot;al&gt;"', answer.raw)
        self.assertIn(b'value="/console/?name=vm"', answer.raw)
        self.assertNotIn(b"wrong&gt;", answer.raw)
        self.assertNotIn("set-cookie", answer.headers)

    def test_wrong_passwords_lock_out_before_keystone_is_asked(self) -> None:
        for _ in range(5):
            self.log_in(password="wrong")
        asked = len(self.keystone.asked)
        answer = self.log_in()
        self.assertEqual((answer.status, "retry-after" in answer.headers), (429, True))
        self.assertEqual(len(self.keystone.asked), asked)

    def test_a_name_of_two_projects(self) -> None:
        """The user chooses one of them, unless the form has the name with the domain, or the id."""
        self.keystone.roles = {"red-id": ("member",), "blue-id": ("reader",)}
        rows = [{"id": id, "name": "demo", "domain_id": id.removesuffix("-id")} for id in self.keystone.roles]
        show = self.keystone._show

        def show_two(path: str, **more: Any) -> Answer:
            return Answer(200, {"projects": rows}) if path == "/auth/projects" else show(path, **more)

        self.patch(self.keystone, "_show", show_two)
        answer = self.log_in(project="demo", next="/console/?name=vm")
        self.assertEqual(answer.status, 303)
        answer = self.visit("/console/?name=vm")
        self.assertEqual(answer["location"], "/console/project?next=%2Fconsole%2F%3Fname%3Dvm")
        for project in ("demo (red)", "red-id"):
            self.log_in(project=project)
            self.assertIn(b"red-vm", self.visit().raw)

    def test_another_spelling_of_a_name_gives_no_further_guesses(self) -> None:
        """Keystone's database usually ignores case, accents and trailing spaces in names."""
        for number, user in enumerate(("Alice", "alice ", "\u00c1lice", "ALICE", "alice")):
            self.log_in(user=user, domain="default" if number % 2 else "Default", password="wrong")
        self.assertEqual(self.log_in(user="aLice").status, 429)
        self.assertEqual(self.log_in(user="alicia").status, 401)

    def test_guesses_from_many_addresses_are_delayed(self) -> None:
        lockout = self.system.site.application._logins._keystone._lockout
        for number in range(lockout._settings.failures_per_user):
            lockout.failed("default\nalice", f"198.51.{number // 250}.{number % 250}")
        form = urlencode({"user": "alice", "password": "wrong", "domain": "Default"}).encode()
        kind = "application/x-www-form-urlencoded"
        asked = len(self.keystone.asked)
        waiting = self.system.send("POST", "/console/login", form, Content_Type=kind, Origin=ORIGIN)
        self.assertEqual(len(self.keystone.asked), asked)
        self.reactor.advance(0.5)
        self.assertEqual((waiting.answers()[0].status, len(self.keystone.asked)), (401, asked + 1))

    def test_keystone_is_down(self) -> None:
        self.keystone.error = ServiceUnavailable("it does not answer")
        log = Logged(self)
        answer = self.log_in()
        self.log_in()
        self.assertEqual((answer.status, b'value="alice"' in answer.raw), (503, True))
        self.assertEqual(len(log.lines("it does not answer")), 1)
        self.assertIn(b"The identity service (Keystone) does not answer.", answer.raw)
        self.keystone.error = None
        self.log_in(project="red")
        self.keystone.error = ServiceUnavailable("it does not answer")
        answer = self.visit()
        self.assertEqual(answer.status, 503)
        self.assertIn(b"The identity service (Keystone) does not answer.", answer.raw)
        self.assertEqual(self.visit("/console/v1/servers").status, 503)
        self.keystone.error = None
        self.assertIn(b"red-vm", self.visit().raw)

    def test_a_keystone_that_hangs(self) -> None:
        self.keystone.silent = True
        form = urlencode({"user": "alice", "password": PASSWORD, "domain": "Default"}).encode()
        kind = "application/x-www-form-urlencoded"
        waiting = [
            self.system.send("POST", "/console/login", form, Content_Type=kind, Origin=ORIGIN)
            for _ in range(MAX_LOG_INS)
        ]
        self.assertEqual(self.log_in().status, 503)  # at once
        self.reactor.advance(5)
        self.assertEqual({one.answers()[0].status for one in waiting}, {503})
