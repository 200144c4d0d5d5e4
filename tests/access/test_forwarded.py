"""What proxies in front say, and whom of them we believe."""

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access.forwarded import client_address, forwarded_proto, is_trusted, networks

TRUSTED = networks(["10.0.0.0/8", "[::1]", "fd00::/8"])


class Forwarded(SynchronousTestCase):
    def test_whom_we_trust(self) -> None:
        for address in ("10.1.2.3", "::ffff:10.1.2.3", "::1", "fd00::7"):
            self.assertTrue(is_trusted(address, TRUSTED), address)
        for address in ("11.0.0.1", "::2", "", "unix"):
            self.assertFalse(is_trusted(address, TRUSTED), address)
        self.assertRaises(ValueError, networks, ["proxy.example"])

    def test_the_clients_address(self) -> None:
        for peer, values, address in (
            ("192.0.2.1", ["198.51.100.1"], "192.0.2.1"),
            ("10.0.0.1", [], "10.0.0.1"),
            ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", ["203.0.113.9, 198.51.100.1", "10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", ["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", ["198.51.100.1, junk"], "10.0.0.1"),
            ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
        ):
            self.assertEqual(client_address(peer, values, TRUSTED), address)

    def test_the_scheme(self) -> None:
        self.assertEqual(forwarded_proto("10.0.0.1", ["HTTPS"], TRUSTED), "https")
        self.assertIsNone(forwarded_proto("192.0.2.1", ["https"], TRUSTED))
        self.assertIsNone(forwarded_proto("10.0.0.1", ["https", "http"], TRUSTED))
        self.assertIsNone(forwarded_proto("10.0.0.1", [""], TRUSTED))

    def test_other_words_for_the_scheme(self) -> None:
        """Some proxies name the WebSocket's; what is no scheme of a page's is nothing."""
        for value, scheme in (
            ("http", "http"),
            (" https ", "https"),
            ("ws", "http"),
            ("WSS", "https"),
            ("https, http", None),
            ("javascript", None),
            ("https://evil", None),
        ):
            self.assertEqual(forwarded_proto("10.0.0.1", [value], TRUSTED), scheme, value)
