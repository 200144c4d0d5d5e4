"""The keyboard layouts of the page: a Linux guest with the layout reads the text that the page types."""

# ruff: noqa: RUF001
import json
import sys
from pathlib import Path
from unicodedata import normalize

from twisted.trial.unittest import TestCase

from novnc_twisted.keyboard.keys import ALTGR, PRINTING, SHIFT
from novnc_twisted.keyboard.layouts import CannotType, spell
from tests.support.scripts import load
from tests.support.xkb_guest import XkbGuest
from tests.web.test_modules import WEB, node

SCRIPT = Path(__file__).parents[2] / "scripts" / "generate_layouts.py"

TEXT = "".join(
    map(
        chr,
        [
            *range(0x20, 0x7F),
            *range(0xA1, 0xAD),
            *range(0xAE, 0x180),
            *range(0x370, 0x3D0),
            *range(0x400, 0x460),
            0x20AC,
        ],
    )
)
"""ASCII, Latin-1, Latin Extended-A, Greek and Cyrillic."""

SAMPLES = {
    "be": "être ça où naïf",
    "br": "ação é à pinguim ~^",
    "ca": "Noël déjà à ça être",
    "ch": "für à é où Ö ~^",
    "ch-fr": "déjà vu ça Ü",
    "cz": "Příliš žluťoučký kůň úpěl ďábelské ÓDY Č",
    "de": "Größe ÄÖÜ é à ê ^`´",
    "dk": "rødgrød æble på é",
    "es": "¿Dónde está? El pingüino ñandú, ¡sí! À",
    "fi": "älä hyvää å",
    "fr": "Où êtes-vous ? garçon naïf Ë",
    "gb": "caf\u00e9 na\u00efve £1",
    "gr": "Γειά σου Κόσμε ϊ ΐ Ώ",
    "hr": "čćžšđ ČĆŽŠĐ",
    "hu": "Árvíztűrő tükörfúrógép",
    "is": "þetta er ástæða",
    "it": "perché città è più",
    "jp": "C:\\~ |_`{}",
    "latam": "¿Dónde está? El pingüino ñandú",
    "nl": "één coëfficiënt",
    "no": "blåbærsyltetøy",
    "pl": "Zażółć gęślą jaźń ÓŹ",
    "pt": "São João é avô à ã õ ~^",
    "ro": "și țară împărat â",
    "ru": "Привет, ёжик!",
    "se": "Räksmörgås é ^~",
    "si": "čšž ČŠŽ",
    "sk": "vĺča žriebä ďaleko ôsmy ŕ Č",
    "tr": "ığüşöç İstanbul â",
    "ua": "Привіт, їжак ґ",
    "us-intl": "façade señor über Ñ '\"^`~",
}
"""Texts that a layout must be able to type completely, with its keys or with dead keys."""

DOM_CODES = (
    *("Backquote", *(f"Digit{d}" for d in "1234567890"), "Minus", "Equal", "IntlYen"),
    *(*(f"Key{c}" for c in "QWERTYUIOP"), "BracketLeft", "BracketRight", "Backslash"),
    *(*(f"Key{c}" for c in "ASDFGHJKL"), "Semicolon", "Quote"),
    *("IntlBackslash", *(f"Key{c}" for c in "ZXCVBNM"), "Comma", "Period", "Slash", "IntlRo"),
)
"""The printing keys in the order of KEYS in layouts.js."""

SPELL = """import('./src/layouts.js').then(({NAMES, spell}) => console.log(JSON.stringify(Object.fromEntries(
    NAMES.map(([id]) => [id, spell(%s, id).map(({chords, known}) => known && chords.map(
        (chord) => chord.map(([, code]) => code)))])))))"""


class LayoutsTest(TestCase):
    timeout = 300

    def setUp(self):
        writing, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        self.addCleanup(setattr, sys, "dont_write_bytecode", writing)
        self.generator = load("generate_layouts")

    def test_generated(self):
        """With the version of xkeyboard-config that the committed files name, the script generates the same."""
        kept = (WEB / "src" / "layout_data.js").read_text()
        fresh = self.generator.generate()
        if f"'xkeyboard-config {self.generator.version()}'" in kept:
            self.assertEqual(kept, fresh)
            self.assertEqual(
                (SCRIPT.parents[1] / "novnc_twisted/keyboard/layout_data.py").read_text(),
                self.generator.generate_python(),
            )
        else:  # another version may assign other characters to keys
            self.assertEqual(kept.count("\n    '"), fresh.count("\n    '"))

    async def test_guest_reads_what_was_typed(self):
        """On every layout, the guest reads each character that the page can type, including dead keys."""
        spelt = json.loads(await node("-e", SPELL % json.dumps(TEXT)))
        self.assertEqual(set(spelt), set(self.generator.LAYOUTS))
        for layout, source in self.generator.LAYOUTS.items():
            guest = XkbGuest(source)
            wrong = {}
            for character, chords in zip(TEXT, spelt[layout], strict=True):
                if chords and (read := "".join(map(guest.press, chords))) != normalize("NFC", character):
                    wrong[character] = (chords, read)
            self.assertEqual(wrong, {}, layout)

    async def test_the_api_spells_as_the_page_does(self):
        spelt = json.loads(await node("-e", SPELL % json.dumps(TEXT)))
        codes = {"Space": 57, "ShiftLeft": SHIFT, "AltRight": ALTGR, **dict(zip(DOM_CODES, PRINTING, strict=True))}
        for layout, all_chords in spelt.items():
            for character, chords in zip(TEXT, all_chords, strict=True):
                wanted = [tuple(codes[code] for code in chord) for chord in chords] if chords else None
                try:
                    found = [chord for one in spell(character, layout) for chord in one]
                except CannotType:
                    found = None
                self.assertEqual(found, wanted, (layout, character))

    async def test_languages(self):
        """Each language's text can be typed on its layout."""
        spell = """import('./src/layouts.js').then(({spell}) => console.log(JSON.stringify(
            Object.entries(%s).map(([id, text]) => [
                id, [...text].filter((_, i) => !spell(text, id)[i].known).join('')]))))"""
        unknown = json.loads(await node("-e", spell % json.dumps(SAMPLES)))
        self.assertEqual({layout: characters for layout, characters in unknown if characters}, {})
