"""A server that is paused: the page says so, and lets it continue, or says who can."""

from twisted.internet import reactor

from novnc_twisted.consoleauth.people_api import PeopleAPI
from novnc_twisted.session.manager import new_topic
from tests.consoleauth.harness import VM
from tests.support.axe import Axe
from tests.support.browser import ConsolePage, with_page
from tests.web.test_people import PeopleCase

SAYS_NOTHING = """() => ['state', 'advice-words'].every(
    (id) => !document.getElementById(id).textContent.includes('paused'))"""


class PausedCase(PeopleCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.host.consoles[VM]["state"] = "paused"

    def now(self, state: str) -> None:
        """In the browser's thread: the compute host reports this state from now on."""
        reactor.callFromThread(self.host.consoles[VM].update, state=state)  # type: ignore[attr-defined]

    def examined(self, page: ConsolePage) -> None:
        axe = Axe(page.page)
        axe.examine("paused")
        self.assertEqual(axe.found, [])


class PausedTests(PausedCase):
    async def test_continued_on_the_page(self) -> None:
        """It works by keyboard alone; a failure is shown; afterwards the screen has the focus again."""
        self.host.conflict = "state"

        def steps(page: ConsolePage) -> None:
            page.wait_said("The server is paused. It does nothing until it is continued.")
            self.assertEqual(page.page.inner_text("#state"), "Connected, but the server is paused")
            self.examined(page)
            page.page.locator("#stage canvas").focus()
            page.press("Control+Alt+Shift")
            page.page.locator("#tools button:focus").wait_for()
            page.press("Tab")
            page.page.locator("#advice-go:focus").wait_for()
            page.press("Enter")
            page.wait_said("That did not work.")
            self.host.conflict = None
            page.press("Enter")
            page.page.wait_for_function(SAYS_NOTHING)
            page.page.wait_for_function("() => document.activeElement.tagName === 'CANVAS'")

        seen = await with_page(await self.link("alice"), steps)
        self.assertEqual(seen.complaints(), [])
        self.assertEqual(self.host.consoles[VM]["state"], "running")

    async def test_a_guest(self) -> None:
        """A guest with control can neither begin power actions nor use the list of servers."""
        await self.link("alice")
        people = PeopleAPI(self.transport, new_topic("one"))
        shared = await people.share("token-of-alice", "127.0.0.1", "control", 60)

        def steps(page: ConsolePage) -> None:
            page.wait_said("The server is paused. Ask somebody who controls it to continue it.")
            self.assertFalse(page.page.locator("#advice-go").is_visible())

        await with_page(self.url(shared.token, 0), steps)

    async def test_who_may_only_watch(self) -> None:
        def steps(page: ConsolePage) -> None:
            page.wait_said("The server is paused. Ask somebody who controls it to continue it.")
            self.assertFalse(page.page.locator("#advice-go").is_visible())
            self.examined(page)

        await with_page(await self.link("bob", "view"), steps)

    async def test_paused_while_somebody_watches(self) -> None:
        """A watcher presses no keys, so its page asks for the state at intervals.  The test moves the page's clock."""
        self.host.consoles[VM]["state"] = "running"

        def steps(page: ConsolePage) -> None:
            page.wait_said("you may only watch")
            self.now("paused")
            asks = page.page.locator("#advice-words", has_text="The server is paused.")
            for _ in range(1200):
                if asks.count():
                    break
                page.page.clock.run_for(2_000)
                page.page.wait_for_timeout(50)
            self.assertTrue(asks.is_visible())
            page.page.clock.resume()

        await with_page(await self.link("bob", "view"), steps, clock=True)


class WithoutPower(PausedCase):
    """Viewers begin no power actions: ``[console] xvp = false``, or in front of nova."""

    change_power = None

    async def test_continued_elsewhere(self) -> None:
        def steps(page: ConsolePage) -> None:
            page.wait_said("The server is paused. Continue it in the list of servers.")
            self.assertFalse(page.page.locator("#advice-go").is_visible())
            self.now("running")
            page.page.wait_for_function(SAYS_NOTHING)

        seen = await with_page(await self.link("alice"), steps)
        self.assertEqual(seen.complaints(), [])
