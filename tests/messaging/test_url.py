"""Parsing of transport_url, the transport that it names, and the errors."""

import subprocess
import sys
from unittest import mock

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.messaging import transport_from_url
from novnc_twisted.messaging.memory import MemoryTransport
from novnc_twisted.messaging.redis_url import RedisURL, parse_redis_url


class ParseTests(SynchronousTestCase):
    def test_good(self) -> None:
        for url, expected in {
            "redis://control": RedisURL(host="control"),
            "redis://control/": RedisURL(host="control"),
            "redis://control:6380/3": RedisURL(host="control", port=6380, db=3),
            "redis://[fe80::1%eth0]": RedisURL(host="fe80::1%eth0"),
            "redis://[2001:db8::1]:6380": RedisURL(host="2001:db8::1", port=6380),
            "redis://:pass@control": RedisURL(host="control", password="pass"),
            "redis://u%40x:p%2F%23%3a%C3%BC@control": RedisURL(host="control", username="u@x", password="p/#:ü"),
            "redis://user@control": RedisURL(host="control", username="user", password=""),
            "redis://user:@control": RedisURL(host="control", username="user", password=""),
            "redis://:@control": RedisURL(host="control"),
            "redis://@control": RedisURL(host="control"),
            "redis+unix://:@/run/r.sock": RedisURL(path="/run/r.sock"),
            "rediss://control?ca=/etc/ca%20x.pem": RedisURL(host="control", tls=True, ca="/etc/ca x.pem"),
            "rediss://a+b:c+d@control?ca=/etc/c++%2B.pem": RedisURL(
                host="control", tls=True, username="a+b", password="c+d", ca="/etc/c+++.pem"
            ),
            "rediss://u:p@10.0.0.1:7/1?ca=a&cert=c&key=k&server_name=redis.example": RedisURL(
                host="10.0.0.1",
                port=7,
                db=1,
                username="u",
                password="p",
                tls=True,
                ca="a",
                cert="c",
                key="k",
                server_name="redis.example",
            ),
            "redis+unix:///run/redis/redis.sock": RedisURL(path="/run/redis/redis.sock"),
            "redis+unix://u:p@/run/r%20s.sock?db=4": RedisURL(path="/run/r s.sock", username="u", password="p", db=4),
            "redis+sentinel://a,b:7,c/mymaster": RedisURL(
                sentinels=(("a", 26379), ("b", 7), ("c", 26379)), service="mymaster"
            ),
            "redis+sentinel://u:p%2F@a/prod?db=3&ca=/x.pem": RedisURL(
                sentinels=(("a", 26379),), service="prod", db=3, username="u", password="p/", tls=True, ca="/x.pem"
            ),
            "redis+sentinel://[::1]:7/prod?tls=true": RedisURL(sentinels=(("::1", 7),), service="prod", tls=True),
        }.items():
            self.assertEqual(parse_redis_url(url), expected)

    def test_bad(self) -> None:
        for url in (
            "redis://",
            "redis:control",
            "redis://control[:x",
            "redis://u[::1]:@control[:h",
            "redis://[control",
            "redis://[control]",
            "REDIS://control",
            "redis:///1",
            "redis://:hunter2@",
            "redis://u:hun/ter2@control",
            "redis://u:hun#ter2@control",
            "redis://u:hun?ter2@control",
            "redis://u:hunter2@control:port",
            "redis://u:hunter2@control:99999",
            "redis://u:hunter2@control:0",
            "redis://u:hunter2@[::1",
            "redis://u:hunter2@control/db",
            "redis://u:hunter2@control/1/2",
            "redis://u:hunter2@control/-1",
            "redis://u:hunter2@control?ca=x",
            "redis://u:hunter2@con trol",
            "redis://u:hunter2@control\n",
            "redis://u:hunter2\u2100@control",
            "rediss://u:hunter2@control?hunter2=1",
            "rediss://u:hunter2@control?ca=",
            "rediss://u:hunter2@control?ca=a&ca=b",
            "rediss://u:hunter2@control?key=k",
            "redis+unix://u:hunter2@host/run/redis.sock",
            "redis+unix://u:hunter2@",
            "redis+unix://u:hunter2@/",
            "redis+unix://u:hunter2@/a?db=x",
            "redis+sentinel://u:hunter2@a,b",
            "redis+sentinel://u:hunter2@a,,b/prod",
            "redis+sentinel://u:hunter2@/prod",
            "redis+sentinel://u:hunter2@a:0/prod",
            "redis+sentinel://u:hunter2@a:port/prod",
            "redis+sentinel://u:hunter2@a/pr od",
            "redis+sentinel://u:hunter2@a/prod/1",
            "redis+sentinel://u:hunter2@a/prod?tls=yes",
            "redis+sentinel://u:hunter2@a/prod?tls=false&ca=x",
            "redis+sentinel://u:hun/ter2@a/prod",
        ):
            error = self.assertRaises(ValueError, parse_redis_url, url)
            self.assertIn("transport_url", str(error))
            self.assertNotIn("\n", str(error))
            for piece in ("hunter2", "ter2", "hun/", "hun#"):
                self.assertNotIn(piece, str(error), url)
            self.assertIsNone(error.__cause__)
            self.assertIsNone(error.__context__)

    def test_nothing_secret_is_shown(self) -> None:
        for url in ("redis://user:hunter2@control:1/2", "redis+unix://user:hunter2@/run/x?db=3"):
            address = parse_redis_url(url)
            self.assertNotIn("hunter2", repr(address) + address.label)
        self.assertEqual(parse_redis_url("rediss://u:p@[::1]/2").label, "rediss://[::1]:6379/2")
        sentinel = parse_redis_url("redis+sentinel://u:p@a,b:7/prod")
        self.assertEqual(sentinel.label, "redis+sentinel://a:26379,b:7/prod?db=0")


