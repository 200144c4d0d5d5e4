"""Sizes and positions that were once wrong: in the list of servers, the side-by-side page and the log-in."""

from typing import Any

from twisted.internet import reactor

from novnc_twisted.identity import KeystoneUsers
from tests.api import test_keystone_pages
from tests.support.browser import TIMEOUT, with_page
from tests.web.test_list import ListCase
from tests.web.test_log_in import Keystone, LogInCase
from tests.web.test_split import SplitCase

FONT = "() => parseFloat(getComputedStyle(document.documentElement).fontSize)"


class ListLooks(ListCase):
    async def test_on_a_phone(self) -> None:
        """The check box fits a finger, the search is as wide as the tiles, and the dialog has margins."""

        def steps(view: Any) -> None:
            page = view.page
            page.wait_for_selector(".tile img:not([hidden])")
            box = page.locator("label.choose:visible").first.bounding_box()
            self.assertGreaterEqual(min(box["width"], box["height"]), 44)
            width = page.locator(".tile").first.bounding_box()["width"]
            self.assertEqual(page.get_by_label("Search").bounding_box()["width"], width)
            page.get_by_role("button", name="Share").first.click()
            dialog = page.get_by_role("dialog").bounding_box()
            self.assertGreaterEqual(min(dialog["x"], 390 - dialog["x"] - dialog["width"]), 15)

        await self.visit(steps, size=(390, 780), has_touch=True)

    async def test_the_power_menu_has_the_width_of_its_tile(self) -> None:
        def steps(view: Any) -> None:
            tile = view.page.locator(".tile", has_text="web-9")
            share = tile.get_by_role("button", name="Share")
            before = share.bounding_box()
            tile.locator("summary").click()
            self.assertEqual(share.bounding_box(), before)
            whole, menu = tile.bounding_box(), tile.locator(".menu").bounding_box()
            self.assertGreater(menu["width"], 0.9 * whole["width"])
            share.click()  # nothing covers it
            view.page.get_by_role("dialog").wait_for()

        await self.visit(steps)

    async def test_buttons_at_one_height(self) -> None:
        """Also beside a tile that shows a user of its server."""

        def steps(view: Any) -> None:
            page = view.page
            page.wait_for_selector(".tile img:not([hidden])")
            page.evaluate("() => { document.querySelector('.tile .users').textContent = 'On it: alice'; }")
            tops = {round(each.bounding_box()["y"]) for each in page.locator(".tile .share:visible").all()}
            self.assertEqual(len(tops), 1, tops)

        await self.visit(steps)

    async def test_on_a_screen_of_4k(self) -> None:
        """The letters are as large as those of the console page."""

        def steps(view: Any) -> None:
            self.assertEqual(view.page.evaluate(FONT), 24)
            view.page.set_viewport_size({"width": 1280, "height": 800})
            self.assertEqual(view.page.evaluate(FONT), 16)

        await self.visit(steps, size=(3840, 2160))


class SplitLooks(SplitCase):
    async def test_a_name_is_shown_once(self) -> None:
        """On a phone only the tab shows it, beside the button that closes the console."""

        def steps(view: Any) -> None:
            page = view.page
            frame = page.frame_locator("[data-name=web-1] iframe")
            frame.locator("#state", has_text="Connected").wait_for(timeout=TIMEOUT * 1000)
            self.assertFalse(frame.locator("#name").is_visible())
            self.assertEqual(page.get_by_text("web-1", exact=True).locator("visible=true").count(), 1)
            page.set_viewport_size({"width": 390, "height": 780})
            self.assertEqual(page.get_by_text("web-1", exact=True).locator("visible=true").count(), 1)
            pane, inside = (
                page.locator(each).bounding_box() for each in ("[data-name=web-1]", "[data-name=web-1] iframe")
            )
            self.assertLess(inside["y"] - pane["y"], 10)
            page.get_by_role("button", name="Close: web-1").click()
            self.assertEqual(page.get_by_role("navigation").get_by_role("button").locator("visible=true").count(), 2)
            view.seen.failures.clear()  # the frame that was closed

        await self.visit(self.address("web-1", "web-2"), steps)


class ProjectLooks(LogInCase):
    def auth(self) -> Any:
        return KeystoneUsers(reactor, Keystone(), identity_url="https://k/v3")  # type: ignore[arg-type]

    async def test_projects(self) -> None:
        """The projects are a list to choose from: none looks like the main button."""

        def steps(view: Any) -> None:
            page = view.page
            self.log_in_by_keyboard(page, test_keystone_pages.PASSWORD)
            page.get_by_role("heading", name="Choose a project").wait_for()
            color = "(button) => getComputedStyle(button).backgroundColor"
            plain = page.get_by_role("button", name="Log out").evaluate(color)
            self.assertEqual([each.evaluate(color) for each in page.locator(".projects button").all()], [plain] * 2)
            # The whole account fits beside the buttons of a phone.
            page.get_by_role("button", name="red").click()
            page.locator("header .who").wait_for()
            page.set_viewport_size({"width": 390, "height": 780})
            cut = page.locator("header .who").evaluate("(who) => who.scrollWidth - who.clientWidth")
            self.assertEqual(cut, 0)

        await with_page(self.url, steps)
