"""Reading keys of a Redis that belongs to another program."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.redis import reader as module
from novnc_twisted.messaging.redis.reader import RedisReader
from novnc_twisted.messaging.redis_url import RedisURL
from tests.support.fake_redis import NOPERM, FakeRedis
from tests.support.logged import Logged


class ReaderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.redis = FakeRedis(self.clock)
        self.patch(module, "endpoint_of", lambda _reactor, _address: self.redis)
        self.logged = Logged(self)
        self.reader = RedisReader(self.clock, RedisURL(host="there"))
        self.addCleanup(self.stop)

    def stop(self) -> None:
        stopping = Deferred.fromCoroutine(self.reader.stop())
        self.clock.pump([0.1] * 3)
        self.successResultOf(stopping)

    def line(self, answer: bytes) -> str:
        """Return the log line for a Redis that gives this answer to GET."""
        self.redis.answers["GET"] = answer
        self.reader.start()
        getting = Deferred.fromCoroutine(self.reader.get("x"))
        self.clock.advance(0)
        self.failureResultOf(getting, ServiceUnavailable)
        [line] = self.logged.lines("Redis at")
        return line

    def test_a_missing_right(self) -> None:
        self.assertIn("the Redis user in token_source has no right to read", self.line(NOPERM))

    def test_a_long_value(self) -> None:
        """The option proto-max-bulk-len of Redis cannot be set as low as the limit."""
        line = self.line(b"$%d\r\n" % (1 << 17) + b"x" * (1 << 17))
        self.assertTrue(line.endswith("for token look-ups was longer than 64 KiB and is dropped"), line)
