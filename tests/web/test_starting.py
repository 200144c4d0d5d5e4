"""A server that starts: the page says so while its screen is black, and shows the picture as soon as there is one."""

import tempfile
from pathlib import Path

from twisted.internet import reactor

from novnc_twisted.errors import InstanceNotRunning
from tests.consoleauth.harness import VM
from tests.support.axe import Axe
from tests.support.browser import ConsolePage, with_page
from tests.support.vm import SmallVM
from tests.web.page_case import PageTest
from tests.web.test_people import PeopleCase

SAYS_NOTHING = "() => document.getElementById('advice').hidden && document.getElementById('state').textContent === '{}'"


class Starting(PageTest):
    def setUp(self):
        super().setUp()
        self.console.silent = True

    def picture_comes(self, page, state="Connected"):
        """Draw the screen; wait until it is shown and the advice is gone."""
        self.viewer("paint")
        page.wait_painted()
        page.page.wait_for_function(SAYS_NOTHING.format(state))

    async def test_a_server_that_was_off(self):
        self.refuse(InstanceNotRunning)

        def steps(page):
            page.wait_said("not running")
            self.console.refusal = lambda params: None
            page.wait_said("The server is starting. Its screen appears here")
            self.assertEqual(page.page.inner_text("#state"), "Connected, the server is starting")
            axe = Axe(page.page)
            axe.examine("starting")
            self.assertEqual(axe.found, [])
            self.picture_comes(page)

        await self.visit_cleanly(steps)

    async def test_a_screen_that_is_black(self):
        """The page says that the server may be starting: it cannot know."""

        def steps(page):
            page.wait_said("The screen is black: the server may still be starting")
            self.assertEqual(page.page.inner_text("#state"), "Connected, view only")
            axe = Axe(page.page)
            axe.examine("black")
            self.assertNotIn("Press a key", page.page.inner_text("#advice"))
            self.assertEqual(axe.found, [])
            self.picture_comes(page, "Connected, view only")
            self.assertTrue(page.page.locator("#watching").is_visible())

        await self.visit_cleanly(steps, "token=T&view_only=1")

    async def test_a_click_on_the_words_goes_to_the_server(self):
        def steps(page):
            page.wait_said("or its screen is asleep. Press a key to wake it.")
            box = page.page.locator("#advice").bounding_box()
            page.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            self.wait_pointer(page, "no click")
            self.picture_comes(page)

        await self.visit(steps)


class StartingInFirefox(Starting):
    browser = "firefox"


class OfQEMU(PeopleCase):
    async def start_vnc(self) -> int:
        folder = tempfile.TemporaryDirectory()  # not trial's folder: the path of a unix socket must be short
        self.addCleanup(folder.cleanup)
        self.vm = SmallVM(Path(folder.name))
        self.addCleanup(self.vm.stop)
        return self.vm.port

    async def test_a_vm_that_was_off(self) -> None:
        """The page waits for a real VM, says that it starts, and shows its screen."""
        self.host.refusals[VM] = InstanceNotRunning("off")

        def steps(page: ConsolePage) -> None:
            page.wait_said("not running")
            self.vm.start()
            reactor.callFromThread(self.host.refusals.clear)  # type: ignore[attr-defined]
            page.wait_said("The server is starting.")
            page.wait_painted()
            page.page.wait_for_function(SAYS_NOTHING.format("Connected"))

        seen = await with_page(await self.link("alice"), steps)
        self.assertEqual(seen.complaints(), [])
