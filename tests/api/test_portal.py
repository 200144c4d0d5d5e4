"""Log-ins and log-outs below ``/console/``, what each user sees, and requests from other sites."""

from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import urlencode

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.api.admission import Admission
from novnc_twisted.api.console import log_in_check
from novnc_twisted.identity import NoAuth
from novnc_twisted.identity.tokens import TOKEN_TTL
from tests.api.harness import FakeHost, instance, quick_hash, running, uuid_of
from tests.api.test_events import lose
from tests.api.users import UsersCase, basic
from tests.http.harness import Answer, Connection

ORIGIN = "http://localhost:8774"
RED = uuid_of("red-vm")
BLUE = quick_hash("blue:pass")


class PortalCase(UsersCase):
    cookie = ""

    def visit(self, path: str = "/console/", **headers: str) -> Answer:
        return self.send("GET", path, None, **headers)

    def submit(self, path: str, origin: str | None = ORIGIN, /, **form: str) -> Answer:
        headers = {"Content_Type": "application/x-www-form-urlencoded"} | ({"Origin": origin} if origin else {})
        return self.send("POST", path, urlencode(form).encode(), **headers)

    def send(self, method: str, path: str, body: Any, **headers: str) -> Answer:
        more = {"Cookie": f"theme=dark; novnc_login={self.cookie}; x"} if self.cookie else {}
        return self.system.ask(method, path, body, **more, **headers)

    def log_in(self, user: str = "alice", password: str = "r3d:pass", **more: str) -> Answer:
        answer = self.submit("/console/login", user=user, password=password, **more)
        if answer.status == 303:
            self.cookie = self.cookie_of(answer)
        return answer

    def cookie_of(self, answer: Answer) -> str:
        return answer["set-cookie"].partition(";")[0].removeprefix("novnc_login=")


