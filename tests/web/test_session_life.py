"""The life of a session on the page, in Chromium and Firefox: judged by what the server received, and by pictures."""

import math
import struct

from twisted.internet import reactor
from twisted.internet.threads import blockingCallFromThread

from novnc_twisted.errors import InstanceNotRunning, InvalidToken, Stopping
from tests.support.browser import with_page
from tests.web.freezing_relay import FreezingRelay
from tests.web.page_case import PageTest
from tests.web.steps import taps

DIMMED = "() => getComputedStyle(document.querySelector('canvas')).opacity < 0.5"
BRIGHT = "() => getComputedStyle(document.querySelector('canvas')).opacity == 1"
CONNECTED = "() => document.getElementById('state').textContent.startsWith('Connected')"


class BehindRelay(PageTest):
    def setUp(self):
        super().setUp()
        self.relay = FreezingRelay(reactor, self.console.port.getHost().port)
        self.addCleanup(self.relay.stop)

    def url(self):
        return f"http://127.0.0.1:{self.relay.port}/vnc_auto.html?token=T"

    def freeze(self, **options):
        blockingCallFromThread(reactor, self.relay.freeze, **options)

    def thaw(self):
        blockingCallFromThread(reactor, self.relay.thaw)


class DeadNetwork(BehindRelay):
    async def test_frozen_and_back(self):
        """Nothing is typed blindly: keys pressed during an outage are never sent, those after it are."""

        def steps(page):
            page.wait_painted()
            page.page.keyboard.down("a")
            self.wait_keys(page, [(ord("a"), True)])
            self.freeze()
            page.type("b")  # the page cannot know of the outage yet
            page.wait_said("No answer")
            self.assertEqual(page.page.title(), "No answer - myserver20 - Console")
            page.page.wait_for_function(DIMMED)
            page.type("rm")
            page.page.keyboard.up("a")
            page.page.mouse.click(640, 400)
            page.page.click("#keys")
            self.assertTrue(page.page.locator("#press button").first.is_disabled())
            self.thaw()
            page.page.wait_for_function(CONNECTED)
            page.page.wait_for_function(BRIGHT)
            self.assertFalse(page.page.locator("#card").is_visible())
            self.focus_screen(page)
            page.type("x")
            self.wait_keys(page, [(ord("a"), True), *taps(ord("b")), (ord("a"), False), *taps(ord("x"))])

        await with_page(self.url(), steps, browser=self.browser)
        self.assertEqual(len(self.console.viewers), 1)
        self.assertNotIn(5, {message[0] for message in self.console.messages if message[1]})  # no mouse button

    async def test_browser_offline(self):
        def steps(page):
            page.wait_painted()
            page.page.context.set_offline(True)
            page.wait_said("No answer")
            page.type("rm")
            page.page.context.set_offline(False)
            page.page.wait_for_function(CONNECTED)
            page.type("x")
            self.wait_keys(page, taps(ord("x")))

        await with_page(self.url(), steps, browser=self.browser)


class DeadNetworkInFirefox(DeadNetwork):
    browser = "firefox"


class DeadSession(BehindRelay):
    async def test_only_the_session_is_dead(self):
        """If only the session's connection is dead, the page replaces it by a new one."""

        def steps(page):
            page.wait_painted()
            self.freeze(only_present=True)
            page.type("b")
            page.page.evaluate("window.dispatchEvent(new Event('online'))")  # makes the page probe at once
            page.wait_said("No answer")
            page.page.wait_for_function(CONNECTED)
            page.type("x")
            self.wait_keys(page, taps(ord("x")))

        await with_page(self.url(), steps, browser=self.browser)
        self.assertEqual(len(self.console.viewers), 2)

    async def test_tries_that_hang(self):
        """An attempt to connect that hangs, because packets are lost, is soon replaced by another one."""

        def steps(page):
            page.wait_painted()
            self.freeze()
            page.type("a")
            page.wait_said("No answer")
            known = len(self.relay.connections)
            page.page.click("#again")
            self.assertTrue(self.wait(page, lambda: len(self.relay.connections) > known))
            self.relay.frozen = False  # attempts that hang stay so
            page.page.wait_for_function(CONNECTED)
            page.type("x")
            self.wait_keys(page, taps(ord("x")))

        await with_page(self.url(), steps, browser=self.browser)


