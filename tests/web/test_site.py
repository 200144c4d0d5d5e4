"""An operator's settings in real browsers: the example of the documents, served by the proxy and by the API."""

from dataclasses import replace
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.trial.unittest import TestCase

from novnc_twisted.contract import ConnectInfo
from novnc_twisted.errors import InstanceNotRunning, InvalidToken
from novnc_twisted.http.page_settings import read_page_settings
from novnc_twisted.novncproxy import NoVNCProxyFactory
from tests.support.axe import Axe
from tests.support.browser import with_page
from tests.support.vnc_server import FakeVNCServer
from tests.web.test_list import ListCase

EXAMPLE = read_page_settings(Path(__file__).parents[2] / "docs" / "examples" / "page" / "page.json")
BAR = "rgb(16, 42, 67)"
COLORS = """(selector) => {
    const style = getComputedStyle(document.querySelector(selector));
    return [style.backgroundColor, style.color];
}"""
LOGO = "() => { const logo = document.querySelector('.logo'); return logo.complete && logo.naturalWidth > 0; }"


class ConsoleTests(TestCase):
    timeout = 300
    browser = "chromium"

    async def setUp(self) -> None:
        self.vnc = FakeVNCServer()
        vnc = reactor.listenTCP(0, self.vnc, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(maybeDeferred, vnc.stopListening)

        self.asked: list[str] = []

        async def authorise(token: str, console_type: str, client_address: str) -> ConnectInfo:
            self.asked.append(token)
            if token == "off":
                raise InstanceNotRunning("myserver20")
            if token != "good":
                raise InvalidToken
            return ConnectInfo(host="127.0.0.1", port=vnc.getHost().port, name="myserver20")

        self.factory = NoVNCProxyFactory(reactor, authorise)
        self.factory.page.use(EXAMPLE)
        port = reactor.listenTCP(0, self.factory, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{port.getHost().port}/vnc_auto.html?token="
        self.addCleanup(maybeDeferred, port.stopListening)
        self.addCleanup(maybeDeferred, self.factory.stop_sessions)

    async def test_the_console(self) -> None:
        def steps(page):
            page.page.wait_for_selector("body[data-state=connected]")
            page.page.wait_for_function(LOGO)
            self.assertEqual(page.page.get_attribute(".logo", "alt"), "Example Cloud")
            self.assertEqual(page.page.evaluate(COLORS, ".bar"), [BAR, "rgb(255, 255, 255)"])
            self.assertEqual(page.page.input_value("#layout"), "de")
            page.page.click("#more")
            self.assertTrue(page.page.is_disabled("#save-data"))
            self.assertFalse(page.page.is_disabled("#original"))
            self.assertIn("by your administrator", page.page.inner_text("#panel-more"))
            self.assertEqual(page.page.get_attribute("#panel-more >> text=Help", "href"), EXAMPLE.help)

            axe = Axe(page.page)
            axe.examine("with settings")
            self.assertEqual(axe.found, [])

        seen = await with_page(self.url + "good", steps, browser=self.browser)
        self.assertEqual(seen.complaints(), [])

    async def test_where_to_get_a_new_link(self) -> None:
        def steps(page):
            page.wait_said("not valid")
            self.assertEqual(page.page.get_attribute("#card >> text=Get a new link", "href"), EXAMPLE.new_link)
            self.assertEqual(page.page.get_attribute("#card >> text=Help", "href"), EXAMPLE.help)

        seen = await with_page(self.url + "bad", steps, browser=self.browser)
        self.assertEqual(seen.complaints(), [])

    async def test_a_link_keeps_the_focus_while_the_page_tries(self) -> None:
        def steps(page):
            page.page.focus("#links >> text=Help")
            before = len(self.asked)
            while len(self.asked) < before + 2:
                page.page.wait_for_timeout(25)
            self.assertEqual(page.page.evaluate("() => document.activeElement.textContent"), "Help")

        await with_page(self.url + "off", steps, browser=self.browser)

    async def test_links_for_each_language(self) -> None:
        self.factory.page.use(
            replace(EXAMPLE, help="https://{language}.example.org/{language}/", new_link="mailto:help+{language}@a.org")
        )

        def steps(page):
            page.page.wait_for_selector("#links a")
            return page.page.evaluate("() => [...document.querySelectorAll('#links a')].map((a) => a.href)")

        for language, expected in (
            ("pt-BR", ["mailto:help+pt-BR@a.org", "https://pt-br.example.org/pt-BR/"]),
            ("en", ["mailto:help+en@a.org", "https://en.example.org/en/"]),
        ):
            seen = await with_page(f"{self.url}bad&lang={language}", steps, browser=self.browser)
            self.assertEqual(seen.complaints(), [])
            self.assertEqual(seen.result, expected)


class FirefoxConsoleTests(ConsoleTests):
    browser = "firefox"


class ListTests(ListCase):
    async def test_the_list(self) -> None:
        self.system.site.application.branding.use(EXAMPLE)

        def steps(page):
            page.page.wait_for_function(LOGO)
            self.assertEqual(page.page.evaluate(COLORS, "header"), [BAR, "rgb(255, 255, 255)"])
            page.page.wait_for_selector("text=web-10")

        await self.visit(steps, "console/")
