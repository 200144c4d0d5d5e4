"""The panel "Power" of the console page, judged by what the compute host received."""

from mimetypes import guess_type
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import blockingCallFromThread

from novnc_twisted.events.records import PowerAction
from tests.consoleauth.harness import VM
from tests.support.axe import Axe
from tests.support.browser import ConsolePage, with_page
from tests.web.steps import PHONE
from tests.web.test_people import PeopleCase

NOVNC = Path(__file__).parents[2] / "novnc_twisted" / "web" / "node_modules" / "@novnc" / "novnc"

RESET_BY_NOVNC = """async (url) => {
    const { default: RFB } = await import('/novnc/core/rfb.js');
    const rfb = new RFB(document.createElement('div'), url);
    const { detail } = await new Promise((resolve) => rfb.addEventListener('capabilities', resolve));
    rfb.machineReset();
    return detail.capabilities.power;
}"""


class PowerCase(PeopleCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.host.consoles[VM]["state"] = "running"

    def begun(self) -> list[str]:
        """The power actions that the compute host received."""
        return [asked.split()[1] for asked in self.host.asked if asked.startswith("change_power")]

    def now(self, state: str) -> None:
        """In the browser's thread: the compute host reports this state from now on."""
        reactor.callFromThread(self.host.consoles[VM].update, state=state)  # type: ignore[attr-defined]

    def until(self, condition: Any) -> None:
        """In the browser's thread: wait until the condition holds."""

        async def wait() -> None:
            while not condition():
                await deferLater(reactor, 0.02, lambda: None)

        blockingCallFromThread(reactor, lambda: Deferred.fromCoroutine(wait()).addTimeout(120, reactor))

    def offered(self, page: Any) -> list[str]:
        return page.locator("#power-actions button").all_text_contents()  # type: ignore[no-any-return]


class ByKeyboard(PowerCase):
    async def test_by_keyboard_alone(self) -> None:
        """The question names the consequence, Escape cancels it, and the panel follows the server's state."""

        def steps(page: ConsolePage) -> None:
            view = page.page
            view.locator("#power:not([hidden])").wait_for()
            view.locator("#power").focus()
            view.keyboard.press("Enter")
            view.locator("#power-actions button:focus").wait_for()
            self.assertEqual(self.offered(view), ["Shut down", "Reboot", "Reset", "Pause", "Suspend"])
            view.keyboard.press("Enter")
            view.locator("dialog").wait_for()
            self.assertIn("If it takes too long, it may be switched off.", view.inner_text("dialog"))
            self.assertEqual(view.evaluate("() => document.activeElement.textContent"), "Cancel")
            view.keyboard.press("Escape")
            view.locator("dialog").wait_for(state="detached")
            self.assertEqual(view.evaluate("() => document.activeElement.textContent"), "Shut down")
            view.get_by_role("button", name="Pause").focus()
            view.keyboard.press("Enter")
            view.locator("dialog").wait_for()
            view.keyboard.press("Tab")
            view.keyboard.press("Enter")
            view.locator("#power-note").filter(has_text="myserver20: is being paused.").wait_for()
            view.locator("#power-actions button").filter(has_text="Continue").wait_for()
            self.assertEqual(self.offered(view), ["Continue", "Reset"])
            page.wait_said("The server is paused.")
            view.get_by_role("button", name="Reset").focus()
            view.keyboard.press("Escape")
            view.locator("#power:focus").wait_for()

        seen = await with_page(await self.link("alice"), steps, browser=self.browser)
        self.assertEqual(seen.complaints(), [])
        self.assertEqual(self.begun(), ["pause"])
        (event,) = [event for event in self.events if isinstance(event, PowerAction)]
        self.assertEqual((event.action, event.user_id, event.cause), ("pause", "alice", ""))


class ByKeyboardInFirefox(ByKeyboard):
    browser = "firefox"


class PowerTests(PowerCase):
    async def test_by_keyboard_in_a_narrow_window(self) -> None:
        """The focus goes from the button in "View and connection" to the panel, and stays there; Escape closes it."""

        def steps(page: ConsolePage) -> None:
            view = page.page
            view.locator("#power:not([hidden])").wait_for(state="attached")
            view.locator("#more").click()
            view.locator("#power-too").focus()
            view.keyboard.press("Enter")
            view.locator("#power-actions button:focus").wait_for()
            view.get_by_role("button", name="Pause").focus()
            view.keyboard.press("Enter")
            view.keyboard.press("Tab")
            view.keyboard.press("Enter")
            view.locator("#power-actions button").filter(has_text="Continue").wait_for()
            self.assertTrue(view.evaluate("() => Boolean(document.activeElement.closest('#panel-power'))"))
            view.keyboard.press("Escape")
            view.locator("#more:focus").wait_for()
            self.assertFalse(view.locator("#panel-power").is_visible())

        await with_page(await self.link("alice"), steps, size=(640, 600))

    async def test_on_a_phone(self) -> None:
        """By touch, from the panel "View and connection"; a refusal is shown."""
        self.host.conflict = "state"

        def steps(page: ConsolePage) -> None:
            view = page.page
            view.locator("#power:not([hidden])").wait_for(state="attached")
            self.assertFalse(view.locator("#power").is_visible())
            view.tap("#more")
            view.tap("#power-too")
            view.get_by_role("button", name="Reset").tap()
            self.assertIn("unsaved data of the guest is lost", view.inner_text("dialog"))
            view.locator("dialog").get_by_role("button", name="Reset").tap()
            view.locator("#power-note").filter(has_text="The state of the server does not allow this now.").wait_for()
            self.assertLessEqual(view.evaluate("() => document.documentElement.scrollWidth"), 390)
            for button in view.locator("#power-actions button").all():
                self.assertGreaterEqual(button.bounding_box()["height"], 40)  # type: ignore[index]

        seen = await with_page(await self.link("alice"), steps, **PHONE)
        self.assertEqual(seen.complaints(), [])
        self.assertEqual(self.begun(), ["reset"])

    async def test_accessible(self) -> None:
        """axe-core finds nothing in the panel, in the question, and after an answer."""

        def steps(page: ConsolePage) -> None:
            view, axe = page.page, Axe(page.page)
            view.locator("#power").click()
            view.locator("#power-actions button:focus").wait_for()
            axe.examine("power")
            view.get_by_role("button", name="Suspend").click()
            axe.examine("a question about power")
            self.now("nostate")
            view.locator("dialog").get_by_role("button", name="Suspend").click()
            view.locator("#power-note").filter(has_text="is being suspended").wait_for()
            view.locator("#power-none").wait_for()
            axe.examine("an action has begun, and nothing else can be done")
            self.assertEqual(axe.found, [])

        await with_page(await self.link("alice"), steps)
        self.assertEqual(self.begun(), ["suspend"])

    async def test_who_may_not(self) -> None:
        """Watchers and guests with control get no power actions; losing control closes panel and question."""

        def steps(page: ConsolePage) -> None:
            mine = page.page
            mine.locator("#power:not([hidden])").wait_for()
            theirs = self.second(page, watching)
            self.assertFalse(theirs.locator("#power").is_visible())
            mine.locator("#people").click()
            mine.locator("#share-mode").select_option("control")
            mine.locator("#share-make").click()
            mine.locator("#shared-until").filter(has_text="valid until").wait_for()
            guest = self.second(page, mine.locator("#shared-link").input_value())
            self.assertFalse(guest.locator("#power").is_visible())
            self.wait_key(guest, "g")
            mine.locator("#power").click()
            mine.get_by_role("button", name="Reset").click()
            mine.locator("dialog").wait_for()
            blockingCallFromThread(reactor, self.limit)
            mine.locator("dialog").wait_for(state="detached")
            mine.locator("#power").wait_for(state="hidden")
            self.assertFalse(mine.locator("#panel-power").is_visible())

        watching = await self.link("bob", "view", proxy=1)
        seen = await with_page(await self.link("alice"), steps)
        self.assertEqual(seen.complaints() + self.complaints, [])
        self.assertEqual(self.begun(), [])

    def limit(self) -> None:
        """Make all sessions of the first proxy watch only, as an operator can."""
        for session in self.registries[0]:
            session.change_mode("view")

    async def test_the_buttons_of_novnc(self) -> None:
        """noVNC's own power capability is offered, and its reset reaches the compute host."""
        shown, other = await self.link("alice"), await self.link("carol")

        def module(route: Any) -> None:
            path = NOVNC / route.request.url.partition("/novnc/")[2]
            route.fulfill(body=path.read_bytes(), content_type=guess_type(path.name)[0])

        def steps(page: ConsolePage) -> None:
            page.page.locator("#power:not([hidden])").wait_for()
            page.page.route("**/novnc/**", module)
            socket = other.replace("http:", "ws:").replace("vnc_auto.html", "websockify")
            self.assertTrue(page.page.evaluate(RESET_BY_NOVNC, socket))
            self.until(self.begun)

        await with_page(shown, steps)
        self.assertEqual(self.begun(), ["reset"])