class TransportFromURLTests(SynchronousTestCase):
    def refused(self, url: str) -> str:
        return str(self.assertRaises(ValueError, transport_from_url, Clock(), url))

    def test_memory(self) -> None:
        for url in ("memory://", "memory:///"):
            self.assertIsInstance(transport_from_url(Clock(), url), MemoryTransport)
        self.assertIn("nothing may follow", self.refused("memory://x"))

    def test_bus_of_openstack(self) -> None:
        sentence = self.refused("rabbit://openstack:hunter2@controller:5672/,openstack:hunter2@b//")
        self.assertIn("set transport_url", sentence)
        self.assertIn("last --config-file", sentence)
        self.assertNotIn("hunter2", sentence)

    def test_unknown(self) -> None:
        for url in ("", "redis", "redis:control", "hunter2", "user:hunter2@host", "ftp://user:hunter2@host", "://x"):
            sentence = self.refused(url)
            self.assertIn("transport_url", sentence)
            self.assertNotIn("hunter2", sentence)

    def test_missing_extra(self) -> None:
        with mock.patch("novnc_twisted.messaging.url.find_spec", lambda name: None):
            sentence = self.refused("redis://u:hunter2@control")
        self.assertIn("[redis]", sentence)
        self.assertNotIn("hunter2", sentence)

    def test_files_that_can_not_be_read(self) -> None:
        self.assertIn("ca=/does/not/exist", self.refused("rediss://u:hunter2@control?ca=/does/not/exist"))
        self.assertIn("contains no certificate", self.refused("rediss://u:hunter2@control?ca=/dev/null"))

    def test_imports(self) -> None:
        """Neither the package nor memory:// imports a reactor, txredisapi or nacl."""
        code = (
            "import sys; from twisted.internet.task import Clock; import novnc_twisted.messaging as m; "
            "m.transport_from_url(Clock(), 'memory://'); "
            "bad = {'twisted.internet.reactor', 'txredisapi', 'nacl', 'OpenSSL', 'twisted.web'} & set(sys.modules); "
            "sys.exit(', '.join(bad) or 0)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