class LogInTests(PortalCase):
    def test_a_person_logs_in_and_sees_the_servers_of_the_project(self) -> None:
        form = self.visit()
        self.assertEqual((form.status, b'name="password"' in form.raw), (200, True))
        answer = self.log_in(next="/console/servers/" + RED)
        self.assertEqual((answer.status, answer["location"]), (303, f"/console/servers/{RED}"))
        attributes = answer["set-cookie"].split("; ")[1:]
        self.assertEqual(attributes, [f"Max-Age={TOKEN_TTL}", "Path=/", "HttpOnly", "SameSite=Lax"])
        page = self.visit()
        self.assertIn(b"red-vm", page.raw)
        for secret in (b"blue-vm", b"nobodys", self.cookie.encode()):
            self.assertNotIn(secret, page.raw)
        self.assertEqual(self.visit(f"/console/servers/{uuid_of('blue-vm')}").status, 404)

    def test_the_log_in_leads_to_the_filtered_list(self) -> None:
        """The filters of a link survive the log-in; their special characters are encoded in the form."""
        form = self.visit("/console/?name=%22%3E%C3%A4+b&state=ACTIVE&state=").raw.decode()
        wanted = "/console/?name=%22%3E%C3%A4+b&amp;state=ACTIVE&amp;state="
        self.assertIn(f'name="next" value="{wanted}"', form)
        answer = self.log_in(next=unescape(wanted))
        self.assertEqual(answer["location"], unescape(wanted))

    def test_an_administrator(self) -> None:
        self.log_in("root", "toor")
        for name in (b"red-vm", b"blue-vm", b"nobodys", b"host1"):
            self.assertIn(name, self.visit().raw)
        self.log_in("root", "toor", project="red")
        self.assertIn(b"root, administrator", self.visit().raw)

    def test_wrong_passwords_and_projects(self) -> None:
        for user, password, project in (("alice", "wrong", ""), ("nobody", "x", ""), ("alice", "r3d:pass", "blue-id")):
            answer = self.log_in(user, password, project=project)
            self.assertEqual(answer.status, 401)
            self.assertIn(b"The user, the password or the project is wrong.", answer.raw)
            self.assertNotIn("set-cookie", answer.headers)
            self.assertNotIn(b"r3d:pass", answer.raw)

    def test_a_locked_out_user_is_notified(self) -> None:
        for _ in range(5):
            self.log_in(password="wrong")
        answer = self.log_in()
        self.assertEqual((answer.status, "retry-after" in answer.headers), (429, True))
        self.assertIn(b"Too many failed log-ins", answer.raw)
        self.assertEqual([one.cause for one in self.refusals], ["LockedOut"])

    def test_the_cookie_is_good_for_the_apis(self) -> None:
        self.log_in()
        self.assertEqual([one["name"] for one in self.visit("/console/v1/servers").body["servers"]], ["red-vm"])
        body = {"os-stop": None}
        path = f"/v2.1/servers/{RED}/action"
        for origin, status in ((None, 403), ("https://localhost:8774", 403), ("http://evil", 403), (ORIGIN, 202)):
            headers = {"Origin": origin} if origin else {}
            self.assertEqual(self.send("POST", path, body, **headers).status, status, origin)
        self.assertEqual(len(self.hosts[0].power), 1)

    def test_other_sites_change_nothing(self) -> None:
        self.log_in()
        for path in ("/console/login", "/console/logout", f"/console/servers/{RED}/open"):
            for origin in (None, "null", "http://evil", "http://localhost", "http://localhost:8774.evil"):
                answer = self.submit(path, origin, user="alice", password="r3d:pass")
                self.assertEqual((answer.status, "set-cookie" in answer.headers), (403, False), (path, origin))
        self.assertEqual(self.hosts[0].asked, [])

    def test_log_out(self) -> None:
        self.log_in()
        answer = self.submit("/console/logout")
        self.assertEqual((answer.status, answer["location"]), (303, "/console/login"))
        self.assertIn("novnc_login=; Max-Age=0;", answer["set-cookie"])

    def test_a_copied_cookie_is_logged_out(self) -> None:
        """All cookies of the log-in become invalid; the log-in of another browser stays valid."""
        self.log_in()
        elsewhere = self.cookie
        self.log_in()
        first = self.cookie
        self.reactor.advance(TOKEN_TTL / 2)
        self.cookie = renewed = self.cookie_of(self.visit())
        self.submit("/console/logout")
        for cookie, status in ((first, 401), (renewed, 401), (elsewhere, 200)):
            self.cookie = cookie
            self.assertEqual(self.visit("/console/v1/servers").status, status)

    def test_a_log_out_without_a_log_in_leaves_nothing(self) -> None:
        store = self.system.transport.store
        self.cookie = "gAAAA" + "x" * 100
        before = len(store._entries)
        self.submit("/console/logout")
        self.assertEqual(len(store._entries), before)

    def test_log_out_everywhere(self) -> None:
        """A later log-in is valid, even in the same second."""
        self.log_in()
        elsewhere = self.cookie
        self.reactor.advance(0.3)
        self.assertEqual(self.submit("/console/logout/everywhere").status, 303)
        for cookie in (self.cookie, elsewhere):
            self.cookie = cookie
            self.assertIn(b'name="password"', self.visit().raw)
            self.assertEqual(self.visit("/console/v1/servers").status, 401)
        token = self.token()  # an API client is not logged out
        self.assertEqual(self.system.get("/v2.1/servers", X_Auth_Token=token).status, 200)
        self.reactor.advance(0.3)
        self.cookie = ""
        self.log_in()
        self.assertIn(b"red-vm", self.visit().raw)

    def test_log_out_everywhere_during_a_renewal(self) -> None:
        """A page that is opened at the same time must not renew the log-in."""
        self.log_in()
        self.reactor.advance(TOKEN_TTL / 2)
        issue = self.system.site.application._tokens.issue

        async def issue_late(*arguments: Any, **more: Any) -> Any:
            original.restore()
            self.assertEqual(self.submit("/console/logout/everywhere").status, 303)
            self.reactor.advance(0.3)
            return await issue(*arguments, **more)

        original = self.patch(self.system.site.application._tokens, "issue", issue_late)
        self.cookie = self.cookie_of(self.visit())
        self.assertEqual(self.visit("/console/v1/servers").status, 401)

    def test_log_out_everywhere_if_a_clock_was_ahead(self) -> None:
        """Log-ins with a time in the future become invalid as well."""
        ahead = self.patch(self.system.site.application._tokens, "_now", lambda: self.reactor.seconds() + 30)
        self.log_in()
        elsewhere = self.cookie
        ahead.restore()
        self.reactor.advance(0.3)
        self.log_in()
        self.submit("/console/logout/everywhere")
        self.cookie = elsewhere
        self.assertEqual(self.visit("/console/v1/servers").status, 401)

    def test_a_cookie_is_not_a_token(self) -> None:
        """Nor is a token a cookie.  Beside other credentials, a cookie that was logged out is not renewed."""
        self.log_in()
        self.assertEqual(self.system.get("/v2.1/servers", X_Auth_Token=self.cookie).status, 401)
        self.reactor.advance(TOKEN_TTL / 2)
        self.submit("/console/logout/everywhere")
        answer = self.visit(Authorization=basic("boris", "r3d:pass"))
        self.assertEqual((answer.status, b"blue-vm" in answer.raw, "set-cookie" in answer.headers), (200, True, False))
        self.cookie = self.token()
        self.assertEqual(self.visit("/console/v1/servers").status, 401)

    def test_other_sites_cannot_use_a_password_that_the_browser_remembers(self) -> None:
        path = f"/console/servers/{RED}/power"
        body, kind = b"action=os-stop", "application/x-www-form-urlencoded"
        for origin, status in (("http://evil", 403), ("null", 403), (ORIGIN, 303)):
            headers = {"Authorization": basic("alice", "r3d:pass"), "Content_Type": kind, "Origin": origin}
            self.assertEqual(self.send("POST", path, body, **headers).status, status)
        self.assertEqual(len(self.hosts[0].power), 1)

    def test_too_many_requests(self) -> None:
        """The limit for API requests applies to pages, too."""
        self.log_in()
        self.patch(Admission, "admit", lambda _self: 7)
        answer = self.visit()
        self.assertEqual((answer.status, answer["retry-after"]), (429, "7"))

    def test_pages_renew_the_log_in_and_api_requests_do_not(self) -> None:
        self.log_in()
        first = self.cookie
        self.reactor.advance(TOKEN_TTL / 2)
        self.assertNotIn("set-cookie", self.visit("/console/v1/servers").headers)
        answer = self.visit()
        self.cookie = self.cookie_of(answer)
        self.assertNotEqual(self.cookie, first)
        self.assertNotIn("set-cookie", self.visit().headers)
        self.reactor.advance(TOKEN_TTL * 0.75)
        self.assertIn(b"red-vm", self.visit().raw)
        self.cookie = first
        self.assertIn(b'name="password"', self.visit().raw)

    def test_the_user_was_removed(self) -> None:
        self.log_in()
        self.file.write_text(self.file.read_text().replace("alice:", "alicia:"))
        self.reactor.advance(10)
        self.assertIn(b'name="password"', self.visit().raw)

    def test_forms_that_cannot_be_read(self) -> None:
        self.assertEqual(self.send("POST", "/console/login", {"user": "alice"}, Origin=ORIGIN).status, 415)
        many = urlencode([("user", "x")] * 100).encode()
        kind = "application/x-www-form-urlencoded"
        for body in (many, b"user=%ff&password=x", b"\xff"):
            answer = self.send("POST", "/console/login", body, Origin=ORIGIN, Content_Type=kind)
            self.assertEqual(answer.status, 400, body[:20])
        for nonsense in ("novnc_login", "novnc_login=", "novnc_login=gAAAA", ";;;=;", "novnc_login=" + "x" * 5000):
            self.assertEqual(self.visit(Cookie=nonsense).status, 200)


