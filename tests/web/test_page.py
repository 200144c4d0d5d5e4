"""The console page in real browsers: connecting, refusals, reconnecting."""

from twisted.internet import reactor
from twisted.internet.threads import blockingCallFromThread

from novnc_twisted.errors import TABLE, InvalidToken, Revoked, ServiceUnavailable, TooManySessions
from tests.support.browser import with_page
from tests.web.page_case import PageTest
from tests.web.steps import ENTER, ESCAPE, F5, LONG_TIMES_END_BY_THE_TEST, TAB, taps


class Connecting(PageTest):
    async def test_each_page_and_form_of_address(self):
        """With every page name and form of address the page connects at once, cleanly, and only to its own host."""
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
        """The screen has the focus: all keys go to the server, including those of browsers and toolbars."""

        def steps(page):
            page.wait_painted()
            for x, y in ((0, 0), (10, 20), (319, 199)):
                self.assertEqual(page.pixel(x, y), (0x60, x * 255 // 320, y))
            self.assertEqual(page.page.evaluate("document.activeElement.tagName"), "CANVAS")
            page.type("abc")
            for key in ("Tab", "Escape", "F5", "Enter"):
                page.press(key)
            self.wait_keys(page, taps(*b"abc", TAB, ESCAPE, F5, ENTER))

        await self.visit_cleanly(steps)

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

        await self.visit_cleanly(steps)


class ConnectingInFirefox(Connecting):
    browser = "firefox"


class ByName(PageTest):
    async def test_plain_http_by_name(self):
        """The page works over http to a host name, where browsers offer no features of secure contexts."""
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
        """The page shows the sentence of each refusal and a button, without an error of its own."""
        rows = {name: row for name, row in TABLE.items() if row.close_code >= 1001}

        def steps(page):
            for name, row in rows.items():
                self.refuse(row)
                if page.page.url == "about:blank":
                    page.page.goto(self.console.url())
                else:
                    page.page.click("#again")  # a reload takes four times as long
                self.assertEqual(page.wait_said(row.sentence), row.sentence)
                self.assertTrue(page.page.locator("#again").is_visible(), name)
                waits = page.page.locator("#countdown").is_visible()
                self.assertEqual(waits, row.close_code in (1001, 4502, 4503, 4504), name)

        # The clock stands still.  Otherwise a countdown could end just before a click.  The click would then interrupt
        # the new connection, about which Firefox complains.
        seen = await with_page("about:blank", steps, browser=self.browser, script=LONG_TIMES_END_BY_THE_TEST)
        self.assertEqual(seen.complaints(), [])

    async def test_service_comes_back(self):
        """While the service is not available, the page retries, and shows when."""
        self.refuse(ServiceUnavailable)

        def steps(page):
            page.wait_said(ServiceUnavailable.sentence)
            page.page.locator("#countdown", has_text="Trying again in").wait_for()
            self.console.refusal = lambda params: None
            page.wait_painted()

        await self.visit(steps)


class RefusedInFirefox(Refused):
    browser = "firefox"


class RefusedInChromium(PageTest):
    async def test_try_again(self):
        """After this refusal the page connects again only when the button is clicked."""
        self.refuse(TooManySessions)

        def steps(page):
            page.wait_said(TooManySessions.sentence)
            self.console.refusal = lambda params: None
            self.assertEqual(len(self.console.viewers), 1)
            page.page.click("#again")
            page.wait_painted()
            self.assertFalse(page.page.locator("#card").is_visible())

        await self.visit(steps)

    async def test_try_again_by_keyboard(self):
        """After the same refusal the button has the focus again."""
        self.refuse(TooManySessions)

        def steps(page):
            for count in (1, 2, 3):
                self.wait_viewers(page, count)
                page.page.locator("#again:focus").wait_for()
                page.press("Enter")

        await self.visit(steps)

    async def test_nobody_there(self):
        """The page reports that the service can't be reached (Chromium itself complains in the console)."""

        def steps(page):
            page.wait_painted()
            blockingCallFromThread(reactor, self.console.port.stopListening)
            self.drop()
            page.wait_said("The console service can't be reached")

        await self.visit(steps)

    async def test_markup_in_a_reason(self):
        """A reason is shown as text, never as markup."""
        self.console.refusal = lambda params: (4409, "<b>Off</b> <script>alert(1)</script>")
        await self.visit_cleanly(lambda page: page.wait_said("<b>Off</b> <script>"))


class Reconnecting(PageTest):
    async def test_lost_connection(self):
        """The page reconnects after a lost connection, with the same view; meanwhile it shows the last picture."""

        def steps(page):
            page.wait_painted()
            page.page.click("#fit")
            self.drop_for_a_while()
            page.wait_said("The connection to the console was lost.")
            self.assertTrue(page.page.locator("#still").is_visible())
            self.go_on()
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
        """After a revoked session the page shows no picture, and does not reconnect."""

        def steps(page):
            page.wait_painted()
            self.viewer("close", Revoked.close_code, Revoked.sentence)
            page.wait_said(Revoked.sentence)
            self.assertFalse(page.page.locator("#still").is_visible())
            self.assertFalse(page.page.locator("#countdown").is_visible())
            self.assertEqual(page.size(), (0, 0))

        await self.visit(steps)


class ReconnectingInFirefox(Reconnecting):
    browser = "firefox"


class ReconnectingInChromium(PageTest):
    async def test_link_for_one_session(self):
        """If a token is valid once only, the page says that it can't reconnect, and why."""

        def steps(page):
            page.wait_painted()
            self.refuse(InvalidToken)
            self.drop()
            page.wait_said(InvalidToken.sentence)
            self.assertIn("cannot reopen your session", page.page.locator("#card").inner_text())

        await self.visit(steps)

    async def test_disconnect_and_reconnect_by_hand(self):
        def steps(page):
            page.wait_painted()
            page.page.click("#more")
            page.page.click("#connect")
            page.wait_said("The console was closed.")
            page.page.click("#again")
            page.wait_painted()

        await self.visit_cleanly(steps)
