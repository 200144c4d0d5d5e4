"""Control of a shared console, and a link for a guest, by keyboard alone, in both browsers."""

from typing import Any

from tests.support.browser import ConsolePage, with_page
from tests.web.test_people import PeopleCase

THERE = """(wanted) => [...document.querySelectorAll('button')].some(
    (each) => [each.id, each.textContent].includes(wanted) && !each.disabled && each.checkVisibility())"""


def to_tools(page: Any) -> None:
    """Leave the screen for the tools."""
    page.bring_to_front()  # only one page of a browser has the focus
    for key in ("Control", "Alt", "Shift"):
        page.keyboard.down(key)
    for key in ("Shift", "Alt", "Control"):
        page.keyboard.up(key)
    page.wait_for_function("() => document.activeElement.closest('#tools')")


def reach(page: Any, wanted: str, key: str = "Tab") -> None:
    """Wait for the element with this id, or this text, and press a key until it has the focus."""
    page.wait_for_function(THERE, arg=wanted)
    for _ in range(60):
        if wanted in page.evaluate("() => [document.activeElement.id, document.activeElement.textContent]"):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{wanted} is not reached by {key}")


def press(page: Any, wanted: str, key: str = "Tab") -> None:
    """Reach an element, and press Enter."""
    page.bring_to_front()
    reach(page, wanted, key)
    page.keyboard.press("Enter")


class KeyboardTests(PeopleCase):
    async def test_control_and_a_link(self) -> None:
        """Control is given and taken back; given and returned; requested and given.  A guest gets a link."""
        alice, bob = await self.link("alice"), await self.link("bob", "view", proxy=1)

        def steps(page: ConsolePage) -> None:
            mine = page.page
            mine.locator("#people:not([hidden])").wait_for()
            theirs = self.second(page, bob)
            self.drawn(mine, "bob")

            def controls(who: Any, other: Any) -> None:
                other.locator("#state").filter(has_text="you may only watch").wait_for()
                who.locator("#state").filter(has_not_text="you may only watch").wait_for()

            to_tools(mine)
            press(mine, "people", "ArrowRight")
            press(mine, "Give control")
            controls(theirs, mine)
            press(mine, "take-control")
            controls(mine, theirs)
            press(mine, "Give control")
            controls(theirs, mine)
            to_tools(theirs)
            press(theirs, "people", "ArrowRight")
            press(theirs, "release-control")
            controls(mine, theirs)
            to_tools(mine)
            press(mine, "people", "ArrowRight")  # the question is shown while the panel is closed
            press(theirs, "request-control")
            mine.bring_to_front()
            mine.locator("#asked-words").filter(has_text="bob asks for control").wait_for()
            to_tools(mine)
            reach(mine, "asked-not")
            press(mine, "asked-give", "Shift+Tab")
            controls(theirs, mine)
            to_tools(mine)
            press(mine, "people", "ArrowRight")
            press(mine, "share-make")
            mine.locator("#shared-until").filter(has_text="valid until").wait_for()
            self.assertEqual(mine.evaluate("() => document.activeElement.id"), "share-copy")
            theirs.close()

        seen = await with_page(alice, steps, browser=self.browser)
        self.assertEqual(seen.complaints() + self.complaints, [])


class KeyboardInFirefox(KeyboardTests):
    browser = "firefox"
