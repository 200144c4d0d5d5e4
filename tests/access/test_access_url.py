"""The URL of a console: the base URL with the token."""

from twisted.trial.unittest import TestCase

from novnc_twisted.access import access_url


class AccessURLTests(TestCase):
    def test_a_plain_base_url(self) -> None:
        self.assertEqual(
            access_url("http://controlnode:6080/vnc_auto.html", "34ce7a44"),
            "http://controlnode:6080/vnc_auto.html?token=34ce7a44",
        )

    def test_another_query_is_kept(self) -> None:
        self.assertEqual(access_url("http://h:1/x.html?a=b%20c", "T"), "http://h:1/x.html?a=b%20c&token=T")

    def test_inside_a_path(self) -> None:
        for base, url in (
            ("http://h/v.html?path=", "http://h/v.html?path=%3Ftoken%3DT"),
            ("http://h/v.html?path=novnc", "http://h/v.html?path=novnc%3Ftoken%3DT"),
            ("http://h/v.html?noop=true&path=a%3Fb%3Dc", "http://h/v.html?noop=true&path=a%3Fb%3Dc%26token%3DT"),
        ):
            self.assertEqual(access_url(base, "T"), url)
