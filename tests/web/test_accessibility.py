"""axe-core finds no fault in any state of the console page and of the list."""

import re
from pathlib import Path
from typing import Any

from twisted.internet import reactor

from novnc_twisted.errors import TABLE, ConsoleUnreachable, InstanceNotRunning, ServiceUnavailable
from novnc_twisted.identity import HTTPBasic, KeystoneUsers
from tests.api import test_keystone_pages
from tests.api.harness import System
from tests.api.users import RED
from tests.support.axe import LOOKS, OPPOSITES, Axe
from tests.support.browser import with_page
from tests.web.page_case import PageTest
from tests.web.steps import LONG_TIMES_END_BY_THE_TEST, PHONE
from tests.web.test_list import ListCase
from tests.web.test_log_in import Keystone, LogInCase
from tests.web.test_session_life import BehindRelay
from tests.web.test_split import SplitCase

SHAPE = """() => [document.body.dataset.state, ...[...document.querySelectorAll('body *')].filter(
    (each) => each.checkVisibility({ visibilityProperty: true }) && each.getBoundingClientRect().width).map(
    ({ id, tagName }) => id || tagName)].join(' ')"""
"""The state of the page, and its visible elements."""


class ConsoleTests(PageTest):
    async def test_a_session(self):
        """Connected, with each panel open, without the bar, reconnecting, waiting, and disconnected."""

        def steps(page):
            axe = Axe(page.page)
            page.wait_painted()
            axe.examine("connected")
            for panel in ("keys", "clipboard", "more"):
                page.page.click(f"#{panel}")
                axe.examine(f"panel {panel}")
                page.page.click(f"#{panel}")
            page.page.click("#more")
            page.page.check("#view-only")
            page.page.click("#more")
            axe.examine("view only")
            page.page.click("#hide")
            axe.examine("without the bar")
            page.page.click("#show")
            self.refuse(ServiceUnavailable)
            self.drop()
            page.wait_said("not available")
            axe.examine("reconnecting")
            self.refuse(InstanceNotRunning)
            page.wait_said("not running")
            axe.examine("waiting for the server")
            page.page.click("#cancel")
            axe.examine("disconnected")
            self.assertEqual(axe.found, [])

        await self.visit(steps)

    async def test_gave_up(self):
        """The page stops retrying after it has waited 30 s; the test advances the page's clock."""
        self.refuse(ConsoleUnreachable)

        def steps(page):
            axe = Axe(page.page)
            page.wait_said(ConsoleUnreachable.sentence)
            gave_up = page.page.locator("#countdown", has_text="Gave up trying.")
            for _ in range(300):
                # Do not advance the clock during an attempt: its deadline could pass.
                page.page.locator("#countdown", has_text=re.compile("Trying again in|Gave up")).wait_for()
                if gave_up.count():
                    break
                page.page.clock.run_for(5_000)
            page.page.clock.resume()
            self.assertTrue(gave_up.is_visible())
            self.assertFalse(page.page.locator("#cancel").is_visible())
            axe.examine("gave up")
            self.assertEqual(axe.found, [])

        await self.visit(steps, clock=True)

    async def test_typing(self):
        """A chip shows the progress while the panel is closed, and another one that a lost connection stopped it."""

        def steps(page):
            axe = Axe(page.page)
            page.wait_painted()
            self.write_text(page, "x" * 20_000)
            page.page.click("#type")
            page.page.click("#clipboard")
            page.page.locator(".chip", has_text="Typing").wait_for()
            axe.examine("typing", OPPOSITES)
            self.drop()
            page.page.locator(".chip", has_text="Typing stopped").wait_for()
            page.wait_said("Connected")
            axe.examine("typing was stopped")
            page.page.click("#hide")
            axe.examine("typing was stopped, without the bar", OPPOSITES)
            self.assertEqual(axe.found, [])

        await self.visit(steps)

    async def test_no_pop_up(self):
        def steps(page):
            axe = Axe(page.page)
            page.wait_painted()
            page.page.evaluate("() => { window.open = () => null; document.getElementById('own').hidden = false; }")
            page.page.click("#own")
            page.page.locator(".chip", has_text="allow pop-ups").wait_for()
            axe.examine("no pop-up")
            self.assertEqual(axe.found, [])

        await self.visit(steps)

    async def test_connecting(self):
        self.console.mute = True

        def steps(page):
            axe = Axe(page.page)
            page.wait_said("Connecting")
            axe.examine("connecting")
            self.assertEqual(axe.found, [])

        await self.visit(steps)

    async def test_every_refusal(self):
        """Each close code; pages with the same elements and other words are examined once."""
        rows = list({row.close_code: row for row in TABLE.values()}.values())
        self.refuse(rows[0])

        def steps(page):
            axe = Axe(page.page)
            shapes = set()
            for row in rows:
                if row is not rows[0]:
                    self.refuse(row)
                    page.page.click("#again")
                page.wait_said(row.sentence)
                if (shape := page.page.evaluate(SHAPE)) not in shapes:
                    shapes.add(shape)
                    axe.examine(f"refused with {row.close_code}", OPPOSITES)
            self.assertGreater(len(shapes), 1)
            self.console.refusal = lambda params: (4401, "")
            page.page.goto(self.console.url(""))
            page.wait_said("This address names no console.")
            axe.examine("no link", OPPOSITES)
            self.assertEqual(axe.found, [])

        await self.visit(steps)

    async def test_a_phone(self):
        """The row of keys, a key that is held, and a button that asks for a second press."""

        def steps(page):
            axe = Axe(page.page)
            page.wait_painted()
            page.page.tap("#touch")
            axe.examine("row of keys")
            page.page.tap("#keyrow >> text=Ctrl")
            page.page.locator(".chip").wait_for()
            axe.examine("a key is held")
            page.page.tap("#keys")
            page.page.locator("#destructive button").first.tap()
            page.page.locator(".armed").wait_for()
            axe.examine("press again", LOOKS[-1:])
            self.assertEqual(axe.found, [])

        await self.visit(steps, script=LONG_TIMES_END_BY_THE_TEST, **PHONE)