class BusyServer(PageTest):
    async def test_a_server_that_says_nothing_is_no_dead_network(self):
        """While the VNC server is silent, the page only probes the proxy, by messages or requests for a file."""
        for count, self.console.echoes in enumerate((True, False), 1):
            questions = self.console.empty_messages if self.console.echoes else self.console.front.head_requests

            def steps(page, questions=questions, expected=b"aa" * count):
                page.wait_painted()
                self.console.silent = True
                page.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
                self.assertTrue(self.wait(page, lambda: len(questions) >= 2))
                for count in (3, 4):
                    page.type("a")
                    self.assertTrue(self.wait(page, lambda count=count: len(questions) >= count))
                    self.assertTrue(page.page.evaluate(CONNECTED))
                self.console.silent = False
                self.wait_keys(page, taps(*expected))

            await self.visit(steps)
            self.assertEqual(len(self.console.viewers), 1)
            self.console.viewers.clear()
        self.assertNotIn(bytes([3, 0, 0, 0, 0, 0, 0, 1, 0, 1]), self.console.messages)  # the VNC server is not probed

    async def test_paused_server(self):
        """A paused server accepts keys and shows nothing: the page reports it until the next change."""

        def steps(page):
            page.wait_painted()
            page.page.mouse.move(300, 300)
            page.type("a")
            page.wait_said("Connected, but keys change nothing")
            self.wait_keys(page, taps(ord("a")))
            self.viewer("paint")
            page.page.wait_for_function("() => document.getElementById('state').textContent === 'Connected'")

        await self.visit_cleanly(steps)


class Waiting(PageTest):
    async def test_server_that_is_off(self):
        """The page waits for a server that is off, shows that it waits, and connects when the server is started."""
        self.refuse(InstanceNotRunning)

        def steps(page):
            page.wait_said(InstanceNotRunning.sentence)
            self.assertIn("not running", page.page.inner_text("[role=status]#state"))
            self.assertIn("not running", page.page.title())
            self.assertIn("connects when it runs", page.page.inner_text("#card"))
            self.wait_viewers(page, 3)
            self.assertIn("not running", page.page.inner_text("#state"))
            self.console.refusal = lambda params: None
            page.wait_painted()
            self.assertEqual(page.page.title(), "myserver20 - Console")

        await self.visit_cleanly(steps)

    async def test_address_without_a_token(self):
        self.refuse(InvalidToken)

        def steps(page):
            page.wait_said("This address names no console.")
            self.assertEqual(page.page.inner_text("#card-title"), "No console link")

        for query in ("", "path=websockify"):
            seen = await self.visit(steps, query)
            self.assertEqual(seen.complaints(), [])


class WaitingInFirefox(Waiting):
    browser = "firefox"


class EndOfWaiting(PageTest):
    async def test_link_ends_while_waiting(self):
        self.refuse(InstanceNotRunning)

        def steps(page):
            page.wait_said(InstanceNotRunning.sentence)
            self.refuse(InvalidToken)
            page.wait_said(InvalidToken.sentence)
            self.assertIn("expired while this page waited", page.page.inner_text("#card"))
            self.assertFalse(page.page.locator("#countdown, #cancel").first.is_visible())

        await self.visit(steps)

    async def test_stop_waiting(self):
        self.refuse(InstanceNotRunning)

        def steps(page):
            page.wait_said(InstanceNotRunning.sentence)
            page.page.click("#cancel")
            page.wait_said("Disconnected")
            self.assertFalse(page.page.locator("#countdown").is_visible())

        await self.visit(steps)

    async def test_service_that_forgot_the_link(self):
        """A service that keeps links in memory loses them in a restart, which the page mentions."""

        def steps(page):
            page.wait_painted()
            self.refuse(InvalidToken)
            self.viewer("close", Stopping.close_code, Stopping.sentence)
            page.wait_said(InvalidToken.sentence)
            self.assertIn("restarted", page.page.inner_text("#card"))

        await self.visit(steps)


