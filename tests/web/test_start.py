"""A server that is off is started from its console, if the list of servers opened it or shows it beside others."""

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread

from tests.api.harness import uuid_of
from tests.support import published
from tests.support.axe import OPPOSITES, Axe
from tests.support.browser import TIMEOUT, with_page
from tests.web.steps import LONG_TIMES_END_BY_THE_TEST
from tests.web.test_split import NAMES, SplitCase

BUSY = {"state": "shutoff", "conflict": "task", "task": "powering-off"}
RUNNING = {"state": "running"}
WAIT = TIMEOUT * 1000
WATCH_TRIES = """() => {
    const countdown = document.getElementById('countdown');
    const look = () => { window.tried ||= countdown.textContent === 'Trying now…'; };
    new MutationObserver(look).observe(countdown, { childList: true });
}"""
"""Records an attempt, which takes only some milliseconds."""

ADD_LINKS = """() => {
    const links = Object.assign(document.createElement('p'), { id: 'links', className: 'hint', textContent: 'Help' });
    document.getElementById('countdown').after(links);
}"""
"""Adds the operator's links to the card, as offerLinks() of branding.js does."""


class StartCase(SplitCase):
    def now(self, name: str, state: str) -> None:
        """In the browser's thread: change the state of a server, and close the connections of its VNC server."""
        self.host.instances[uuid_of(name)] |= {"state": state}
        blockingCallFromThread(reactor, lambda: Deferred.fromCoroutine(self.publish(name)))

    async def publish(self, name: str) -> None:
        await published.publish(self.system.transport.store, "host1", self.host.instances.values())
        for connection in self.servers[name].connections:
            connection.transport.loseConnection()

    def opened(self, page: Any, name: str) -> Any:
        """Open the console of a server from the list, and wait for its screen."""
        with page.expect_popup(timeout=WAIT) as popup:
            page.get_by_role("button", name=f"Open the console of {name}").click()
        console = popup.value
        console.locator("#state", has_text="Connected").wait_for(timeout=WAIT)
        return console

    def offered(self, console: Any) -> Any:
        """Wait for the button, and return it."""
        button = console.get_by_role("button", name="Start the server")
        button.wait_for(timeout=WAIT)
        return button

    def runs(self, page: Any, name: str) -> None:
        """Wait until the compute host is asked to start the server; then report it as running."""
        for _ in range(2400):
            if self.host.power:
                break
            page.wait_for_timeout(25)
        self.now(name, "running")

    def heard(self, name: str, *actions: str) -> None:
        """The compute host has received these actions, and no others."""
        self.assertEqual(self.host.power, [(uuid_of(name), action) for action in actions])


class FromTheList(StartCase):
    async def test_a_console_that_the_list_opened(self) -> None:
        """The page shows the progress, connects by itself, and keys reach the server."""

        def steps(view: Any) -> None:
            console = self.opened(view.page, "web-1")
            self.now("web-1", "shutoff")
            button = self.offered(console)
            self.assertIn("The console opens here", console.locator("#start-note").inner_text())
            self.assertFalse(console.locator("#hint").is_visible())
            console.evaluate(ADD_LINKS)
            self.assertTrue(console.locator("#links").is_visible())
            button.dblclick()  # the second click has no effect
            console.locator("#start-note", has_text="The server is being started.").wait_for(timeout=WAIT)
            self.runs(view.page, "web-1")
            console.locator("#state", has_text="Connected").wait_for(timeout=WAIT)
            console.locator("#stage canvas").focus()
            console.keyboard.type("ab")
            console.wait_for_function("() => document.getElementById('start').hidden")
            blockingCallFromThread(reactor, self.servers["web-1"].live.get)  # the connection from before it was off
            self.wait_typed("web-1", "ab")
            console.close()

        await with_page(self.url, steps, browser=self.browser)
        self.heard("web-1", "start")

    async def test_a_list_that_was_loaded_again(self) -> None:
        """It starts the servers whose consoles it opened; for others it does nothing."""

        def steps(view: Any) -> None:
            console = self.opened(view.page, "web-1")
            view.page.reload()
            view.page.get_by_role("button", name="Open the console of web-1").wait_for(timeout=WAIT)
            console.evaluate("(server) => opener.postMessage({console: 'start', server}, '*')", uuid_of("off"))
            self.now("web-1", "shutoff")
            self.offered(console).click()
            self.runs(view.page, "web-1")
            console.locator("#state", has_text="Connected").wait_for(timeout=WAIT)
            console.close()

        await with_page(self.url, steps, browser=self.browser)
        self.heard("web-1", "start")


class InFirefox(FromTheList):
    browser = "firefox"


