"""JSON of the bus: accepted values can be encoded again, and errors do not quote refused ones."""

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.messaging.wire import MAX_MESSAGE, decode, encode


class DecodeTests(SynchronousTestCase):
    def test_numbers_beyond_all_floats(self) -> None:
        """Python reads them as infinity, which JSON cannot express."""
        for text in ("1e999", '{"result":{"expires_at":-1e999}}', b"[1E400]"):
            error = self.assertRaises(ValueError, decode, text)
            self.assertEqual(str(error), "no JSON")

    def test_numbers(self) -> None:
        for value in (0, -1, 1.5, 1e308, -0.0, 5e-324, 2**64 - 1, -(2**63)):
            self.assertEqual(decode(encode([value])), [value])

    def test_no_numbers(self) -> None:
        for text in ("NaN", "Infinity", "-Infinity", "9" * 5000):
            self.assertRaises(ValueError, decode, text)

    def test_lone_surrogates(self) -> None:
        """UTF-8 cannot encode them, so a text with one could not be sent again."""
        for text in ('"\\ud800"', '["\\udc00x"]', '{"\\ud800": 1}', '"\ud800"', b'"\xed\xa0\x80"'):
            error = self.assertRaises(ValueError, decode, text)
            self.assertEqual(str(error), "no JSON")
        self.assertEqual(decode('"\\ud83d\\ude00"'), "😀")

    def test_deep_nesting(self) -> None:
        for text in ("[" * 100_000, '{"a":' * 100_000):
            error = self.assertRaises(ValueError, decode, text)
            self.assertEqual(str(error), "no JSON")

    def test_the_limit_is_one_of_bytes(self) -> None:
        self.assertRaises(ValueError, encode, "名" * (MAX_MESSAGE // 3))
        self.assertEqual(len(encode("名" * (MAX_MESSAGE // 4))), MAX_MESSAGE // 4 + 2)
        self.assertEqual(decode('"名"', 5), "名")
        self.assertRaises(ValueError, decode, '"名"', 4)
        self.assertRaises(ValueError, decode, '"名"'.encode(), 4)
