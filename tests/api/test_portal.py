"""The pages below ``/console/``: log-in and log-out, what is shown to whom, and what other sites can't do."""

from html import unescape
from typing import Any
from urllib.parse import urlencode

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.api.admission import Admission
from novnc_twisted.api.portal.forms import local_path
from novnc_twisted.api.portal.html import Markup, tag
from novnc_twisted.identity import NoAuth
from novnc_twisted.identity.tokens import TOKEN_TTL
from tests.api.harness import FakeHost, instance, running, uuid_of
from tests.api.users import UsersCase, basic
from tests.http.harness import Answer

ORIGIN = "http://localhost:8774"
RED = uuid_of("red-vm")


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
        """A bookmark or a colleague's link keeps its filters; what a form could break out of is encoded."""
        form = self.visit("/console/?name=%22%3E%C3%A4+b&state=ACTIVE&state=").raw.decode()
        wanted = "/console/?name=%22%3E%C3%A4+b&amp;state=ACTIVE&amp;state="
        self.assertIn(f'name="next" value="{wanted}"', form)
        answer = self.log_in(next=unescape(wanted))
        self.assertEqual(answer["location"], unescape(wanted))

    def test_users_of_a_keystone_read_what_to_use_instead(self) -> None:
        self.patch(self.system.site.application._auth, "own_identity", False)
        answer = self.visit()
        self.assertEqual((answer.status, b'name="password"' in answer.raw), (401, False))
        self.assertIn(b"Use your OpenStack&#x27;s dashboard or client.", answer.raw)

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

    def test_a_locked_out_user_is_told(self) -> None:
        for _ in range(5):
            self.log_in(password="wrong")
        answer = self.log_in()
        self.assertEqual((answer.status, "retry-after" in answer.headers), (429, True))
        self.assertIn(b"Too many failed log-ins", answer.raw)

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

    def test_log_out_everywhere(self) -> None:
        self.log_in()
        elsewhere = self.cookie
        self.reactor.advance(1)
        self.assertEqual(self.submit("/console/logout/everywhere").status, 303)
        for cookie in (self.cookie, elsewhere):
            self.cookie = cookie
            self.assertIn(b'name="password"', self.visit().raw)
            self.assertEqual(self.visit("/console/v1/servers").status, 401)
        token = self.token()  # an API client is not logged out
        self.assertEqual(self.system.get("/v2.1/servers", X_Auth_Token=token).status, 200)
        self.reactor.advance(1)
        self.cookie = ""
        self.log_in()
        self.assertIn(b"red-vm", self.visit().raw)

    def test_a_copied_cookie_is_logged_out_too(self) -> None:
        """Neither as the token of an API client, nor beside credentials of somebody else."""
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
        """Pages count as requests of the APIs do."""
        self.log_in()
        self.patch(Admission, "admit", lambda _self: 7)
        answer = self.visit()
        self.assertEqual((answer.status, answer["retry-after"]), (429, "7"))

    def test_it_is_renewed_by_a_person_and_not_by_a_page(self) -> None:
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

    def test_the_password_changed(self) -> None:
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


class PageTests(PortalCase):
    def setUp(self) -> None:
        super().setUp()
        self.log_in()

    def test_a_console_is_opened(self) -> None:
        answer = self.submit(f"/console/servers/{RED}/open")
        self.assertEqual(answer.status, 303)
        self.assertTrue(answer["location"].startswith("http://127.0.0.1:6080/vnc_auto.html?token="))
        self.assertEqual(self.submit(f"/console/servers/{uuid_of('blue-vm')}/open").status, 404)

    def test_power(self) -> None:
        answer = self.submit(f"/console/servers/{RED}/power", action="reboot-hard")
        self.assertEqual((answer.status, answer["location"]), (303, f"/console/servers/{RED}"))
        self.assertEqual(self.hosts[0].power, [(RED, "reset")])
        self.assertEqual(self.submit(f"/console/servers/{RED}/power", action="destroy").status, 400)
        self.hosts[0].power_reply = {"state": "shutoff", "conflict": "state"}
        answer = self.submit(f"/console/servers/{RED}/power", action="pause")
        self.assertEqual((answer.status, b"vm_state stopped" in answer.raw), (409, True))

    def test_what_is_offered_depends_on_the_state(self) -> None:
        for state, offered, missing in (("running", b"Shut down", b">Start<"), ("shutoff", b">Start<", b"Shut down")):
            self.hosts[0].instances[RED]["state"] = state
            page = self.visit(f"/console/servers/{RED}").raw
            self.assertIn(offered, page)
            self.assertNotIn(missing, page)
            self.assertEqual(b"Open console" in page, state == "running")

    def test_names_are_escaped(self) -> None:
        name = "<script>alert('1')</script>\"&"
        self.hosts[0].instances[RED]["name"] = name
        for path in ("/console/", f"/console/servers/{RED}", "/console/?name=%3Cscript%3E%22"):
            page = self.visit(path)
            self.assertEqual(page.status, 200)
            self.assertNotIn(b"<script>", page.raw)

    def test_security_headers(self) -> None:
        for path in ("/console/", "/console/login", "/console/nothing", f"/console/servers/{RED}"):
            page = self.visit(path)
            self.assertIn("frame-ancestors 'none'", page["content-security-policy"])
            self.assertIn("script-src 'self';", page["content-security-policy"])
            self.assertEqual((page["cache-control"], page["x-content-type-options"]), ("no-store", "nosniff"))

    def test_paths_and_methods(self) -> None:
        for path in ("/console/nothing", "/console/servers", "/console/servers/x", f"/console/servers/{RED}/x"):
            self.assertEqual(self.visit(path).status, 404, path)
        for path in ("/console/assets/../list.json", "/console/assets/%2e%2e/vnc_auto.html", "/console/assets"):
            self.assertEqual(self.visit(path).status, 404, path)
        for path in ("/console/", "/console/favicon.svg"):
            self.assertEqual(self.submit(path).status, 405)
        self.assertEqual(self.visit(f"/console/servers/{RED}/open").status, 405)
        self.assertEqual(self.visit("/console/?marker=x").status, 400)

    def test_search(self) -> None:
        self.assertIn(b"red-vm", self.visit("/console/?name=red").raw)
        self.assertIn(b"No server matches.", self.visit("/console/?name=nothing").raw)

    def test_the_address_alone(self) -> None:
        answer = self.visit("/", Accept="text/html,application/xhtml+xml,*/*;q=0.8")
        self.assertEqual((answer.status, answer["location"]), (303, "/console/"))
        for accept in ("application/json", "*/*", ""):
            self.assertEqual(list(self.visit("/", Accept=accept).body), ["versions"])


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


class PieceTests(SynchronousTestCase):
    def test_where_a_log_in_may_lead(self) -> None:
        for wanted in ("/console/", "/console/servers/x", "/console/?name=a"):
            self.assertEqual(local_path(wanted, ""), wanted)
        for wanted in (
            "",
            "//evil/console/",
            "https://evil/console/",
            "/console",
            "/console/\\evil",
            "/console/\n",
            "/x",
        ):
            self.assertEqual(local_path(wanted, "/p"), "/p/console/")

    def test_tags(self) -> None:
        made = tag("a", "<b>", tag("i", 1), href='"><x>', class_="c", hidden=True, title=None, data_id=False)
        self.assertEqual(made, '<a href="&quot;&gt;&lt;x&gt;" class="c" hidden>&lt;b&gt;<i>1</i></a>')
        self.assertIsInstance(made, Markup)
        self.assertEqual(tag("input", name="x"), '<input name="x">')
