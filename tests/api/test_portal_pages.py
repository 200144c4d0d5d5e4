"""The pages below ``/console/`` after a log-in, and the functions for redirect paths and HTML tags."""

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.api.portal.forms import local_path
from novnc_twisted.api.portal.html import Markup, tag
from tests.api.harness import uuid_of
from tests.api.test_portal import RED, PortalCase


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

    def test_the_root_redirects_browsers(self) -> None:
        answer = self.visit("/", Accept="text/html,application/xhtml+xml,*/*;q=0.8")
        self.assertEqual((answer.status, answer["location"]), (303, "/console/"))
        for accept in ("application/json", "*/*", ""):
            self.assertEqual(list(self.visit("/", Accept=accept).body), ["versions"])


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
