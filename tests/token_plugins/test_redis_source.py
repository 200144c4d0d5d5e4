"""Parsing of the source of TokenRedis."""

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.messaging.redis_url import RedisURL
from novnc_twisted.token_plugins.source_fields import source_fields
from novnc_twisted.token_plugins.token_redis import redis_source


class SourceTests(SynchronousTestCase):
    def test_fields(self) -> None:
        for source, fields in (
            ("", [""]),
            (":", ["", ""]),
            ("a:b", ["a", "b"]),
            ('"a:b":c', ["a:b", "c"]),
            ('a:"b:c"', ["a", "b:c"]),
            ('"a":', ["a", ""]),
            ('a"b:c', ['a"b', "c"]),
            ('"a"b:c', ['"a"b', "c"]),
            ('"a', ['"a']),
        ):
            self.assertEqual(source_fields(source), fields, source)

    def test_sources(self) -> None:
        for source, address, namespace in (
            ("h", RedisURL(host="h"), ""),
            ("h:7", RedisURL(host="h", port=7), ""),
            ("h::3", RedisURL(host="h", db=3), ""),
            ("h:::p@/ %s", RedisURL(host="h", password="p@/ %s"), ""),
            ('h:7:1:"p:q":"a:b"', RedisURL(host="h", port=7, db=1, password="p:q"), "a:b"),
            ('h:7:1:"p://w"', RedisURL(host="h", port=7, db=1, password="p://w"), ""),
            ('"2001:db8::1":7', RedisURL(host="2001:db8::1", port=7), ""),
            ("redis://:p@h:7/2#a:b", RedisURL(host="h", port=7, db=2, password="p"), "a:b"),
            ("rediss://u:p@h", RedisURL(host="h", username="u", password="p", tls=True), ""),
        ):
            self.assertEqual(redis_source(source), (address, namespace))

    def test_mistakes(self) -> None:
        for source in (
            "",
            ":7",
            "h:x",
            "h:7:x",
            "h:0",
            "h:70000",
            "h:7:1:secret:n:more",
            "redis://",
            "rabbit://secret@h",
        ):
            error = self.assertRaises(ValueError, redis_source, source)
            self.assertNotIn("secret", str(error))
            self.assertNotIn("transport_url", str(error))