class Refused(StartCase):
    async def test_a_start_that_is_refused(self) -> None:
        """The console says so, the list says why, and it can be tried again."""

        def steps(view: Any) -> None:
            console = self.opened(view.page, "web-1")
            self.now("web-1", "suspended")
            button = console.get_by_role("button", name="Resume the server")
            button.wait_for(timeout=WAIT)
            self.host.power_reply = BUSY
            button.click()
            console.locator("#start-note", has_text="was not started").wait_for(timeout=WAIT)
            view.page.locator(".note", has_text="powering-off").wait_for(timeout=WAIT)
            axe = Axe(console)
            axe.examine("a start that was refused", OPPOSITES)
            self.assertEqual(axe.found, [])
            self.assertEqual(button.get_attribute("aria-disabled"), "false")
            self.host.power_reply = RUNNING  # a second refusal would soon replace the sentence below
            button.click()
            console.locator("#start-note", has_text="being started").wait_for(timeout=WAIT)
            self.now("web-1", "running")
            console.locator("#state", has_text="Connected").wait_for(timeout=WAIT)
            console.close()

        await with_page(self.url, steps, script=LONG_TIMES_END_BY_THE_TEST)  # the list shows its note for 8 s

    async def test_a_link_alone_starts_nothing(self) -> None:
        """A console opened by its link shows the hint only, also in a window that another page opened."""

        def steps(view: Any) -> None:
            console = self.opened(view.page, "web-1")
            address = console.url
            console.close()
            view.page.goto("about:blank")
            with view.page.expect_popup(timeout=WAIT) as popup:
                view.page.evaluate("(address) => void open(address, 'mine')", address)
            console = popup.value
            console.locator("#state", has_text="Connected").wait_for(timeout=WAIT)
            self.now("web-1", "shutoff")
            console.locator("#sentence", has_text="not running").wait_for(timeout=WAIT)
            console.evaluate(WATCH_TRIES)
            console.wait_for_function("() => window.tried", timeout=WAIT)
            self.assertFalse(console.locator("#start").is_visible())
            self.assertTrue(console.locator("#hint").is_visible())
            console.close()

        await with_page(self.url, steps)
        self.assertEqual(self.host.power, [])


class SideBySide(StartCase):
    async def test_a_pane_whose_server_is_off(self) -> None:
        self.host.instances[uuid_of("web-1")] |= {"state": "shutoff"}
        await self.publish("web-1")

        def steps(view: Any) -> None:
            page = view.page
            other = page.frame_locator("[data-name=web-2] iframe")
            other.locator("#state", has_text="Connected").wait_for(timeout=WAIT)
            page.wait_for_function("() => document.activeElement.title === 'web-2'")
            page.keyboard.press("Control+Alt+Shift")
            other.locator("#tools button:focus").wait_for(timeout=WAIT)
            page.keyboard.press("F6")
            page.wait_for_function("() => document.activeElement.ariaLabel === 'Start the server: web-1'")
            page.keyboard.press("Enter")
            page.get_by_text("The server is being started.").wait_for(timeout=WAIT)
            axe = Axe(page)
            axe.examine("a pane whose server starts", OPPOSITES)
            self.assertEqual(axe.found, [])
            self.runs(page, "web-1")
            frame = page.frame_locator("[data-name=web-1] iframe")
            frame.locator("#state", has_text="Connected").wait_for(timeout=WAIT)

        # The browser's console is not checked: axe-core asks each frame for its part, and the browser reports that.
        await with_page(self.address("web-1", "web-2"), steps)
        self.heard("web-1", "start")

    async def test_from_outside_all_panes(self) -> None:
        """F6 moves to the first pane, and Shift+F6 to the last one."""
        for name in NAMES:
            self.host.instances[uuid_of(name)] |= {"state": "shutoff"}
            await self.publish(name)

        def steps(view: Any) -> None:
            page = view.page
            page.get_by_role("button", name="Start the server: web-3").wait_for(timeout=WAIT)
            for key, name in (("F6", "web-1"), ("Shift+F6", "web-3")):
                page.evaluate("() => document.activeElement.blur()")
                page.keyboard.press(key)
                self.assertEqual(page.evaluate("() => document.activeElement.ariaLabel"), f"Start the server: {name}")

        await self.visit(self.address(*NAMES), steps)

    async def test_a_server_that_goes_off_in_its_pane(self) -> None:
        def steps(view: Any) -> None:
            frame = view.page.frame_locator("[data-name=web-1] iframe")
            frame.locator("#state", has_text="Connected").wait_for(timeout=WAIT)
            self.now("web-1", "shutoff")
            button = frame.get_by_role("button", name="Start the server")
            button.wait_for(timeout=WAIT)
            axe = Axe(view.page)
            axe.examine("a pane whose server can be started", OPPOSITES)
            self.assertEqual(axe.found, [])
            button.click()
            frame.locator("#start-note", has_text="being started").wait_for(timeout=WAIT)
            self.runs(view.page, "web-1")
            frame.locator("#state", has_text="Connected").wait_for(timeout=WAIT)

        # The browser's console is not checked: axe-core asks each frame for its part, and the browser reports that.
        await with_page(self.address("web-1", "web-2"), steps)
        self.heard("web-1", "start")
