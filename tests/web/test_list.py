"""The list of servers in a real browser, judged by what the compute host and consoleauth received."""

import base64
import io
from typing import Any

from PIL import Image
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import blockingCallFromThread
from twisted.trial.unittest import TestCase

from novnc_twisted.contract.screenshot import Screenshot
from novnc_twisted.identity import Caller, NoAuth
from tests.api.harness import FakeHost, System, instance, uuid_of
from tests.support import published
from tests.support.browser import with_page
from tests.web.steps import LONG_TIMES_END_BY_THE_TEST


class PictureHost(FakeHost):
    """A compute host whose screens are real pictures."""

    async def get_screenshot(self, instance_uuid: str, kind: str, width: int | None) -> Any:
        self.asked.append((instance_uuid, kind, width))
        file = io.BytesIO()
        Image.new("RGB", (320, 200), (20, 40, 200)).save(file, kind.upper())
        data = base64.b64encode(file.getvalue()).decode()
        return Screenshot(kind=kind, width=320, height=200, data=data).to_wire()


class ListCase(TestCase):
    """Four servers of two projects; one of them is off."""

    timeout = 300
    browser = "chromium"

    async def setUp(self) -> None:
        self.servers = {
            name: instance(name, state=state, project_name=project)
            for name, state, project in (
                ("web-10", "running", "red"),
                ("web-9", "running", "red"),
                ("archive", "shutoff", "blue"),
                ("<b>&\"'", "paused", "blue"),
            )
        }
        self.host = PictureHost("host1", *self.servers.values())
        self.system = await System(NoAuth(), self.host, reactor=reactor).start()
        await self.publish()
        port = reactor.listenTCP(0, self.system.site, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(self.system.transport.stop)
        self.addCleanup(self.system.site.empty)
        self.addCleanup(port.stopListening)
        self.url = f"http://127.0.0.1:{port.getHost().port}/"

    async def publish(self) -> None:
        self.host.instances = {one["uuid"]: one | {"host": "host1"} for one in self.servers.values()}
        await published.publish(self.system.transport.store, "host1", self.servers.values())

    def now(self, state: str, name: str = "archive") -> None:
        """In the browser's thread: change the state of a server."""
        self.servers[name] |= {"state": state}
        blockingCallFromThread(reactor, lambda: Deferred.fromCoroutine(self.publish()))

    def until(self, condition: Any) -> None:
        """In the browser's thread: wait until the condition holds."""

        async def wait() -> None:
            while not condition():
                await deferLater(reactor, 0.02, lambda: None)

        blockingCallFromThread(reactor, lambda: Deferred.fromCoroutine(wait()).addTimeout(120, reactor))

    def nothing_is_cut(self, page: Any) -> None:
        """The page is no wider than a phone, and its buttons are high enough for a finger."""
        self.assertLessEqual(page.evaluate("() => document.documentElement.scrollWidth"), 390)
        for button in page.locator("button:visible").all():
            self.assertGreaterEqual(button.bounding_box()["height"], 40)

    async def visit(self, steps: Any, path: str = "", **options: Any) -> None:
        seen = await with_page(self.url + path, steps, browser=self.browser, **options)
        self.assertEqual(seen.complaints(), [])
        self.assertEqual(seen.hosts(), {"127.0.0.1"})


class ListTests(ListCase):
    async def test_a_server_that_begins_to_run(self) -> None:
        """Its picture is requested at once, not after the interval between two pictures."""

        def steps(view: Any) -> None:
            page = view.page
            page.wait_for_function("() => document.querySelectorAll('.tile img:not([hidden])').length === 3")
            self.now("running")
            page.wait_for_selector(".tile:has-text('archive') img:not([hidden])")

        await self.visit(steps, script=LONG_TIMES_END_BY_THE_TEST)

    async def test_tiles(self) -> None:
        """Pictures of the servers that run, a state that changes without a reload, and a power action."""

        def steps(view: Any) -> None:
            page = view.page
            page.wait_for_selector(".tile img:not([hidden])")
            names = page.locator(".tile .name").all_text_contents()
            self.assertEqual(names, ["<b>&\"'", "archive", "web-9", "web-10"])
            self.assertTrue(page.locator(".tile", has_text="archive").locator(".screen").is_disabled())
            self.until(lambda: {uuid for uuid, *_ in self.host.asked} >= {uuid_of("web-9"), uuid_of("web-10")})
            self.assertNotIn(uuid_of("archive"), {uuid for uuid, *_ in self.host.asked})
            self.now("running")
            page.wait_for_selector(".tile:has-text('archive') .state[data-state=ACTIVE]")
            page.wait_for_selector(".tile:has-text('archive') img:not([hidden])")
            tile = page.locator(".tile", has_text="web-9")
            tile.locator("summary").click()
            tile.get_by_role("button", name="Reset").click()
            self.assertIn("unsaved data", page.locator("dialog").inner_text())
            page.locator("dialog").get_by_role("button", name="Cancel").click()
            tile.locator("summary").click()
            tile.get_by_role("button", name="Reset").click()
            page.locator("dialog").get_by_role("button", name="Reset").click()
            self.until(lambda: self.host.power)

        await self.visit(steps)
        self.assertEqual(self.host.power, [(uuid_of("web-9"), "reset")])
        self.assertEqual({width for *_, width in self.host.asked}, {320})

    async def test_a_reader(self) -> None:
        """No console, link, power action or picture is offered: each would be refused."""

        async def reader(*_: Any) -> Caller:
            return Caller("rita", "red", False, reads_only=True)

        self.patch(self.system.site.application._auth, "caller", reader)

        def steps(view: Any) -> None:
            page = view.page
            page.wait_for_selector(".tile")
            page.get_by_text("2 servers").wait_for()
            self.assertEqual(page.locator(".tile .nothing").all_text_contents(), ["Running", "Running"])
            for choice in page.locator(".tile").locator("button, summary, input").all():
                self.assertFalse(choice.is_visible() and choice.is_enabled())

        await self.visit(steps)
        self.assertEqual(self.host.asked, [])

    async def test_filters_are_addresses(self) -> None:
        def steps(view: Any) -> None:
            page = view.page
            page.wait_for_selector(".tile")
            names = page.locator(".tile .name")
            page.get_by_label("Project").select_option("red")
            page.wait_for_function("() => document.querySelectorAll('.tile').length === 2")
            page.get_by_label("Search").fill("10")
            page.wait_for_function("() => document.querySelectorAll('.tile').length === 1")
            self.assertTrue(page.url.endswith("?name=10&project=red"), page.url)
            page.reload()
            page.wait_for_function("() => document.querySelectorAll('.tile').length === 1")
            self.assertEqual(names.all_text_contents(), ["web-10"])
            page.go_back()
            page.wait_for_function("() => document.querySelectorAll('.tile').length === 4")
            page.get_by_label("State").select_option("Off")
            self.now("running")
            page.locator(".empty:visible").wait_for()
            self.assertIn("Off", page.get_by_label("State").inner_text().split("\n"))

        await self.visit(steps)

    async def test_by_keyboard_alone(self) -> None:
        """Tab reaches the tiles, End moves to the last one, and Enter opens its console."""

        def steps(view: Any) -> None:
            page = view.page
            page.wait_for_selector(".tile")
            page.keyboard.press("Tab")
            while page.evaluate("() => document.activeElement.className") != "screen":
                page.keyboard.press("Tab")
            page.keyboard.press("End")
            self.assertEqual(page.evaluate("() => document.activeElement.ariaLabel"), "Open the console of web-10")
            page.keyboard.press("Enter")
            self.until(lambda: self.system.consoleauth.tokens)

        await self.visit(steps)
        (made,) = self.system.consoleauth.tokens.values()
        self.assertEqual(made["connect_info"]["instance_uuid"], uuid_of("web-10"))

    async def test_sharing(self) -> None:
        """The link has the chosen right and time, and works once; times over the limit are not offered again."""
        self.system.consoleauth.expires_at = reactor.seconds() + 600  # type: ignore[attr-defined]
        shown: list[str] = []

        def steps(view: Any) -> None:
            page = view.page
            page.wait_for_selector(".tile")
            self.assertFalse(page.get_by_role("button", name="Share the console of archive").is_visible())
            page.get_by_role("button", name="Share the console of web-9").click()
            page.get_by_label("The person may").select_option("view")
            page.get_by_label("Valid for").select_option("3600")
            page.get_by_label("Opens one console once").check()
            page.get_by_role("button", name="Make a link").click()
            page.wait_for_selector(".made:visible")
            shown.append(page.get_by_label("The link").input_value())
            page.locator(".about:has-text('Links are valid for at most 10 min here.')").wait_for()
            page.get_by_role("button", name="Close").click()
            page.get_by_role("button", name="Share the console of web-9").click()
            self.assertEqual(page.get_by_label("Valid for").inner_text().split("\n"), ["5 minutes", "10 minutes"])

        await self.visit(steps)
        (made,) = self.system.consoleauth.tokens.values()
        self.assertEqual((made["connect_info"]["mode"], made["expires_in"], made["one_time"]), ("view", 3600, True))
        self.assertIn("?token=", shown[0])

    async def test_a_second_click_returns_to_the_open_console(self) -> None:
        """A tab with a session stays unchanged, one without gets a new link, and a refusal leaves the tab open."""
        session = {"id": "1", "server_id": uuid_of("web-9"), "user_id": "admin"}

        def steps(view: Any) -> None:
            page = view.page
            sessions: list[Any] = [session]
            page.route("**/v1/sessions?*", lambda route: route.fulfill(json={"sessions": sessions}))
            page.context.route("**/vnc_auto.html?*", lambda route: route.fulfill(body="a console"))
            page.reload()
            tile = page.locator(".tile", has_text="web-9")
            tile.locator(".users:has-text('admin')").wait_for()
            with page.context.expect_page() as opening:
                tile.locator(".screen").click()
            console = opening.value
            console.wait_for_url("**/vnc_auto.html?*")
            first = console.url
            tile.locator(".screen").click()
            sessions.clear()
            page.reload()
            tile.locator(".users:has-text('admin')").wait_for(state="detached")
            self.assertEqual((console.url, len(self.system.consoleauth.tokens)), (first, 1))
            tile.locator(".screen").click()
            console.wait_for_url(lambda url: url != first)
            page.route("**/consoles", lambda route: route.fulfill(json={"fault": {"message": "Not now."}}, status=503))
            tile.locator(".screen").click()
            page.locator(".note:has-text('Not now.')").wait_for()
            self.assertFalse(console.is_closed())
            view.seen.failures.clear()  # the refusal
            view.seen.console.clear()
            console.close()
            page.context.unroute("**/vnc_auto.html?*")  # other tests use this context, too

        await self.visit(steps, script=LONG_TIMES_END_BY_THE_TEST)
        self.assertEqual(len(self.system.consoleauth.tokens), 2)

    async def test_no_answer(self) -> None:
        """The list reports it in its own words, not with the browser's error message."""

        def steps(view: Any) -> None:
            page = view.page
            page.wait_for_selector(".tile")
            page.route("**/action", lambda route: route.abort())
            tile = page.locator(".tile", has_text="archive")
            tile.locator("summary").click()
            tile.get_by_role("button", name="Start").click()
            page.locator(".note:has-text('The list gets no answer. Check your network')").wait_for()
            view.seen.failures.clear()  # the request
            view.seen.console.clear()

        await self.visit(steps, script=LONG_TIMES_END_BY_THE_TEST)

    async def test_on_a_phone_nothing_is_cut(self) -> None:
        def steps(view: Any) -> None:
            view.page.wait_for_selector(".tile img:not([hidden])")
            self.nothing_is_cut(view.page)
            view.page.get_by_role("checkbox", name="Choose web-9").check()
            view.page.get_by_role("checkbox", name="Choose web-10").check()
            tile = view.page.locator(".tile", has_text="archive")
            tile.locator("summary").click()
            tile.get_by_role("button", name="Start").click()
            note, chosen = (view.page.locator(each).bounding_box() for each in (".note:has-text('archive')", ".chosen"))
            self.assertLessEqual(note["y"] + note["height"], chosen["y"], "the report is behind the button")

        await self.visit(steps, script=LONG_TIMES_END_BY_THE_TEST, size=(390, 780))

    async def test_without_scripts(self) -> None:
        """The list is a table whose links and buttons work."""

        def steps(view: Any) -> None:
            page = view.page
            self.assertEqual(page.locator("tbody tr").count(), 4)
            page.get_by_label("Search").fill("web")
            page.get_by_role("button", name="Search").click()
            page.wait_for_url("**/console/?*web*")
            self.assertEqual(page.locator("tbody th").all_text_contents(), ["web-10", "web-9"])
            page.get_by_role("link", name="web-9").click()
            # Chromium sometimes never closes a page that is loading another one.
            with page.expect_navigation():
                page.get_by_role("button", name="Suspend").click()

        await self.visit(steps, java_script_enabled=False)
        self.assertEqual(self.host.power, [(uuid_of("web-9"), "suspend")])

    async def test_in_another_language(self) -> None:
        """A German browser shows German texts, with the plural forms that fit the numbers."""

        def steps(view: Any) -> None:
            page = view.page
            page.wait_for_selector(".tile img:not([hidden])")
            self.assertEqual(page.evaluate("() => document.documentElement.lang"), "de")
            self.assertEqual(page.locator(".count").inner_text(), "4 Server")
            self.assertEqual(page.locator(".tile:has-text('archive') .state").inner_text(), "Aus")
            page.get_by_label("Projekt").select_option("red")
            page.wait_for_function("() => document.querySelector('.count').textContent === '2 von 4 Servern'")
            tile = page.locator(".tile", has_text="web-9")
            tile.locator("summary").click()
            tile.get_by_role("button", name="Zurücksetzen").click()
            self.assertIn("Zurücksetzen: web-9?", page.locator("dialog").inner_text())

        await self.visit(steps, locale="de-DE")


class ListInFirefox(ListCase):
    """The same list in Firefox: pictures, events, an action, filters, a link, and the keyboard."""

    browser = "firefox"

    async def test_a_person_works_with_the_list(self) -> None:
        def steps(view: Any) -> None:
            page = view.page
            page.wait_for_selector(".tile img:not([hidden])")
            self.now("running")
            page.wait_for_selector(".tile:has-text('archive') .state[data-state=ACTIVE]")
            tile = page.locator(".tile", has_text="web-9")
            tile.locator("summary").click()
            tile.get_by_role("button", name="Reset").click()
            page.locator("dialog").get_by_role("button", name="Reset").click()
            self.until(lambda: self.host.power)
            page.get_by_label("Project").select_option("red")
            page.wait_for_function("() => document.querySelectorAll('.tile').length === 2")
            page.get_by_role("button", name="Share the console of web-9").click()
            page.get_by_role("button", name="Make a link").click()
            page.wait_for_selector(".made:visible")
            self.assertIn("?token=", page.get_by_label("The link").input_value())
            page.keyboard.press("Escape")
            page.locator(".screen").first.focus()
            page.keyboard.press("End")
            self.assertEqual(page.evaluate("() => document.activeElement.ariaLabel"), "Open the console of web-10")
            page.set_viewport_size({"width": 390, "height": 780})
            self.nothing_is_cut(page)
            tile.locator("summary").click()
            self.nothing_is_cut(page)

        await self.visit(steps)
        self.assertEqual(self.host.power, [(uuid_of("web-9"), "reset")])