class Live(PageTest):
    async def test_a_tab_with_a_session_asks_before_it_closes(self):
        """Otherwise Ctrl+W in a shell would close the tab.  Without a session the page does not ask."""

        def steps(page):
            page.wait_painted()
            page.page.locator("canvas").click()  # browsers ask only after an action of the user
            asked = []

            def stay(dialog):
                asked.append(dialog.type)
                dialog.dismiss()

            page.page.on("dialog", stay)
            with page.page.expect_event("dialog"):
                page.page.close(run_before_unload=True)
            self.assertEqual(asked, ["beforeunload"])
            self.assertTrue(page.page.evaluate(CONNECTED))
            page.page.click("#more")
            page.page.click("#connect")
            page.wait_said("Disconnected")
            with page.page.expect_event("close"):
                page.page.close(run_before_unload=True)
            self.assertEqual(asked, ["beforeunload"])

        await self.visit(steps)
        self.assertEqual(len(self.console.viewers), 1)

    async def test_encodings(self):
        """H.264 is not offered: noVNC freezes where a browser cannot decode it."""
        await self.visit(lambda page: page.wait_painted())
        (message,) = [message for message in self.console.messages if message[0] == 2]
        encodings = struct.unpack(f">{(len(message) - 4) // 4}i", message[4:])
        self.assertNotIn(50, encodings)
        self.assertIn(7, encodings)  # Tight

    async def test_pointer_where_the_server_draws_none(self):
        """The page shows a dot as the pointer if the server sends no cursor."""

        def steps(page):
            page.wait_painted()
            page.page.wait_for_function("() => document.querySelector('canvas').style.cursor.includes('data:image')")

        await self.visit(steps)

    async def test_server_that_fits_the_window(self):
        """``resize=remote``: the page requests each size of the window once, in whole pixels."""
        self.console.resizable = True
        sizes = []

        def steps(page):
            page.wait_painted()
            for width, height in ((900, 700), (1000, 640)):
                page.page.set_viewport_size({"width": width, "height": height})
                bar = page.page.evaluate("document.getElementById('bar').getBoundingClientRect().height")
                sizes.append((width, math.floor(height - bar)))
                self.assertTrue(self.wait(page, lambda: page.size() == sizes[-1]), page.size())
            page.type("x")
            self.wait_keys(page, taps(ord("x")))

        seen = await self.visit(steps, "token=T&resize=remote", size=(800, 600))
        own = (
            "Multiple readback operations"  # Chromium's advice to noVNC, which keeps the picture when the size changes
        )
        self.assertEqual([line for line in seen.complaints() if own not in line], [])
        asked = [struct.unpack_from(">HH", message, 2) for message in self.console.messages if message[0] == 251]
        self.assertEqual(len(asked), len(set(asked)), asked)
        self.assertEqual([size for size in asked if size in sizes], sizes)

    async def test_choice_of_the_picture(self):
        """The panel's third choice requests the size as well; without the server's consent the picture is scaled."""
        for self.console.resizable in (False, None):

            def steps(page):
                page.wait_painted()
                self.assertEqual([m for m in self.console.messages if m[0] == 251], [])
                page.page.click("#more")
                page.page.click("text=Original size")
                page.page.wait_for_function("() => document.querySelector('canvas').style.width === '320px'")
                page.page.click("text=Fit the server to the window")
                page.page.wait_for_function("() => document.querySelector('canvas').clientWidth > 700")
                if self.console.resizable is not None:
                    self.assertTrue(self.wait(page, lambda: any(m[0] == 251 for m in self.console.messages)))
                page.type("x")
                self.assertEqual(page.size(), (320, 200))

            self.console.messages.clear()
            await self.visit(steps)
        self.assertEqual([m for m in self.console.messages if m[0] == 251], [])

    async def test_long_name_on_a_phone(self):
        """The end of a long name stays visible, since it distinguishes servers; a copy contains the whole name."""
        self.console.name = "production-database-eu-west-1-replica-07"

        def steps(page):
            page.wait_painted()
            for width in (1280, 390):
                page.page.set_viewport_size({"width": width, "height": 844})
                self.assertEqual(page.page.inner_text("#name"), self.console.name)
                name, end = (page.page.locator(where).bounding_box() for where in ("#name", "#name span:last-child"))
                self.assertLessEqual(end["x"] + end["width"], name["x"] + name["width"] + 2, width)
                self.assertEqual(page.page.locator("#name").evaluate("(e) => getComputedStyle(e).textOverflow"), "clip")
                cut = page.page.locator("#name span").first.evaluate("(e) => e.scrollWidth > e.clientWidth")
                self.assertEqual(cut, width == 390)

        await self.visit(steps)


class LiveInFirefox(Live):
    browser = "firefox"
