"""Which frames browsers block, by the rules of Content-Security-Policy."""

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access.framing import UNNAMED, blocked_framer, list_source
from novnc_twisted.access.origin import PageOrigin

HTTP, HTTPS = PageOrigin("http", "console.example", "6080"), PageOrigin("https", "console.example", None)
SHOWN = None


class FramingTests(SynchronousTestCase):
    def blocked(self, sources: str, referer: str, own: PageOrigin = HTTPS) -> bool:
        found = blocked_framer(sources.split(), own=own, referrers=[referer], sites=["cross-site"])
        self.assertIn(found, (None, referer.removesuffix("/x?y#z")))
        return found is not None

    def test_sources(self) -> None:
        """Each row: sources, the origin of our page, framing pages that the sources allow, and others."""
        for sources, own, allowed, others in (
            ("'self'", HTTPS, ["https://console.example", "https://console.example:443"], ["https://a.example"]),
            ("'self'", HTTPS, [], ["http://console.example", "https://console.example:444"]),
            (
                "'self'",
                HTTP,
                ["http://console.example:6080", "http://CONSOLE.example:6080"],
                ["http://console.example"],
            ),
            ("'none'", HTTPS, [], ["https://console.example", "https://a.example"]),
            ("", HTTPS, [], ["https://console.example"]),
            ("*", HTTPS, ["http://a.example", "https://b.example:9"], ["ftp://a.example"]),
            ("https:", HTTPS, ["https://a.example:9"], ["http://a.example"]),
            ("http:", HTTPS, ["https://a.example", "http://a.example"], ["ftp://a.example"]),
            ("https://a.example", HTTPS, ["https://a.example"], ["http://a.example", "https://a.example:8443"]),
            ("https://a.example:8443/x", HTTPS, ["https://a.example:8443"], ["https://a.example"]),
            ("https://a.example:*", HTTPS, ["https://a.example", "https://a.example:9"], ["https://b.example"]),
            ("http://a.example", HTTPS, ["http://a.example", "https://a.example"], ["http://a.example:8080"]),
            ("http://a.example:80", HTTPS, ["http://a.example", "https://a.example"], ["https://a.example:444"]),
            ("a.example", HTTPS, ["https://a.example"], ["http://a.example", "https://x.a.example"]),
            ("a.example", HTTP, ["http://a.example", "https://a.example"], ["http://a.example:6080"]),
            ("*.a.example", HTTPS, ["https://x.a.example", "https://x.y.a.example"], ["https://a.example"]),
            ("https://*.a.example:*", HTTPS, ["https://x.a.example:9"], ["https://xa.example:9"]),
            ("'self' https://a.example https://b.example", HTTPS, ["https://b.example"], ["https://c.example"]),
            ("10.0.0.1:9", HTTP, ["http://10.0.0.1:9"], ["http://10.0.0.1"]),
        ):
            for page in allowed:
                self.assertFalse(self.blocked(sources, f"{page}/x?y#z", own), (sources, page))
            for page in others:
                self.assertTrue(self.blocked(sources, f"{page}/x?y#z", own), (sources, page))

    def test_a_browser_that_does_not_name_the_page(self) -> None:
        for sources, referrers, sites, expected in (
            (["'self'"], [], ["cross-site"], UNNAMED),
            (["'self'"], [], ["same-site"], UNNAMED),
            (["'none'"], ["about:blank"], ["cross-site"], UNNAMED),
            (["'self'"], ["https://a/", "https://b/"], ["cross-site"], UNNAMED),
            (["'self'"], [], ["same-origin"], SHOWN),
            (["'self'"], [], ["none"], SHOWN),
            (["'self'"], [], [], SHOWN),
            (["'self'"], [], ["cross-site", "cross-site"], SHOWN),
            (["'self'", "https://a.example"], [], ["cross-site"], SHOWN),
        ):
            found = blocked_framer(sources, own=HTTPS, referrers=referrers, sites=sites)
            self.assertEqual(found, expected, (sources, referrers, sites))

    def test_the_list_of_servers(self) -> None:
        """It may frame the page only if 'self' is a source and the API listens at the host of the request."""
        every, six, one = ("0.0.0.0", 8774), ("::", 8774), ("192.0.2.1", 9)
        for sources, host, listening, expected in (
            (["'self'"], "console.example:6080", [every], "http://console.example:8774"),
            (["https://a.example", "'self'"], "Console.example", [six], "http://console.example:8774"),
            (["'self'"], "192.0.2.1:6080", [("127.0.0.1", 8), one], "http://192.0.2.1:9"),
            # The API is not known to listen at this host, so another program may listen on the port.
            (["'self'"], "192.0.2.2:6080", [one], ""),
            (["'self'"], "console.example", [one], ""),
            (["'self'"], "localhost", [("127.0.0.1", 8774)], ""),
            (["'self'"], "console.example", [], ""),
            (["'self'"], "[::1]:6080", [("::1", 8774)], ""),
            (["https://a.example"], "console.example", [every], ""),
            (["'none'"], "console.example", [every], ""),
            (["'self'"], None, [every], ""),
            (["'self'"], "a b; script-src *", [every], ""),
            (["'self'"], "a;b", [every], ""),
        ):
            self.assertEqual(list_source(sources, host, listening), expected, (sources, host))
        own_list = "http://console.example:8774"
        for own, site, expected in (
            (HTTP, "same-site", SHOWN),
            (HTTP, "cross-site", UNNAMED),
            (HTTPS, "same-site", SHOWN),
            (HTTPS, "cross-site", SHOWN),  # the list uses http
        ):
            found = blocked_framer(["'self'", own_list], own=own, referrers=[], sites=[site], own_list=own_list)
            self.assertEqual(found, expected, (own, site))

    def test_malformed_referers(self) -> None:
        """They count like a missing Referer."""
        for referer in ("", "x", "https://", "https:///", "https://a b/", "null", "\x00", "https://" + "a" * 20_000):
            for sources, expected in ((["'self'"], UNNAMED), (["'self'", "a.example"], SHOWN)):
                found = blocked_framer(sources, own=HTTPS, referrers=[referer], sites=["cross-site"])
                self.assertEqual(found, expected, (sources, referer[:20]))
