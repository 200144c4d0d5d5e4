"""Texts of any language, made safe for a log line or a title."""

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access.display import one_line
from tests.contract.test_fields import LANGUAGES


class OneLineTests(SynchronousTestCase):
    def test_names_stay(self) -> None:
        for name in LANGUAGES[:-1]:
            self.assertEqual(one_line(name), name)

    def test_unsafe_characters_are_replaced(self) -> None:
        for text in ("a\nb", "a\x1bb", "a\x07b", "a\x9bb", "a\u2028b", "a\u202eb", "a\u2066b", "a\udcffb", "a\0b"):
            self.assertEqual(one_line(text), "a?b", ascii(text))

    def test_bounded(self) -> None:
        self.assertEqual(one_line("x" * 1000), "x" * 300)
        self.assertEqual(one_line("xyz", 2), "xy")
