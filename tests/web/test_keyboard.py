"""Every action of the console page and of the list by keyboard alone, in both browsers."""

from functools import partial
from typing import Any

from tests.api.harness import uuid_of
from tests.web.page_case import PageTest
from tests.web.steps import ALT, CTRL, DELETE, ENTER, ESCAPE, LONG_TIMES_END_BY_THE_TEST, TAB, held, tab_to, taps
from tests.web.test_list import ListCase

FOCUSED = "() => document.activeElement.id || document.activeElement.textContent"


class ConsoleTests(PageTest):
    def focused(self, page):
        return page.page.evaluate(FOCUSED)

    def go(self, page, wanted, key="Tab"):
        """Press a key until an element with this id or text has the focus; at most 60 times."""
        for _ in range(60):
            if self.focused(page) == wanted:
                return
            page.press(key)
        self.fail(f"{wanted} is not reached by {key}")

    def to_tools(self, page):
        """Leave the screen for the tools.  The server gets these keys, too."""
        for key in ("Control", "Alt", "Shift"):
            page.page.keyboard.down(key)
        for key in ("Shift", "Alt", "Control"):
            page.page.keyboard.up(key)
        page.page.wait_for_function("() => document.activeElement.closest('#tools')")
        self.forget(page)

    def hold_enter(self, page):
        """Press Enter and hold it, so that it repeats."""
        for _ in range(4):
            page.page.keyboard.down("Enter")
        page.page.keyboard.up("Enter")

    async def test_sending(self):
        """Ctrl+Alt+Del, a combination, a held modifier, and a text on the clipboard and as keystrokes."""

        def steps(page):
            page.wait_painted()
            self.to_tools(page)
            self.go(page, "cad", "ArrowLeft")
            self.hold_enter(page)
            self.assertTrue(page.page.locator("#cad.armed").count())
            page.press("Enter")
            self.wait_keys(page, held(taps(DELETE), CTRL, ALT))
            self.to_tools_from_anywhere(page, "keys")
            page.press("Enter")
            self.go(page, "Esc")
            self.forget(page)
            page.press("Space")
            self.wait_keys(page, taps(ESCAPE))
            self.to_tools_from_anywhere(page, "keys")
            page.press("ArrowDown")
            self.go(page, "Ctrl")
            self.forget(page)
            self.hold_enter(page)
            self.wait_keys(page, [(CTRL, True)])
            page.press("Escape")
            self.to_tools_from_anywhere(page, "clipboard")
            page.press("Enter")
            self.go(page, "outgoing")
            page.type("ab")
            self.go(page, "send")
            page.press("Enter")
            self.wait_heard(page, lambda: self.console.cut_texts() == [b"ab"], "no clipboard text")
            self.go(page, "type", "Shift+Tab")
            self.forget(page)
            self.hold_enter(page)
            page.wait_said("Typed.")
            # The held Ctrl is released first.
            self.wait_keys(page, [(CTRL, False), *taps(ord("a"), ord("b"))])

        await self.visit_cleanly(steps, script=LONG_TIMES_END_BY_THE_TEST)

    async def test_a_key_that_the_page_used(self):
        """A key that moves the focus to the screen is not sent, nor are its repetitions; the next press is sent."""

        def leave(page, key):
            """Hold a key that gives the focus to the screen."""
            page.page.keyboard.down(key)
            page.page.wait_for_function("() => document.activeElement.tagName === 'CANVAS'")
            for _ in range(3):
                page.page.keyboard.down(key)
            page.page.keyboard.up(key)

        def steps(page):
            page.wait_painted()
            self.to_tools_from_anywhere(page, "keys")
            page.press("Enter")
            self.go(page, "Tab", "Tab")
            self.forget(page)
            leave(page, "Enter")
            for _ in range(3):  # a key that is held on the screen
                page.page.keyboard.down("Enter")
            page.page.keyboard.up("Enter")
            self.wait_keys(page, [*taps(TAB), *[(ENTER, True)] * 3, (ENTER, False)])
            for tool, key in (("keys", "Escape"), ("hide", "Enter")):
                self.to_tools_from_anywhere(page, tool)
                self.forget(page)
                leave(page, key)
                page.press("x")
                self.wait_keys(page, taps(ord("x")))
            self.drop()
            page.page.wait_for_function("() => document.activeElement.id === 'again'")
            leave(page, "Enter")
            self.forget(page)
            page.press("x")
            self.wait_keys(page, taps(ord("x")))

        await self.visit_cleanly(steps)

    async def test_view_and_connection(self):
        """The picture, the view, the language, the bar, disconnect and connect again."""

        def steps(page):
            page.wait_painted()
            self.to_tools_from_anywhere(page, "fit")
            page.press("Enter")
            page.page.wait_for_function("() => document.getElementById('original').checked")
            self.to_tools_from_anywhere(page, "more")
            page.press("Enter")
            self.assertEqual(self.focused(page), "original")
            page.press("ArrowUp")
            page.page.wait_for_function("() => document.getElementById('scale').checked")
            self.go(page, "view-only")
            page.press("Space")
            page.wait_said("view only")
            self.go(page, "save-data")
            page.press("Space")
            self.assertTrue(page.page.is_checked("#save-data"))
            self.go(page, "language")
            page.press("ArrowDown")
            page.page.wait_for_selector("#language-hint", state="visible")
            self.go(page, "connect")
            self.hold_enter(page)
            page.page.wait_for_selector("body[data-state=disconnected]")
            self.go(page, "again")
            page.press("Enter")
            page.page.wait_for_selector("body[data-state=connected]")
            self.to_tools_from_anywhere(page, "hide")
            page.press("Enter")
            page.page.wait_for_selector("#bar", state="hidden")
            self.to_tools(page)
            page.page.wait_for_selector("#bar", state="visible")

        await self.visit_cleanly(steps)

    async def test_a_picture_and_full_screen(self):
        """Full screen and back; a file with the picture of the screen."""

        def steps(page):
            page.wait_painted()
            self.to_tools_from_anywhere(page, "full")
            page.press("Enter")
            page.page.wait_for_function("() => document.fullscreenElement")
            page.page.wait_for_selector("#bar", state="hidden")
            self.to_tools_from_anywhere(page, "full")
            page.press("Enter")
            page.page.wait_for_function("() => !document.fullscreenElement")
            self.to_tools_from_anywhere(page, "more")
            page.press("Enter")
            self.go(page, "screenshot")
            # Not every browser reports its downloads.
            page.page.evaluate(
                "() => { HTMLAnchorElement.prototype.click = function () { window.saved = this.download; }; }"
            )
            page.press("Enter")
            page.page.wait_for_function("() => window.saved?.endsWith('.png')")

        await self.visit_cleanly(steps)

    def to_tools_from_anywhere(self, page, tool):
        """Give the focus to a tool, wherever it is now."""
        if page.page.evaluate("() => document.activeElement.tagName") == "CANVAS":
            self.to_tools(page)
        if page.page.evaluate("() => !document.activeElement.closest('#tools')"):
            page.press("Escape")
            if page.page.evaluate("() => document.activeElement.tagName") == "CANVAS":
                self.to_tools(page)
        self.go(page, tool, "ArrowRight")


