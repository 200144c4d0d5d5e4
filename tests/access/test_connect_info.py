"""connect_info and access_url."""

import json

from twisted.trial.unittest import TestCase

from novnc_twisted.access import ConnectInfo, access_url


class AccessURLTests(TestCase):
    def test_the_seed(self) -> None:
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


class ConnectInfoTests(TestCase):
    def test_the_password_is_hidden_and_stays_here(self) -> None:
        info = ConnectInfo(host="h", port=5900, password="sesame")
        self.assertNotIn("sesame", repr(info))
        self.assertNotIn("password", info.to_wire())

    def test_over_the_wire(self) -> None:
        info = ConnectInfo(host="h", port=5900, socket="/s", name="ü", expires_at=1.5, reconnects=False, keep_from=0.5)
        self.assertEqual(ConnectInfo.from_wire(json.loads(json.dumps(info.to_wire()))), info)

    def test_unknown_fields_are_ignored(self) -> None:
        self.assertEqual(ConnectInfo.from_wire({"host": "h", "port": 1, "later": 1}), ConnectInfo(host="h", port=1))

    def test_nothing_is_trusted(self) -> None:
        for message in (
            None,
            [],
            {},
            {"host": "h"},
            {"host": "h", "port": "5900"},
            {"host": "h", "port": True},
            {"host": "h", "port": 65536},
            {"host": "h", "port": -1},
            {"host": None, "port": 1},
            {"host": "h", "port": 1, "socket": 3},
            {"host": "h", "port": 1, "reconnects": 1},
            {"host": "h", "port": 1, "keep_from": True},
            {"host": "h", "port": 1, "keep_from": "1"},
        ):
            self.assertRaises(ValueError, ConnectInfo.from_wire, message)
