"""Client address, scheme and prefix from reverse proxies, if they are trusted."""

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access.forwarded import (
    MAX_PREFIX,
    UNKNOWN,
    client_address,
    forwarded_prefix,
    forwarded_proto,
    is_trusted,
    networks,
    read_address,
)

TRUSTED = networks(["10.0.0.0/8", "[::1]", "fd00::/8"])


class ForwardedTests(SynchronousTestCase):
    def test_trusted_proxies(self) -> None:
        for address in ("10.1.2.3", "::ffff:10.1.2.3", "::1", "fd00::7"):
            self.assertTrue(is_trusted(address, TRUSTED), address)
        for address in ("11.0.0.1", "::2", "", "unix"):
            self.assertFalse(is_trusted(address, TRUSTED), address)
        self.assertRaises(ValueError, networks, ["proxy.example"])
        self.assertEqual(networks(["10.1.2.3/8"]), networks(["10.0.0.0/8"]))

    def test_the_clients_address(self) -> None:
        for peer, values, address in (
            ("192.0.2.1", ["198.51.100.1"], "192.0.2.1"),
            ("10.0.0.1", [], "10.0.0.1"),
            ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", ["203.0.113.9, 198.51.100.1", "10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", ["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
            ("10.0.0.1", ["203.0.113.9:4711, 198.51.100.1:51008", "[fd00::2]:443"], "198.51.100.1"),
            ("::ffff:10.0.0.1", ["::ffff:10.0.0.2"], "10.0.0.2"),
        ):
            self.assertEqual(client_address(peer, values, TRUSTED), address)

    def test_an_entry(self) -> None:
        """Forms that proxies write: with a port, brackets, quotes or a zone, and IPv4-mapped IPv6 addresses."""
        for entry, address in (
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:51008", "203.0.113.7"),
            ('"203.0.113.7:51008"', "203.0.113.7"),
            (" \t203.0.113.7 ", "203.0.113.7"),
            ("2001:DB8:0:0::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:51008", "2001:db8::7"),
            ('"[2001:db8::7]:51008"', "2001:db8::7"),
            ("2001:db8:0:0:0:0:0:7:51008", "2001:db8::7"),
            ("fe80::7%eth0", "fe80::7"),
            ("[fe80::7%25eth0]:443", "fe80::7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("[::ffff:cb00:7107]:443", "203.0.113.7"),
        ):
            self.assertEqual(read_address(entry), address, entry)

    def test_entries_without_an_address(self) -> None:
        """The address is unknown: neither the proxy's address nor an entry of the client is used."""
        for entry in (
            *(
                "",
                " ",
                "junk",
                "unknown",
                "_hidden",
                "unix:",
                "-",
                "localhost",
                "for=198.51.100.1",
                "[]",
                '""',
                "[]:80",
            ),
            *("203.0.113.7:", "203.0.113.7:http", "203.0.113.7:123456", "203.0.113", "203.0.113.07", "1.2.3.4 5.6.7.8"),
            *(
                "[2001:db8::7",
                "2001:db8::7]",
                '"203.0.113.7',
                "203.0.113.7:\uff11",
                "2001:db8::7%",
                "x" * 16000,
                ":" * 16000,
            ),
        ):
            self.assertIsNone(read_address(entry), entry[:40])
            self.assertEqual(client_address("10.0.0.1", [f"203.0.113.9, {entry}"], TRUSTED), UNKNOWN)
            self.assertEqual(client_address("10.0.0.1", ["203.0.113.9", entry, "10.0.0.2"], TRUSTED), UNKNOWN)
            self.assertEqual(client_address("192.0.2.1", [entry], TRUSTED), "192.0.2.1", "the peer is not trusted")

    def test_the_scheme(self) -> None:
        self.assertEqual(forwarded_proto("10.0.0.1", ["HTTPS"], TRUSTED), "https")
        self.assertIsNone(forwarded_proto("192.0.2.1", ["https"], TRUSTED))
        self.assertIsNone(forwarded_proto("10.0.0.1", ["https", "http"], TRUSTED))
        self.assertIsNone(forwarded_proto("10.0.0.1", [""], TRUSTED))

    def test_other_values_of_the_scheme(self) -> None:
        """Some proxies write the scheme of the WebSocket; other values count as missing."""
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

    def test_the_prefix(self) -> None:
        for value, prefix in (
            ("/compute", "/compute"),
            (" /a/b-1_2.3~/\t", "/a/b-1_2.3~"),
            ("/" + "x" * (MAX_PREFIX - 1), "/" + "x" * (MAX_PREFIX - 1)),
            ("/" + "x" * MAX_PREFIX, ""),
            ("compute", ""),
            ("/a//b", ""),
            ("/a/../b", ""),
            ("/a?b", ""),
            ("/", ""),
            ("", ""),
        ):
            self.assertEqual(forwarded_prefix("10.0.0.1", [value], TRUSTED), prefix, value)
        self.assertEqual(forwarded_prefix("192.0.2.1", ["/compute"], TRUSTED), "", "not a trusted proxy")
        self.assertEqual(forwarded_prefix("10.0.0.1", ["/a", "/b"], TRUSTED), "", "two values")
        self.assertEqual(forwarded_prefix("10.0.0.1", [], TRUSTED), "")
