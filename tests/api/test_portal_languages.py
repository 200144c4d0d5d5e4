"""The language of the API's pages: how it is chosen, and that all texts are translated."""

import re
from html.parser import HTMLParser
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.api.portal.assets import SHIPPED
from novnc_twisted.api.portal.words import Languages, Words, choose
from novnc_twisted.errors import TABLE
from novnc_twisted.identity.api_token_records import MAX_TOKENS
from tests.api.harness import uuid_of
from tests.api.test_keystone_pages import KeystonePages
from tests.api.test_portal import PortalCase

RED = uuid_of("red-vm")

DATA = re.compile("red(-vm|-id)?|blue(-vm|-id)?|alice(-id)?|host1|nobodys|root|Default|" + RED)
"""Texts that are the same in every language."""


class Texts(HTMLParser):
    """Collects the texts of a page, and the attributes that people read or hear."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found.append(data)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found += [value for name, value in attrs if name in ("aria-label", "title", "placeholder", "alt")]


def english_of(raw: bytes) -> list[str]:
    """Return the texts of a page in the language of :func:`marked` that are not translated."""
    reader = Texts()
    reader.feed(raw.decode())
    texts = [re.sub("⟦[^⟧]*⟧", "", text) for text in reader.found]
    return [text for text in texts if re.search("[A-Za-z]", DATA.sub("", text))]


def marked(languages: Languages) -> Words:
    """Return a language that shows each English text in brackets."""
    return Words("xx", {english: f"⟦{english}⟧" for english in languages.table("de")})


class NoEnglish:
    """A mixin that makes all pages in the language of :func:`marked`."""

    def setUp(self: Any) -> None:
        super().setUp()
        words = marked(Languages(SHIPPED))
        self.patch(Languages, "of", lambda _self, _request: words)

    def check(self: Any, answer: Any, *statuses: int) -> None:
        self.assertIn(answer.status, statuses or (200,))
        self.assertIn("⟦", answer.raw.decode())
        self.assertEqual(english_of(answer.raw), [])


class PortalTexts(NoEnglish, PortalCase):
    def test_no_text_is_left_in_english(self) -> None:
        self.check(self.visit())
        self.check(self.log_in(password="wrong"), 401)
        for user, password in (("alice", "r3d:pass"), ("root", "toor")):
            self.log_in(user, password)
            both = f"split?server={RED}&server={uuid_of('blue-vm')}"
            for path in ("", f"servers/{RED}", "?name=nothing", *([both] if user == "root" else [])):
                self.check(self.visit(f"/console/{path}"))
        self.check(self.visit("/console/account"))
        made = self.submit("/console/account/tokens", name="red", right="control").raw.decode()
        self.assertEqual(english_of(re.sub('nvt_[^"]*|[0-9-]+ [0-9:]+ UTC', "", made).encode()), [])
        self.check(self.submit("/console/account/tokens", name=""), 400)
        self.check(self.submit("/console/account/revoke", id="x"), 404)
        for _ in range(MAX_TOKENS):
            answer = self.submit("/console/account/tokens", name="red")
        self.check(answer, 403)
        for path in ("nothing", "servers/x", f"?marker={uuid_of('no')}", "?marker=x", "split", f"split?server={RED}"):
            self.check(self.visit(f"/console/{path}"), 400, 404)
        self.check(self.submit(f"/console/servers/{RED}/power", action="destroy"), 400)
        self.check(self.submit("/console/"), 405)
        self.check(self.submit(f"/console/servers/{RED}/open", "http://evil"), 403)
        for conflict in ("state", "transient", "task"):
            self.hosts[0].power_reply = {"state": "shutoff", "conflict": conflict, "task": "powering-off"}
            answer = self.submit(f"/console/servers/{RED}/power", action="pause")
            self.assertIn(answer.status, (409,))
            # Not check(): the names of states and actions are nova's, and stay English.
            self.assertIn("⟦Cannot", answer.raw.decode())
        for state in ("shutoff", "paused", "crashed"):
            self.hosts[0].instances[RED]["state"] = state
            self.check(self.visit(f"/console/servers/{RED}"))
        self.cookie = ""
        self.check(self.submit(f"/console/servers/{RED}/open"), 401)
        for _ in range(5):
            self.log_in(password="wrong")
        self.check(self.log_in(), 429)

    def test_each_refusal_has_its_sentence(self) -> None:
        words = marked(Languages(SHIPPED))
        for refusal in TABLE.values():
            self.assertTrue(words.sentence(refusal.sentence).startswith("⟦"), refusal)


class KeystoneTexts(NoEnglish, KeystonePages):
    def test_no_text_is_left_in_english(self) -> None:
        self.check(self.visit())
        self.check(self.log_in(password="wrong"), 401)
        self.log_in()
        self.check(self.visit("/console/project"))
        self.check(self.submit("/console/project", project="green-id"), 403)
        self.check(self.submit("/console/servers/x/open"), 403)
        self.submit("/console/project", project="red-id")
        self.check(self.visit())
        self.keystone.tokens[list(self.keystone.tokens)[-1]]["token"]["roles"] = []
        self.reactor.advance(300)
        self.check(self.visit(), 403)


class LanguageTests(PortalCase):
    def test_the_language_of_the_browser_and_of_the_address(self) -> None:
        for wanted, language, button in (
            ("de-AT,de;q=0.9,en;q=0.8", "de", "Anmelden"),
            ("sv, fr;q=0.5, ja;q=0.7", "ja", "ログイン"),
            ("zh-TW, en", "en", "Log in"),
            ("de;q=0, nl;q=0.1", "nl", "Aanmelden"),
            ("xx;q=oops, *", "en", "Log in"),
            (",;=" * 500, "en", "Log in"),
        ):
            page = self.visit(Accept_Language=wanted)
            self.assertIn(f'<html lang="{language}">', page.raw.decode(), wanted)
            self.assertIn(f">{button}<", page.raw.decode())
            self.assertEqual(page["vary"], "Cookie, Accept-Language")
        self.assertIn(b'lang="pt-BR"', self.visit("/console/?lang=pt", Accept_Language="de").raw)
        self.assertIn(b'lang="de"', self.visit("/console/?lang=%3Cx", Accept_Language="de").raw)

    def test_a_page_in_german(self) -> None:
        self.log_in()
        page = self.visit("/console/nothing", Accept_Language="de").raw.decode()
        self.assertIn("Diese Seite gibt es nicht.", page)
        self.assertIn("Abmelden", page)  # error pages have the header, too
        sentence = self.visit(f"/console/servers/{uuid_of('blue-vm')}", Accept_Language="de").raw.decode()
        self.assertIn(f"Der Server {uuid_of('blue-vm')} wurde nicht gefunden.", sentence)


class WordsTests(SynchronousTestCase):
    def test_choice(self) -> None:
        offered = ("en", "de", "pt-BR", "zh-CN")
        for wanted, found in (
            (["de-AT"], "de"),
            (["pt-PT"], "pt-BR"),
            (["zh-Hant-HK", "zh"], "zh-CN"),
            (["", "*", "../de", "__proto__"], None),
        ):
            self.assertEqual(choose(wanted, offered), found, wanted)

    def test_values(self) -> None:
        words = Words("xx", {"Wait {seconds} s.": "{seconds}!", "a": "b"})
        self.assertEqual(words("Wait {seconds} s.", seconds=3), "3!")
        for english, text in (("Wait 3 s.", "3!"), ("Wait {seconds} s.", "{seconds}!"), ("a", "b"), ("Wait", "Wait")):
            self.assertEqual(words.sentence(english), text)

    def test_without_a_build(self) -> None:
        self.assertEqual(list(Languages(SHIPPED / "missing")), ["en"])
