"""The console page in a real Chromium, against a small server that does as the test says."""

from pathlib import Path

from twisted.internet import reactor
from twisted.internet.threads import blockingCallFromThread

from novnc_twisted.errors import TABLE, InvalidToken, Revoked, ServiceUnavailable, TooManySessions
from tests.support.browser import with_page
from tests.web.page_case import ALT, ASKS, CTRL, DELETE, ENTER, ESCAPE, F2, SHIFT, TAB, PageTest, held, taps


class Connecting(PageTest):
    async def test_each_page_and_form_of_address(self):
        """Every page name and form of address connects by itself, cleanly, and only to its own host."""
        forms = [
            ("vnc_auto.html", "token=T", "/websockify"),
            ("vnc_lite.html", "path=%3Ftoken%3DT", "/"),
            ("vnc.html", "autoconnect=1&path=websockify%3Ftoken%3DT", "/websockify"),
        ]

        def steps(page):
            for name, query, _ in forms:
                page.page.goto(self.console.url(query, name))
                page.wait_painted()
                self.assertEqual(page.wait_title("myserver20"), "myserver20 - Console")
                self.assertEqual(page.size(), (320, 200))

        seen = await with_page("about:blank", steps, browser=self.browser)
        self.assertEqual(seen.complaints(), [])
        self.assertEqual(seen.hosts(), {"127.0.0.1"})
        self.assertEqual([viewer.path for viewer in self.console.viewers], [path for _, _, path in forms])
        self.assertEqual([viewer.params for viewer in self.console.viewers], [{"token": ["T"]}] * 3)
        self.assertEqual({viewer.websocket_protocol_in_use for viewer in self.console.viewers}, {"binary"})

    async def test_typing_works_at_once(self):
        """The screen has the focus: keys go to the server, those of browsers and toolbars, too."""

        def steps(page):
            page.wait_painted()
            for x, y in ((0, 0), (10, 20), (319, 199)):
                self.assertEqual(page.pixel(x, y), (0x60, x * 255 // 320, y))
            self.assertEqual(page.page.evaluate("document.activeElement.tagName"), "CANVAS")
            page.type("abc")
            for key in ("Tab", "Escape", "F5", "Enter"):
                page.press(key)
            self.wait_keys(page, taps(*b"abc", TAB, ESCAPE, 0xFFC2, ENTER))

        seen = await self.visit(steps)
        self.assertEqual(seen.complaints(), [])

    async def test_reload(self):
        """The address keeps its token, so that a reload connects again."""

        def steps(page):
            page.wait_painted()
            page.page.reload()
            page.wait_painted()

        await self.visit(steps)
        self.assertEqual([viewer.params for viewer in self.console.viewers], [{"token": ["T"]}] * 2)

    async def test_hostile_name(self):
        """CVE-2017-18635: the name of a server is text, whatever it looks like."""
        self.console.name = "<img src=x onerror=alert(1)>\u202e\n" + "x" * 5000

        def steps(page):
            page.wait_painted()
            page.wait_title("<img src=x onerror=alert(1)> xxx")
            self.assertLess(len(page.page.title()), 200)
            self.assertEqual(page.page.locator("img:not(#still)").count(), 0)

        seen = await self.visit(steps)
        self.assertEqual(seen.complaints(), [])


class ConnectingInFirefox(Connecting):
    browser = "firefox"


class ByName(PageTest):
    async def test_plain_http_by_name(self):
        """Over http to a name, where browsers withhold what they keep for secure contexts, all is well."""
        port = self.console.port.getHost().port

        def steps(page):
            page.wait_painted()
            self.assertFalse(page.page.evaluate("isSecureContext"))

        seen = await with_page(
            f"http://controlnode:{port}/vnc_auto.html?token=T",
            steps,
            flags=("--host-resolver-rules=MAP controlnode 127.0.0.1",),
        )
        self.assertEqual(seen.complaints(), [])
        self.assertEqual(seen.hosts(), {"controlnode"})


class Refused(PageTest):
    async def test_every_row_of_the_table(self):
        """Each refusal is shown by its own sentence, with a button; nothing is an error of the page."""
        rows = {name: row for name, row in TABLE.items() if row.close_code >= 1001}
        self.console.refusal = lambda params: (rows[params["token"][0]].close_code, rows[params["token"][0]].sentence)

        def steps(page):
            for name, row in rows.items():
                page.page.goto(self.console.url(f"token={name}"))
                self.assertEqual(page.wait_said(row.sentence), row.sentence)
                self.assertTrue(page.page.locator("#again").is_visible(), name)
                waits = page.page.locator("#countdown").is_visible()
                self.assertEqual(waits, row.close_code in (1001, 4502, 4503, 4504), name)

        seen = await with_page("about:blank", steps, browser=self.browser)
        self.assertEqual(seen.complaints(), [])

    async def test_service_comes_back(self):
        """While the service is away the page tries again by itself, and says when."""
        self.refuse(ServiceUnavailable)

        def steps(page):
            page.wait_said(ServiceUnavailable.sentence)
            self.assertIn("Trying again in", page.page.locator("#countdown").inner_text())
            self.console.refusal = lambda params: None
            page.wait_painted()

        await self.visit(steps)


class RefusedInFirefox(Refused):
    browser = "firefox"


class RefusedInChromium(PageTest):
    async def test_try_again(self):
        """A refusal that may pass is asked again by the button alone."""
        self.refuse(TooManySessions)

        def steps(page):
            page.wait_said(TooManySessions.sentence)
            self.console.refusal = lambda params: None
            self.assertEqual(len(self.console.viewers), 1)
            page.page.click("#again")
            page.wait_painted()
            self.assertFalse(page.page.locator("#card").is_visible())

        await self.visit(steps)

    async def test_nobody_there(self):
        """A service that can't be reached is told as such (Chromium itself complains in the console)."""

        def steps(page):
            page.wait_painted()
            blockingCallFromThread(reactor, self.console.port.stopListening)
            self.drop()
            page.wait_said("The connection to the console was lost.")
            page.wait_said("The console service can't be reached")

        await self.visit(steps)

    async def test_markup_in_a_reason(self):
        """Words from outside are text."""
        self.console.refusal = lambda params: (4409, "<b>Off</b> <script>alert(1)</script>")
        seen = await self.visit(lambda page: page.wait_said("<b>Off</b> <script>"))
        self.assertEqual(seen.complaints(), [])


class Reconnecting(PageTest):
    async def test_lost_connection(self):
        """A lost connection is taken up again, with the same view; the last picture stays meanwhile."""

        def steps(page):
            page.wait_painted()
            page.page.click("#fit")
            self.drop()
            page.wait_said("The connection to the console was lost.")
            self.assertTrue(page.page.locator("#still").is_visible())
            page.wait_painted()
            page.wait_said("Connected")
            self.assertFalse(page.page.locator("#card, #still").first.is_visible())
            self.assertEqual(page.page.evaluate("document.querySelector('canvas').getBoundingClientRect().width"), 320)
            page.type("x")
            self.wait_keys(page, taps(ord("x")))

        seen = await self.visit(steps)
        own = "was interrupted while the page was loading"  # Firefox itself complains
        self.assertEqual([line for line in seen.complaints() if own not in line], [])
        self.assertEqual(len(self.console.viewers), 2)

    async def test_revoked(self):
        """A revoked session leaves no picture, and is not asked for again."""

        def steps(page):
            page.wait_painted()
            blockingCallFromThread(reactor, self.console.viewers[0].close, Revoked.close_code, Revoked.sentence)
            page.wait_said(Revoked.sentence)
            self.assertFalse(page.page.locator("#still").is_visible())
            self.assertFalse(page.page.locator("#countdown").is_visible())
            self.assertEqual(page.size(), (0, 0))

        await self.visit(steps)


class ReconnectingInFirefox(Reconnecting):
    browser = "firefox"


class ReconnectingInChromium(PageTest):
    async def test_link_for_one_session(self):
        """Where a token does not admit again, the page says that it can't reconnect, and why."""

        def steps(page):
            page.wait_painted()
            self.refuse(InvalidToken)
            self.drop()
            page.wait_said(InvalidToken.sentence)
            self.assertIn("be taken up again with this link", page.page.locator("#card").inner_text())

        await self.visit(steps)

    async def test_disconnect_and_reconnect_by_hand(self):
        def steps(page):
            page.wait_painted()
            page.page.click("#more")
            page.page.click("#connect")
            page.wait_said("The console was closed.")
            page.page.click("#again")
            page.wait_painted()

        seen = await self.visit(steps)
        self.assertEqual(seen.complaints(), [])


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

        await with_page(self.console.url("token=T&view_only=1"), steps)
        self.assertLessEqual({message[0] for message in self.console.messages}, ASKS)

    async def test_keys(self):
        """Combinations, text consoles, and modifiers that stay down."""

        def steps(page):
            page.wait_painted()
            page.page.click("#cad")
            page.page.click("#cad")
            page.page.click("#keys")
            page.page.click("#consoles >> text=/^F2$/")
            page.page.click("#keys")
            page.page.click("#hold >> text=Ctrl")
            page.page.locator("canvas").focus()
            page.type("c")
            page.page.click("#hold >> text=Ctrl")
            self.wait_keys(
                page, [*held(taps(DELETE), CTRL, ALT), *held(taps(F2), CTRL, ALT), *held(taps(ord("c")), CTRL)]
            )

        seen = await with_page(self.console.url(), steps)
        self.assertEqual(seen.complaints(), [])

    async def test_clipboard(self):
        """Text is typed as keys, put on the server's clipboard, and taken from it."""

        def steps(page):
            page.wait_painted()
            page.page.click("#clipboard")
            page.page.fill("#outgoing", "Hi!\n")
            page.page.click("text=Type as keystrokes")
            page.wait_said("Typed.")
            self.wait_keys(
                page, [*held(taps(ord("H")), SHIFT), *taps(ord("i")), *held(taps(ord("!")), SHIFT), *taps(ENTER)]
            )
            page.page.click("text=Put on its clipboard")
            page.wait_said("Sent.")
            words = b"from the server"
            head = b"\3\0\0\0" + len(words).to_bytes(4, "big")
            blockingCallFromThread(reactor, self.console.viewers[0].send, head + words)
            page.page.wait_for_function("() => document.getElementById('incoming').value === 'from the server'")

        seen = await with_page(self.console.url(), steps)
        self.assertEqual(seen.complaints(), [])
        self.assertIn(b"\6\0\0\0\0\0\0\4Hi!\n", self.console.messages)

    async def test_layout(self):
        """Text is spelt for the server's layout, which is asked once."""

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
            page.wait_said("Typed.")
            altgr = 0xFE03
            self.wait_keys(page, [*taps(0xFE52, ord(" ")), *held(taps(ord("@")), altgr), *taps(0x01006F22)])

        seen = await with_page(self.console.url(), steps)
        self.assertEqual(seen.complaints(), [])

    async def test_toolbar_by_keyboard(self):
        """Ctrl+Alt+Shift leads to the tools, arrows along them, Escape back, and none of that types."""

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

        seen = await with_page(self.console.url(), steps)
        self.assertEqual(seen.complaints(), [])

    async def test_touch_keyboard(self):
        """On a phone, what the on-screen keyboard writes becomes keys."""

        def steps(page):
            page.wait_painted()
            page.page.tap("#touch")
            self.assertEqual(page.page.evaluate("document.activeElement.id"), "field")
            page.page.keyboard.insert_text("ok")
            page.press("Backspace")
            backspace = 0xFF08
            ok = taps(*b"ok", backspace)
            self.wait_keys(page, ok)
            # a word that the keyboard corrects before it is done
            devtools = page.page.context.new_cdp_session(page.page)
            for word in ("t", "te", "teh"):
                devtools.send("Input.imeSetComposition", {"text": word, "selectionStart": 3, "selectionEnd": 3})
            devtools.send("Input.insertText", {"text": "the"})
            self.wait_keys(page, ok + taps(*b"teh", backspace, backspace, *b"he"))
            page.page.touchscreen.tap(180, 400)  # a click for the server, which leaves the keyboard open
            self.assertEqual(page.page.evaluate("document.activeElement.id"), "field")

        seen = await with_page(self.console.url(), steps, size=(360, 740), has_touch=True, is_mobile=True)
        self.assertEqual(seen.complaints(), [])

    async def test_original_size_on_a_phone(self):
        """A screen that is larger than the phone is clipped there, and dragged."""

        def steps(page):
            page.wait_painted()
            page.page.tap("#more")
            page.page.tap("#original")
            page.page.wait_for_selector("#drag-row", state="visible")
            self.assertTrue(page.page.is_checked("#drag"))
            page.page.tap("#scale")
            page.page.wait_for_selector("#drag-row", state="hidden")

        seen = await with_page(self.console.url(), steps, size=(300, 500), has_touch=True, is_mobile=True)
        self.assertEqual(seen.complaints(), [])

    async def test_full_screen(self):
        """Full screen takes the bar away, and gives it back."""

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

        seen = await with_page(self.console.url(), steps)
        self.assertEqual(seen.complaints(), [])


class Looks(PageTest):
    async def test_sizes(self):
        """From a small phone to 4K nothing runs out of the window; pictures lie in trial's folder."""
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

        seen = await with_page(self.console.url(), steps)
        self.assertEqual(seen.complaints(), [])