class StreamTests(PortalCase):
    """The end of a log-in ends its event streams within seconds; those of others go on."""

    def stream(self, **headers: str) -> Connection:
        return self.system.send("GET", "/console/v1/events", **headers)

    def with_cookie(self, cookie: str) -> Connection:
        return self.stream(Cookie=f"novnc_login={cookie}")

    def ended(self, stream: Connection) -> bool:
        return stream.transport.value().endswith(b"0\r\n\r\n")

    def wait(self) -> None:
        self.reactor.pump([0.5] * int(2 * log_in_check.INTERVAL))

    def end_by(self, stream: Connection, work: Callable[[], object]) -> None:
        other = self.stream(Authorization=basic("root", "toor"))
        self.wait()
        self.assertEqual([self.ended(one) for one in (stream, other)], [False, False])
        work()
        self.wait()
        self.assertEqual([self.ended(one) for one in (stream, other)], [True, False])

    def change(self, old: str, new: str) -> None:
        self.file.write_text(self.file.read_text().replace(old, new))

    def test_the_log_out_everywhere(self) -> None:
        self.log_in()
        self.end_by(self.with_cookie(self.cookie), lambda: self.submit("/console/logout/everywhere"))

    def test_the_log_out(self) -> None:
        """Streams with an older cookie of this log-in end, too; those of another browser do not."""
        self.log_in()
        first = self.cookie
        self.reactor.advance(TOKEN_TTL / 2)
        renewed = self.cookie_of(self.visit())
        self.log_in()
        elsewhere = self.with_cookie(self.cookie)
        self.cookie = renewed
        self.end_by(self.with_cookie(first), lambda: self.submit("/console/logout"))
        self.assertFalse(self.ended(elsewhere))

    def test_one_check_for_all_tabs(self) -> None:
        """The number of checks grows with the log-ins, not with their streams."""
        self.log_in()
        logins = self.system.site.application._logins
        caller, asked = logins.caller, []

        def counted(*arguments: Any) -> Any:
            asked.append(arguments)
            return caller(*arguments)

        tabs = [self.with_cookie(self.cookie) for _ in range(4)]
        self.log_in()
        tabs.append(self.with_cookie(self.cookie))
        self.patch(logins, "caller", counted)
        self.wait()
        self.assertEqual(len(asked), 2)
        lose(tabs[0])
        self.wait()
        self.assertEqual(len(asked), 4)
        self.submit("/console/logout/everywhere")
        self.wait()
        self.assertEqual([self.ended(one) for one in tabs], [False, True, True, True, True])
        asked.clear()
        self.wait()
        self.assertEqual(asked, [])

    def test_another_password(self) -> None:
        self.log_in()
        streams = [self.with_cookie(self.cookie), self.stream(X_Auth_Token=self.token())]
        self.end_by(
            self.stream(Authorization=basic("alice", "r3d:pass")), lambda: self.change("alice:", f"alice:{BLUE}:red\n#")
        )
        self.assertEqual([self.ended(one) for one in streams], [True, True])

    def test_a_user_is_removed_or_moved(self) -> None:
        for old, new in (("alice:", "alicia:"), (":red\n", ":blue-id\n")):
            self.end_by(
                self.stream(Authorization=basic("alice", "r3d:pass")), lambda old=old, new=new: self.change(old, new)
            )
            self.change(new, old)

    def test_a_user_is_locked_out(self) -> None:
        """Passwords are not compared during a lock-out, so a changed one would not be noticed."""
        lockout = self.system.site.application._auth._lockout

        def lock_out() -> None:
            self.patch(lockout, "locked_for", lambda user, _address: 9.0 if user == "alice" else 0.0)

        self.end_by(self.stream(Authorization=basic("alice", "r3d:pass")), lock_out)


class NoAuthTests(SynchronousTestCase):
    def test_no_log_in_on_loopback(self) -> None:
        system = running(self, NoAuth(), FakeHost("host1", instance("myserver20")))
        page = system.get("/console/")
        self.assertIn(b"myserver20", page.raw)
        self.assertNotIn(b"Log out", page.raw)
        answer = system.get("/console/login")
        self.assertEqual((answer.status, answer["location"]), (303, "/console/"))
        answer = system.ask(
            "POST",
            "/console/login",
            b"user=x&password=y",
            Origin=ORIGIN,
            Content_Type="application/x-www-form-urlencoded",
        )
        self.assertEqual((answer.status, "set-cookie" in answer.headers), (403, False))
        self.assertEqual(system.get("/console/", Sec_Fetch_Site="cross-site").status, 403)
