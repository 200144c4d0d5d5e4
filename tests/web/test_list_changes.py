"""The list in a real browser while its servers change."""

from typing import Any

from tests.web.test_list import ListCase


class ChosenTests(ListCase):
    async def test_chosen_servers_that_change(self) -> None:
        """A filter keeps the chosen servers; one that is off can be unchecked, and one that is gone is removed."""

        def steps(view: Any) -> None:
            page = view.page
            box = lambda name: page.get_by_role("checkbox", name=f"Choose {name}")  # noqa: E731
            box("web-9").check()
            box("web-10").check()
            page.get_by_label("Search").fill("archive")
            page.wait_for_function("() => document.querySelectorAll('.tile').length === 1")
            page.get_by_label("Search").fill("")
            page.wait_for_function("() => document.querySelectorAll('.tile').length === 4")
            self.assertTrue(box("web-9").is_checked())
            self.now("shutoff", "web-9")
            page.wait_for_selector(".tile:has-text('web-9') .state[data-state=SHUTOFF]")
            page.get_by_role("button", name="Side by side").wait_for()
            box("web-9").uncheck()
            page.locator(".chosen", has_text="Choose two to four servers.").wait_for()
            del self.servers["web-10"]
            self.now("shutoff", "web-9")
            page.locator(".chosen").wait_for(state="hidden")

        await self.visit(steps)
