"""The tools of the console page in a real Chromium, judged by what the VNC server received, and their looks."""

from pathlib import Path

from tests.web.page_case import ASKS, PageTest
from tests.web.steps import (
    ALT,
    ALTGR,
    BACKSPACE,
    CTRL,
    DELETE,
    ENTER,
    F2,
    LONG_TIMES_END_BY_THE_TEST,
    SHIFT,
    held,
    taps,
)


class Tools(PageTest):
    async def test_view_only_sends_nothing(self):
        def steps(page):
            page.wait_painted()
            page.wait_said("Connected, view only")
            page.page.mouse.click(400, 400)
            page.type("secret")
            page.page.click("#keys")
            self.assertTrue(page.page.locator("#press button").first.is_disabled())
            self.assertTrue(page.page.locator("#cad").is_disabled())

        await self.visit(steps, "token=T&view_only=1")
        self.assertLessEqual({message[0] for message in self.console.messages}, ASKS)

    async def test_keys(self):
        """Combinations, text consoles, and held modifiers."""

        def steps(page):
            page.wait_painted()
            page.page.click("#cad")
            page.page.click("#cad")
            page.page.click("#keys")
            page.page.click("#consoles >> text=/^F2$/")
            page.page.click("#keys")
            page.page.click("#hold >> text=Ctrl")
            self.focus_screen(page)
            page.type("c")
            page.page.click("#hold >> text=Ctrl")
            self.wait_keys(
                page, [*held(taps(DELETE), CTRL, ALT), *held(taps(F2), CTRL, ALT), *held(taps(ord("c")), CTRL)]
            )

        await self.visit_cleanly(steps, script=LONG_TIMES_END_BY_THE_TEST)

    async def test_clipboard(self):
        """Text is typed as keys, put on the server's clipboard, and read from it."""

        def steps(page):
            page.wait_painted()
            self.type_text(page, "Hi!\n")
            self.wait_keys(
                page, [*held(taps(ord("H")), SHIFT), *taps(ord("i")), *held(taps(ord("!")), SHIFT), *taps(ENTER)]
            )
            page.page.click("text=Put on its clipboard")
            page.wait_said("Sent.")
            self.wait_heard(page, lambda: self.console.cut_texts() == [b"Hi!\n"], "no clipboard text")
            words = b"from the server"
            head = b"\3\0\0\0" + len(words).to_bytes(4, "big")
            self.viewer("write", head + words)
            page.page.wait_for_function("() => document.getElementById('incoming').value === 'from the server'")

        await self.visit_cleanly(steps)

    async def test_layout(self):
        """Text is typed for the server's layout, which the page remembers."""

        def steps(page):
            page.wait_painted()
            page.page.click("#clipboard")
            self.assertEqual(page.page.input_value("#layout"), "us")
            page.page.select_option("#layout", "de")
            page.page.reload()
            page.wait_painted()
            page.page.click("#clipboard")
            self.assertEqual(page.page.input_value("#layout"), "de")
            page.page.fill("#outgoing", "^@漢")
            page.wait_said("One character is not on this layout.")
            page.page.click("#type")
            page.wait_said("Typed. One character is not on this layout.")
            self.wait_keys(page, [*taps(0xFE52, ord(" ")), *held(taps(ord("@")), ALTGR), *taps(0x01006F22)])

        await self.visit_cleanly(steps)

    async def test_toolbar_by_keyboard(self):
        """Ctrl+Alt+Shift moves the focus to the tools, arrows along them, Escape back.  Only modifiers are sent."""

        def focus(page):
            return page.page.evaluate("document.activeElement.id || document.activeElement.tagName")

        def steps(page):
            page.wait_painted()
            page.press("Control+Alt+Shift")
            page.page.wait_for_function("() => document.activeElement.closest('#tools')")
            self.assertEqual(focus(page), "keys")
            page.press("ArrowRight")
            self.assertEqual(focus(page), "clipboard")
            page.press("Enter")
            self.assertEqual(focus(page), "outgoing")
            self.assertEqual(page.page.get_attribute("#clipboard", "aria-expanded"), "true")
            page.press("Escape")
            self.assertEqual(focus(page), "clipboard")
            page.press("End")
            self.assertEqual(focus(page), "hide")
            page.press("Enter")
            self.assertEqual(focus(page), "CANVAS")
            self.assertFalse(page.page.locator("#bar").is_visible())
            page.press("Control+Alt+Shift")
            page.page.wait_for_function("() => document.activeElement.closest('#tools')")
            page.press("Escape")
            self.assertEqual(focus(page), "CANVAS")
            page.type("z")
            chord = held([], CTRL, ALT, SHIFT)
            self.wait_keys(page, chord + chord + taps(ord("z")))

        await self.visit_cleanly(steps)

    async def test_tool_that_is_shown_no_more(self):
        """Tab and Ctrl+Alt+Shift reach the bar when the button used last was hidden or disabled."""

        def steps(page):
            page.wait_painted()
            bar = page.page.locator("#tools")
            for last, change in (
                ("#fit", lambda: page.page.set_viewport_size({"width": 640, "height": 600})),
                ("#cad", lambda: page.page.evaluate("document.getElementById('view-only').click()")),
            ):
                page.page.set_viewport_size({"width": 1000, "height": 600})
                page.page.locator(last).focus()
                self.focus_screen(page)
                change()
                bar.locator("#keys[tabindex='0']").wait_for()
                page.press("Control+Alt+Shift")
                bar.locator("#keys:focus").wait_for()
            self.assertEqual(bar.locator("[tabindex='0']").count(), 1)

        await self.visit_cleanly(steps)

    async def test_tool_that_was_hidden_with_the_bar(self):
        """If the window became narrower while the bar was hidden, Ctrl+Alt+Shift focuses a tool that is still shown."""

        def steps(page):
            page.wait_painted()
            page.page.locator("#fit").focus()
            page.page.evaluate("document.getElementById('hide').click()")
            page.page.set_viewport_size({"width": 640, "height": 600})
            page.press("Control+Alt+Shift")
            page.page.locator("#keys:focus").wait_for()

        await self.visit_cleanly(steps)

    async def test_touch_keyboard(self):
        """Text from a phone's on-screen keyboard is sent as keys."""

        def steps(page):
            page.wait_painted()
            page.page.tap("#touch")
            self.assertEqual(page.page.evaluate("document.activeElement.id"), "field")
            page.page.keyboard.insert_text("ok")
            page.press("Backspace")
            ok = taps(*b"ok", BACKSPACE)
            self.wait_keys(page, ok)
            # a word that the keyboard corrects while it is being written
            devtools = page.page.context.new_cdp_session(page.page)
            for word in ("t", "te", "teh"):
                devtools.send("Input.imeSetComposition", {"text": word, "selectionStart": 3, "selectionEnd": 3})
            devtools.send("Input.insertText", {"text": "the"})
            self.wait_keys(page, ok + taps(*b"teh", BACKSPACE, BACKSPACE, *b"he"))
            page.page.touchscreen.tap(180, 400)  # a click on the screen leaves the keyboard open
            self.assertEqual(page.page.evaluate("document.activeElement.id"), "field")

        await self.visit_cleanly(steps, size=(360, 740), has_touch=True, is_mobile=True)

    async def test_original_size_on_a_phone(self):
        """A screen that is larger than the phone is clipped, and can be dragged."""

        def steps(page):
            page.wait_painted()
            self.original_size(page)
            self.assertTrue(page.page.is_checked("#drag"))
            page.page.tap("#scale")
            page.page.wait_for_selector("#drag-row", state="hidden")

        await self.visit_cleanly(steps, size=(300, 500), has_touch=True, is_mobile=True)

    async def test_full_screen(self):
        """Full screen hides the bar, and leaving it shows the bar again."""

        def steps(page):
            page.wait_painted()
            page.page.click("#full")
            page.page.wait_for_function("() => document.fullscreenElement")
            page.page.wait_for_selector("#bar", state="hidden")
            page.page.click("#show")
            page.page.click("#full")
            page.page.wait_for_function("() => !document.fullscreenElement")
            page.page.wait_for_selector("#bar", state="visible")
            page.type("q")
            self.wait_keys(page, taps(ord("q")))

        await self.visit_cleanly(steps)


class Looks(PageTest):
    async def test_sizes(self):
        """From a small phone to 4K, everything is inside the window; the screenshots are in trial's folder."""
        folder = Path(self.mktemp())
        folder.mkdir()

        def steps(page):
            page.wait_painted()
            for width, height in ((320, 568), (360, 740), (740, 360), (1440, 900), (3840, 2160)):
                page.page.set_viewport_size({"width": width, "height": height})
                page.screenshot(folder / f"console-{width}x{height}.png")
                for panel in ("keys", "clipboard", "more"):
                    page.page.click(f"#{panel}")
                    box = page.page.locator(f"#panel-{panel}").bounding_box()
                    self.assertGreaterEqual(box["x"], 0)
                    self.assertLessEqual(box["x"] + box["width"], width)
                    self.assertLessEqual(box["y"] + box["height"], height)
                    page.screenshot(folder / f"{panel}-{width}x{height}.png")
                    page.press("Escape")
                self.assertLessEqual(page.page.evaluate("document.documentElement.scrollWidth"), width)
                for button in page.page.locator("#tools button:visible").all():
                    box = button.bounding_box()
                    self.assertLessEqual(box["x"] + box["width"], width)

        await self.visit_cleanly(steps)
