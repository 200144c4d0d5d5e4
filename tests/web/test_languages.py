"""The languages of the page in real browsers."""

import json
import re
from pathlib import Path

from novnc_twisted.errors import ConsoleTypeUnavailable, InstanceNotFound
from tests.web.page_case import PageTest
from tests.web.steps import PHONE

LOCALES = Path(__file__).parents[2] / "novnc_twisted" / "web" / "src" / "locales"
LANGUAGE = "[document.documentElement.lang, document.documentElement.dir]"
STATE_OF_PHONE = """(words) => {
    const [state, panel] = ['state', 'panel-more'].map((id) => document.getElementById(id));
    state.textContent = words;
    const box = state.getBoundingClientRect();
    return {
        cut: state.scrollWidth > state.clientWidth || box.right > innerWidth,
        lines: Math.round(box.height / parseFloat(getComputedStyle(state).lineHeight)),
        covered: panel.getBoundingClientRect().top < box.bottom,
    };
}"""


def words(language):
    """The texts of a language."""
    return json.loads((LOCALES / f"{language}.json").read_text())


def loaded(seen):
    """The languages whose files the page requested."""
    return [url.rpartition("words.")[2].rpartition("-")[0] for url in seen.requests if "/words." in url]


class Languages(PageTest):
    async def test_language_of_the_browser(self):
        """A browser with de-AT shows German and loads only that file; ``data-state`` stays English for scripts."""

        def steps(page):
            page.wait_painted()
            page.wait_said("Verbunden")
            self.assertEqual(page.page.evaluate(LANGUAGE), ["de", "ltr"])
            self.assertEqual(page.page.evaluate("document.body.dataset.state"), "connected")
            self.assertEqual(page.page.get_attribute("#more", "aria-label"), "Ansicht und Verbindung")

        seen = await self.visit_cleanly(steps, locale="de-AT")
        self.assertEqual(loaded(seen), ["de"])

    async def test_causes_that_share_a_code(self):
        """A refusal is translated by its sentence; one that the page does not know is shown unchanged."""
        causes = words("de")["causes"]

        def steps(page):
            page.wait_said(causes["InstanceNotFound"])
            self.refuse(ConsoleTypeUnavailable)
            page.page.click("#again")
            page.wait_said(causes["ConsoleTypeUnavailable"])
            self.console.refusal = lambda params: (4404, "Gone fishing.")
            page.page.click("#again")
            page.wait_said("Gone fishing.")
            self.console.refusal = lambda params: (4401, "")
            page.page.click("#again")
            page.wait_said(causes["InvalidToken"])

        self.refuse(InstanceNotFound)
        await self.visit(steps, locale="de-DE")

    async def test_choice_is_remembered(self):
        """A language chosen in the address or in the panel is remembered; English loads no file."""

        def steps(page):
            page.wait_said("接続済み")
            page.page.goto(self.console.url("token=T"))
            page.wait_said("接続済み")
            page.page.click("#more")
            page.page.select_option("#language", "en")
            self.assertTrue(page.page.locator("#language-hint").is_visible())
            page.seen.requests.clear()
            page.page.goto(self.console.url("token=T"))
            page.wait_said("Connected")
            self.assertEqual(page.page.evaluate(LANGUAGE), ["en", "ltr"])

        seen = await self.visit(steps, "token=T&lang=ja")
        self.assertEqual(loaded(seen), [])

    async def test_choice_replaces_that_of_the_address(self):
        """A language that was chosen in the panel is used after a reload, too."""

        def steps(page):
            page.wait_said("接続済み")
            page.page.click("#more")
            page.page.select_option("#language", "de")
            page.page.reload()
            page.wait_said("Verbunden")
            self.assertEqual([viewer.params["token"] for viewer in self.console.viewers], [["T"], ["T"]])

        await self.visit(steps, "lang=ja&token=T")

    async def test_without_the_file(self):
        """The page is English if the texts of the language cannot be loaded."""

        def steps(page):
            page.page.route("**/words.*", lambda route: route.abort())
            page.page.goto(self.console.url("token=T&lang=fr"))
            page.wait_said("Connected")
            self.assertEqual(page.page.evaluate(LANGUAGE), ["en", "ltr"])

        await self.visit(steps)

    async def test_nothing_is_cut_on_a_phone(self):
        """In any language, the page is no wider than the phone with each panel open.

        Every text of the state is shown completely, and the panels begin below it.
        """
        states = (
            "connected",
            "mayWatch",
            "viewOnlyState",
            "paused",
            "starting",
            "reconnecting",
            "notRunning",
            "stalled",
        )

        def steps(page):
            for language in [path.stem for path in sorted(LOCALES.glob("*.json")) if path.stem != "causes"]:
                page.page.goto(self.console.url(f"token=T&lang={language}"))
                page.wait_painted()
                for panel in ("keys", "clipboard", "more"):
                    page.page.tap(f"#{panel}")
                    across = page.page.evaluate(
                        f"[document.documentElement.scrollWidth, document.getElementById('panel-{panel}').scrollWidth,"
                        f" document.getElementById('panel-{panel}').clientWidth]"
                    )
                    self.assertLessEqual(across[0], 390, f"{language}, {panel}")
                    self.assertLessEqual(across[1], across[2], f"{language}, {panel}")
                for state in states:
                    shown = page.page.evaluate(STATE_OF_PHONE, words(language)["page"]["text"][state])
                    self.assertEqual(shown, {"cut": False, "lines": 1, "covered": False}, f"{language}, {state}")

        await self.visit(steps, **PHONE)

    async def test_names_of_keys(self):
        """The panel of keys, the row and the chips show the key names of German keyboards."""

        def steps(page):
            page.wait_painted()
            page.page.tap("#keyrow >> text=Strg")
            page.page.get_by_text("Strg gehalten").wait_for()
            page.page.tap("#keys")
            buttons = page.page.locator("#panel-keys button, #keyrow button").all_inner_texts()
            self.assertEqual([name for name in buttons if re.search("Ctrl|Shift|Home|PrtScn|Del|Bksp", name)], [])

        await self.visit(steps, "token=T&lang=de", **PHONE)


class LanguagesInFirefox(PageTest):
    browser = "firefox"

    async def test_language_of_the_address(self):
        def steps(page):
            page.wait_said(words("uk")["page"]["text"]["connected"])
            self.assertEqual(page.page.evaluate(LANGUAGE), ["uk", "ltr"])

        seen = await self.visit_cleanly(steps, "token=T&lang=uk")
        self.assertEqual(loaded(seen), ["uk"])
