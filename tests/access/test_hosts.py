"""Host names and addresses."""

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access.hosts import is_host, is_ip, is_loopback


class HostTests(SynchronousTestCase):
    def test_is_ip(self) -> None:
        for text in ("192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"):
            self.assertTrue(is_ip(text), text)
        for text in ("", "localhost", "192.0.2", "[2001:db8::1]", "192.0.2.1:80"):
            self.assertFalse(is_ip(text), text)

    def test_is_loopback(self) -> None:
        for host in ("127.0.0.1", "::1", "[::1]", "::ffff:127.0.0.1", "localhost:1", "LOCALHOST.", "[::1]:80"):
            self.assertTrue(is_loopback(host), host)
        for host in ("", "x", "1.2.3.4", "::", "local host", "127.0.0.1:x", "[::1].example", "localhost.example"):
            self.assertFalse(is_loopback(host), host)

    def test_is_host(self) -> None:
        for text in ("localhost", "a_b.example:8774", "192.0.2.1", "[2001:db8::1]", "[::1]:80"):
            self.assertTrue(is_host(text), text)
        for text in ("", ":80", "a b", "a@b", "a/b", "a:b", "2001:db8::1", "[x]", "a:123456", "a" * 256):
            self.assertFalse(is_host(text), text)
