"""JSON from the bus: accepted values can be sent on, refused ones are not quoted."""

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.messaging.wire import decode, encode


class DecodeTests(SynchronousTestCase):
    def test_numbers_beyond_all_floats(self) -> None:
        """Python reads them as infinity, which has no form in JSON."""
        for text in ("1e999", '{"result":{"expires_at":-1e999}}', b"[1E400]"):
            error = self.assertRaises(ValueError, decode, text)
            self.assertEqual(str(error), "no JSON")

    def test_numbers(self) -> None:
        for value in (0, -1, 1.5, 1e308, -0.0, 5e-324, 1 << 70):
            self.assertEqual(decode(encode([value])), [value])

    def test_no_numbers(self) -> None:
        for text in ("NaN", "Infinity", "-Infinity", "9" * 5000):
            self.assertRaises(ValueError, decode, text)
