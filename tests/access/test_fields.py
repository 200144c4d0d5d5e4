"""Fields of a call: what passes, and refusals that name the field and show nothing of it."""

import sys
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access import fields
from novnc_twisted.errors import ServiceUnavailable

LANGUAGES = (
    "検証\u3000サーバ",  # an ideographic blank
    "a\u00a0b",  # a no-break blank
    "\u0645\u06cc\u200c\u062e",  # Persian with a zero-width non-joiner
    "\U0001f468\u200d\U0001f469",  # joined emoji
    "\ue000",  # private use
    "\U000f0000",
    "\u0378",  # not assigned today
    "\u00ad-\u2028",  # a soft hyphen, a line separator
)
UUID = "C7A5FDBD-edaf-9455-926a-d65c16db1809"


class FieldTests(SynchronousTestCase):
    """Each kind of field."""

    def refuses(self, kind: Callable[[str, Any], object], *values: Any) -> None:
        for value in values:
            refusal = self.assertRaises(ServiceUnavailable, kind, "the_field", value)
            self.assertIn("the_field", refusal.detail)
            if isinstance(value, str) and len(value) > 3:
                self.assertNotIn(value, refusal.detail)

    def test_text(self) -> None:
        for text in (*LANGUAGES, "Zürich 7"):
            self.assertEqual(fields.text("x", text), text)
        self.refuses(fields.text, "", None, 5, b"x", "a\nb", "a\0", "\udcff", "x" * 1025)

    def test_every_control_and_no_other_character_is_refused(self) -> None:
        for code in range(sys.maxunicode + 1):
            refused = code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000
            self.assertEqual(fields.usable_text(chr(code)) is None, refused, hex(code))

    def test_usable_text(self) -> None:
        self.assertEqual(fields.usable_text("Zürich 7"), "Zürich 7")
        for value in ("", None, 5, b"x", "a\nb", "a\0", "\udcff", "x" * 1025):
            self.assertIsNone(fields.usable_text(value))

    def test_optional_text(self) -> None:
        self.assertIsNone(fields.optional_text("x", None))
        self.refuses(fields.optional_text, "", 0, False)

    def test_port(self) -> None:
        self.assertEqual([fields.port("x", value) for value in (0, 5900, 65535)], [0, 5900, 65535])
        self.refuses(fields.port, -1, 65536, True, 5900.0, "5900", None)

    def test_uuid(self) -> None:
        self.assertEqual(fields.uuid("x", UUID), UUID.lower())
        self.refuses(fields.uuid, UUID[:-1], f"{UUID}\n", f"{{{UUID}}}", UUID.replace("-", ""), "", None, 5)
        self.assertTrue(fields.is_uuid(UUID))
        self.assertFalse(fields.is_uuid("myserver20"))

    def test_token_hash(self) -> None:
        self.assertEqual(fields.token_hash("x", "0af9" * 16), "0af9" * 16)
        self.refuses(fields.token_hash, "0AF9" * 16, "0af9" * 15, "0af9" * 16 + "\n", UUID, None)
