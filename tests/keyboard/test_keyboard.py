"""Names of keys, and texts that cannot be typed; tests.web.test_layouts compares all layouts with the page's."""

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.keyboard.keys import KEYS, UnknownKey, chord_of
from novnc_twisted.keyboard.layouts import LAYOUTS, CannotType, spell


class KeyTests(SynchronousTestCase):
    def test_chords(self) -> None:
        self.assertEqual(chord_of(["ctrl", "Alt", "DEL"]), (29, 56, 111))
        self.assertEqual(chord_of(["alt", "sysrq", "b"]), (56, 99, 48))
        self.assertEqual(chord_of(["f1"]) + chord_of(["f10"]) + chord_of(["f11"]), (59, 68, 87))
        self.assertEqual(chord_of(["a"]) + chord_of(["1"]) + chord_of(["/"]) + chord_of(["\\"]), (30, 2, 53, 43))

    def test_unknown_ones(self) -> None:
        for names in (["hyper"], [""], ["ctrl", "Ctrl"], ["ctrl", "control"], ["\N{LATIN SMALL LETTER SHARP S}"]):
            self.assertRaises(UnknownKey, chord_of, names)

    def test_codes(self) -> None:
        self.assertTrue(all(0 < code < 256 for code in KEYS.values()))


class LayoutTests(SynchronousTestCase):
    def test_a_german_text(self) -> None:
        self.assertEqual(spell("zY\n", "de"), [((21,),), ((42, 44),), ((28,),)])
        self.assertEqual(spell("@", "de"), [((100, 16),)])
        self.assertEqual(spell("\N{LATIN SMALL LETTER E WITH CIRCUMFLEX}", "de"), [((41,), (18,))])

    def test_line_breaks(self) -> None:
        self.assertEqual(spell("\r\n\r\n\n", "us"), [((28,),)] * 3)

    def test_what_cannot_be_typed(self) -> None:
        for character in ("\N{CYRILLIC SMALL LETTER ZHE}", "\x1b", "\x00", "\N{GRINNING FACE}", "\ud800", "\u0301"):
            error = self.assertRaises(CannotType, spell, f"x{character}", "us")
            self.assertEqual(error.character, character)

    def test_a_mark_that_is_not_part_of_a_letter(self) -> None:
        """It is refused: its dead key would change the next letter."""
        for text in ("q\u0301a", "\u0301a", "1\u0301"):
            error = self.assertRaises(CannotType, spell, text, "us-intl")
            self.assertEqual(error.character, "\u0301")
        self.assertEqual(spell("a\u0301", "us-intl"), spell("\u00e1", "us-intl"))

    def test_every_layout_has_digits(self) -> None:
        for layout in LAYOUTS:
            self.assertEqual(len(spell("0123456789 ", layout)), 11)
