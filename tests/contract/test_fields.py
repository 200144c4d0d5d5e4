"""Checks of fields: which values pass, and errors that never show the value."""

import sys
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.contract import fields
from novnc_twisted.errors import ServiceUnavailable

LANGUAGES = (
    "検証\u3000サーバ",  # an ideographic space
    "a\u00a0b",  # a no-break space
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

    def refuses(self, check: Callable[[Any], object], *values: Any) -> None:
        for value in values:
            error = str(self.assertRaises(ValueError, check, value))
            self.assertTrue(error.startswith("not "), error)
            if isinstance(value, str) and len(value) > 3:
                self.assertNotIn(value, error)

    def test_text(self) -> None:
        for text in (*LANGUAGES, "Zürich 7", "x" * 1024):
            self.assertEqual(fields.text(text), text)
        self.refuses(fields.text, "", None, 5, b"x", "a\nb", "a\0", "\udcff", "x" * 1025)

    def test_limits_of_texts(self) -> None:
        for check, limit in ((fields.short_text, 255), (fields.long_text, 4096)):
            self.assertEqual(check("x" * limit), "x" * limit)
            self.refuses(check, "x" * (limit + 1), "", None)

    def test_every_control_and_no_other_character_is_refused(self) -> None:
        refused = [code for code in range(sys.maxunicode + 1) if fields.usable_text(chr(code)) is None]
        self.assertEqual(refused, [*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000)])

    def test_usable_text(self) -> None:
        self.assertEqual(fields.usable_text("Zürich 7"), "Zürich 7")
        for value in ("", None, 5, b"x", "a\nb", "a\0", "\udcff", "x" * 1025):
            self.assertIsNone(fields.usable_text(value))

    def test_optional(self) -> None:
        check = fields.optional(fields.text)
        self.assertIsNone(check(None))
        self.assertEqual(check("x"), "x")
        self.refuses(check, "", 0, False)

    def test_port(self) -> None:
        self.assertEqual([fields.port(value) for value in (0, 5900, 65535)], [0, 5900, 65535])
        self.refuses(fields.port, -1, 65536, True, 5900.0, "5900", None)

    def test_count(self) -> None:
        self.assertEqual([fields.count(value) for value in (0, 2**63 - 1)], [0, 2**63 - 1])
        self.refuses(fields.count, -1, 2**63, True, 1.0, "1", None)

    def test_number(self) -> None:
        for value in (0, -1, 1.5, 1e300, -(2**63), 2**63 - 1):
            self.assertEqual(fields.number(value), float(value))
        self.assertIs(type(fields.number(1)), float)
        self.refuses(fields.number, True, "1", None, float("inf"), float("-inf"), float("nan"), 2**63, -(2**63) - 1, [])

    def test_boolean(self) -> None:
        self.assertEqual([fields.boolean(value) for value in (True, False)], [True, False])
        self.refuses(fields.boolean, 0, 1, None, "yes")

    def test_uuid(self) -> None:
        self.assertEqual(fields.uuid(UUID), UUID.lower())
        self.refuses(fields.uuid, UUID[:-1], f"{UUID}\n", f"{{{UUID}}}", UUID.replace("-", ""), "", None, 5)
        self.assertTrue(fields.is_uuid(UUID))
        self.assertFalse(fields.is_uuid("myserver20"))

    def test_link_id(self) -> None:
        self.assertEqual(fields.link_id("0af9" * 8), "0af9" * 8)
        self.refuses(fields.link_id, "0AF9" * 8, "0af9" * 16, "x" * 32, "0af9" * 8 + "\n", "", None)

    def test_admission_and_request_id(self) -> None:
        for check, lengths in ((fields.admission, (16, 32)), (fields.request_id, (32,))):
            for length in lengths:
                self.assertEqual(check("a9" * (length // 2)), "a9" * (length // 2))
            self.refuses(check, "a9" * 7, "a9" * 17, "A9" * 16, "x" * 32, "a9" * 16 + "\n", "", b"a9" * 16, 5, None)

    def test_token_hash(self) -> None:
        self.assertEqual(fields.token_hash("0af9" * 16), "0af9" * 16)
        self.refuses(fields.token_hash, "0AF9" * 16, "0af9" * 15, "0af9" * 16 + "\n", UUID, None)

    def test_one_of(self) -> None:
        check = fields.one_of("control", "view")
        self.assertEqual(check("view"), "view")
        self.refuses(check, "", None, "write", "VIEW", ["view"])

    def test_argument(self) -> None:
        self.assertEqual(fields.argument("port", 5900, fields.port), 5900)
        refusal = self.assertRaises(ServiceUnavailable, fields.argument, "port", "5900", fields.port)
        self.assertEqual(refusal.detail, "port: not a port")