class NoAnswer(BehindRelay):
    async def test_no_answer(self):
        def steps(page):
            axe = Axe(page.page)
            page.wait_painted()
            self.freeze()
            page.type("b")
            page.wait_said("No answer")
            axe.examine("no answer")
            self.assertEqual(axe.found, [])
            self.thaw()

        await with_page(self.url(), steps)


class ListTests(ListCase):
    async def test_the_list(self) -> None:
        """Tiles, a menu, both dialogs, and the page of a server."""

        def steps(view: Any) -> None:
            page = view.page
            axe = Axe(page)
            page.wait_for_selector(".tile img:not([hidden])")
            axe.examine("tiles")
            tile = page.locator(".tile", has_text="web-9")
            tile.locator("summary").click()
            axe.examine("menu")
            tile.get_by_role("button", name="Reset").click()
            axe.examine("question")
            page.locator("dialog").get_by_role("button", name="Cancel").click()
            tile.get_by_role("button", name="Share").click()
            axe.examine("sharing")
            page.get_by_role("button", name="Make a link").click()
            page.wait_for_selector(".made:visible")
            axe.examine("a link was made")
            page.locator("dialog").get_by_role("button", name="Close").click()
            for name in ("web-9", "web-10"):
                page.get_by_role("checkbox", name=f"Choose {name}").check()
            axe.examine("chosen")
            page.get_by_label("Search").fill("none of them")
            page.wait_for_function("() => !document.querySelector('.tile')")
            page.get_by_text("No server matches.").wait_for()
            axe.examine("nothing found")
            page.get_by_label("Search").fill("")
            page.wait_for_selector(".tile")
            page.locator(".tile .name", has_text="web-9").click()
            page.wait_for_url("**/servers/*")
            axe.examine("a server")
            self.assertEqual(axe.found, [])

        await with_page(self.url + "console/", steps)

    async def test_the_table(self) -> None:
        """The list without the page's scripts; those of axe-core still run."""

        def steps(view: Any) -> None:
            view.page.route("**/assets/list-*.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
            view.page.goto(self.url + "console/")
            axe = Axe(view.page)
            axe.examine("table")
            view.page.goto(self.url + "console/?name=none+of+them")
            view.page.get_by_text("No server matches.").wait_for()
            axe.examine("table without a match")
            view.page.goto(self.url + "console/nothing")
            axe.examine("not found")
            self.assertEqual(axe.found, [])

        await with_page(self.url + "console/", steps)

    async def test_no_servers(self) -> None:
        self.servers.clear()
        await self.publish()

        def steps(view: Any) -> None:
            view.page.get_by_text("There are no servers that you may see.").wait_for()
            axe = Axe(view.page)
            axe.examine("no servers")
            self.assertEqual(axe.found, [])

        await with_page(self.url + "console/", steps)

    async def test_the_log_in(self) -> None:
        file = Path(self.mktemp())
        file.write_text(f"alice:{RED}:red\n")
        system = await System(HTTPBasic(reactor, file), self.host, reactor=reactor).start()
        self.addCleanup(system.transport.stop)
        self.addCleanup(system.site.empty)
        port = reactor.listenTCP(0, system.site, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)

        def steps(view: Any) -> None:
            axe = Axe(view.page)
            axe.examine("log-in")
            view.page.get_by_label("User").fill("alice")
            view.page.get_by_label("Password").fill("wrong")
            view.page.get_by_role("button", name="Log in").click()
            view.page.wait_for_selector("[role=alert]")
            axe.examine("log-in refused")
            view.page.get_by_label("Password").fill("r3d:pass")
            view.page.get_by_role("button", name="Log in").click()
            view.page.wait_for_selector(".tile, .empty, .count")
            view.page.get_by_role("link", name="Account").click()
            view.page.get_by_label("Name").fill("backup")
            axe.examine("account")
            view.page.get_by_role("button", name="Make a token").click()
            view.page.get_by_label("The new token").wait_for()
            axe.examine("a new token")
            self.assertEqual(axe.found, [])

        await with_page(f"http://127.0.0.1:{port.getHost().port}/console/", steps)


class ProjectTests(LogInCase):
    def auth(self) -> Any:
        self.keystone = Keystone()
        return KeystoneUsers(reactor, self.keystone, identity_url="https://k/v3")  # type: ignore[arg-type]

    async def test_projects(self) -> None:
        """The choice after the log-in, again with a chosen project, and without any project."""

        def steps(view: Any) -> None:
            page = view.page
            axe = Axe(page)
            axe.examine("log-in with a domain", OPPOSITES)
            self.log_in_by_keyboard(page, test_keystone_pages.PASSWORD)
            page.get_by_role("heading", name="Choose a project").wait_for()
            axe.examine("choose a project")
            page.get_by_role("button", name="red").click()
            page.get_by_role("link", name="Other project").click()
            page.locator("[aria-current]").wait_for()
            axe.examine("choose another project", OPPOSITES)
            self.keystone.roles.clear()
            page.reload()
            page.get_by_text("You have a role in no project.").wait_for()
            axe.examine("no project", OPPOSITES)
            self.assertEqual(axe.found, [])

        await with_page(self.url, steps)


class SplitTests(SplitCase):
    async def test_side_by_side(self) -> None:
        """Two consoles, and a server that is off, on a desktop and on a phone."""

        def steps(view: Any) -> None:
            axe = Axe(view.page)
            view.page.locator("[data-name=web-1] iframe").wait_for()
            view.page.get_by_text("off has no screen now").wait_for()
            axe.examine("side by side")
            view.page.set_viewport_size({"width": 390, "height": 780})
            axe.examine("side by side on a phone")
            self.assertEqual(axe.found, [])

        await with_page(self.address("web-1", "off"), steps)
