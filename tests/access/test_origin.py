"""Which Origin may open a console: a table of cases."""

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access import judge_origin
from novnc_twisted.access.origin import explain_refusal

CASES: list[tuple[str, list[str], list[str], dict[str, object], int]] = [
    # description, Origin, Host, more arguments, status
    ("no Origin", [], ["h"], {}, 200),
    ("the same host", ["http://h"], ["h"], {}, 200),
    ("another port", ["http://h:8080"], ["h:6080"], {}, 200),
    ("letters' case", ["HTTP://H.Example"], ["h.eXample:6080"], {}, 200),
    ("another host", ["http://evil"], ["h"], {}, 403),
    ("a longer host", ["http://h.evil"], ["h"], {}, 403),
    ("a shorter host", ["http://h"], ["sub.h"], {}, 403),
    ("blank", [""], ["h"], {}, 403),
    ("spaces", ["  "], ["h"], {}, 403),
    ("null", ["null"], ["h"], {}, 403),
    ("null as a host", ["http://null"], ["h"], {}, 403),
    ("two", ["http://h", "http://h"], ["h"], {}, 400),
    ("two hosts", ["http://h"], ["h", "evil"], {}, 400),
    ("two in one", ["http://h http://evil"], ["h"], {}, 403),
    ("no host", ["http://h"], [], {}, 403),
    ("an empty host", ["http://"], [""], {}, 403),
    ("a path", ["http://h/x"], ["h"], {}, 403),
    ("user information", ["http://h@evil"], ["h"], {}, 403),
    ("user information before our host", ["http://evil@h"], ["h"], {}, 403),
    ("a host with a user", ["http://h"], ["x@h"], {}, 403),
    ("no scheme", ["h"], ["h"], {}, 403),
    ("a backslash", ["http://h\\evil"], ["h"], {}, 403),
    ("the other scheme", ["https://h"], ["h"], {}, 403),
    ("https", ["https://h"], ["h"], {"scheme": "https"}, 200),
    ("http to https", ["http://h"], ["h"], {"scheme": "https"}, 403),
    ("file", ["file://h"], ["h"], {}, 403),
    ("IPv6", ["http://[::1]:6080"], ["[::1]:6080"], {}, 200),
    ("another IPv6", ["http://[::2]"], ["[::1]"], {}, 403),
    ("IPv6 without brackets", ["http://::1"], ["[::1]"], {}, 403),
    ("configured", ["http://portal"], ["h"], {"allowed": ["portal"]}, 200),
    ("our host, another one configured", ["http://h"], ["h"], {"allowed": ["portal"]}, 200),
    ("configured IPv6", ["http://[fd00::1]"], ["h"], {"allowed": ["fd00::1"]}, 200),
    ("configured IPv6 in brackets", ["http://[fd00::1]"], ["h"], {"allowed": ["[FD00::1]"]}, 200),
    ("configured IPv6 in another form", ["http://[2001:db8::10]"], ["h"], {"allowed": ["2001:DB8:0:0::10"]}, 200),
    ("configured IPv6, another one", ["http://[2001:db8::11]"], ["h"], {"allowed": ["2001:db8:0:0::10"]}, 403),
    ("IPv6 in another form", ["http://[2001:db8::10]"], ["[2001:db8:0:0:0:0:0:10]:6080"], {}, 200),
    ("IPv6 with a zone", ["http://[fe80::10]"], ["h"], {"allowed": ["fe80::10%eth0"]}, 200),
    ("IPv4-mapped IPv6", ["http://[::ffff:c000:207]"], ["h"], {"allowed": ["::ffff:192.0.2.7"]}, 200),
    ("IPv4-mapped IPv6, configured as IPv4", ["http://[::ffff:c000:207]"], ["h"], {"allowed": ["192.0.2.7"]}, 200),
    ("configured with brackets and blanks", ["http://[fd00::1]"], ["h"], {"allowed": [" [FD00:0::1] "]}, 200),
    ("an invalid address", ["http://[2001:db8:::10]"], ["h"], {"allowed": ["2001:db8::10"]}, 403),
    ("configured, the other scheme", ["https://portal"], ["h"], {"allowed": ["portal"]}, 403),
    ("a proxy with TLS", ["https://h"], ["h"], {"forwarded_proto": "https"}, 200),
    ("a proxy with TLS, a page without TLS", ["http://h"], ["h"], {"forwarded_proto": "https"}, 403),
    ("a proxy without TLS, base URL with", ["http://h"], ["h"], {"forwarded_proto": "http", "scheme": "https"}, 200),
    ("a star is not a pattern", ["http://evil"], ["h"], {"allowed": ["*"]}, 403),
]


class OriginTests(SynchronousTestCase):
    def test_the_table(self) -> None:
        for what, origins, hosts, more, status in CASES:
            self.assertEqual(judge_origin(origins, hosts, **{"scheme": "http", **more}), status, what)

    def test_the_reason(self) -> None:
        """The reason names the difference and the option to change."""
        base, hosts = "[vnc] novncproxy_base_url", "[console] allowed_origins"
        for origin, more, words, changes in (
            ("http://evil", {}, ("http://evil", "host is", "(h:6080)", "(portal)"), (hosts,)),
            ("https://h", {}, ("https://h", "scheme is not http,", base), (base, "trusted_proxies")),
            (
                "http://h",
                {"forwarded_proto": "https"},
                ("scheme is not https,", "X-Forwarded-Proto"),
                ("reverse proxy",),
            ),
            ("https://evil", {}, ("scheme", "host"), (base, hosts)),
            ("null", {}, ("'null'",), ()),
            ("", {}, ("''",), ()),
        ):
            reason, option = explain_refusal([origin], ["h:6080"], scheme="http", allowed=["portal"], **more)
            for word in words:
                self.assertIn(word, reason)
            for word in ("scheme is", "host is"):
                self.assertEqual(word in reason, any(word.split()[0] in each for each in words), reason)
            for word in changes:
                self.assertIn(word, option)
            self.assertEqual((hosts in option, base in option), (hosts in changes, base in changes))

    def test_the_reason_without_a_configured_scheme(self) -> None:
        found = explain_refusal(["chrome-extension://h"], ["h:6080"], scheme="")
        self.assertEqual(found, ("the Origin is chrome-extension://h: its scheme is neither http nor https", ""))

    def test_nothing_is_remembered(self) -> None:
        """nova bug 2158919: each request's Host was appended to the configured origins."""
        allowed = ["portal"]
        for at in range(10_000):
            judge_origin([f"http://evil{at}"], [f"evil{at}"], scheme="http", allowed=allowed)
        self.assertEqual(allowed, ["portal"])
        self.assertEqual(judge_origin(["http://evil7"], ["h"], scheme="http", allowed=allowed), 403)