class ConsoleInFirefox(ConsoleTests):
    browser = "firefox"


class ListTests(ListCase):
    browser = "chromium"

    async def test_each_action(self) -> None:
        """A filter, a power action with its question, a link for a colleague, and the page of a server."""

        def steps(view: Any) -> None:
            page = view.page
            go = partial(tab_to, page)
            page.wait_for_selector(".tile")
            go("Search")
            page.keyboard.type("web-9")
            page.wait_for_function("() => document.querySelectorAll('.tile').length === 1")
            go("Open the console of web-9")
            go("Power")
            page.keyboard.press("Enter")
            go("Pause")
            for _ in range(4):  # a key that is held
                page.keyboard.down("Enter")
            page.keyboard.up("Enter")
            page.wait_for_selector("dialog")
            go("Pause")
            page.keyboard.press("Enter")
            self.until(lambda: self.host.power)
            go("Share the console of web-9")
            page.keyboard.press("Enter")
            page.wait_for_selector("dialog")
            go("Make a link")
            page.keyboard.press("Enter")
            page.wait_for_selector(".made:visible")
            page.keyboard.press("Escape")
            page.wait_for_selector("dialog", state="detached")
            page.locator(".tile .name").focus()
            page.keyboard.press("Enter")
            page.wait_for_url("**/servers/*")

        await self.visit(steps, "console/")
        self.assertEqual(self.host.power, [(uuid_of("web-9"), "pause")])
        self.assertEqual(len(self.system.consoleauth.tokens), 1)

    async def test_past_a_server_that_is_off(self) -> None:
        def steps(view: Any) -> None:
            page = view.page
            page.locator(".tile:has-text('archive') .screen:disabled").wait_for()
            page.locator(".screen").first.focus()
            first = "<b>&\"'"
            for key, name in (("ArrowRight", "web-9"), ("ArrowLeft", first), ("End", "web-10"), ("Home", first)):
                page.keyboard.press(key)
                self.assertEqual(page.evaluate("() => document.activeElement.ariaLabel"), f"Open the console of {name}")

        await self.visit(steps, "console/")

    async def test_choosing_servers(self) -> None:
        """Choose two servers, undo one choice, choose it again, and open both side by side."""

        def steps(view: Any) -> None:
            page = view.page
            page.wait_for_selector(".tile")
            page.route("**/console/split?*", lambda route: route.fulfill(body="<title>side by side</title>"))
            for name in ("web-9", "web-10"):
                tab_to(page, f"Choose {name}")
                page.keyboard.press("Space")
            page.keyboard.press("Space")
            page.locator(".chosen:has-text('Choose two to four servers.')").wait_for()
            page.keyboard.press("Space")
            tab_to(page, "Side by side")
            page.keyboard.press("Enter")
            page.wait_for_url("**/console/split?*")
            self.assertEqual(page.url.partition("?")[2], f"server={uuid_of('web-9')}&server={uuid_of('web-10')}")

        await self.visit(steps, "console/")


class ListInFirefox(ListTests):
    browser = "firefox"
