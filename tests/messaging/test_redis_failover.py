"""A change of the Redis server that the Sentinels name."""

from typing import Any

from novnc_twisted.messaging.redis.failover import LOOK
from novnc_twisted.messaging.redis.heartbeat import BEAT, FROZEN, STALL
from novnc_twisted.messaging.redis_url import RedisURL
from tests.messaging.redis_case import LinkCase
from tests.support.fake_redis import hello


class SentinelTests(LinkCase):
    """The server that a Sentinel named."""

    address = RedisURL(sentinels=(("s", 26379),), service="nova")

    def test_a_replica(self) -> None:
        """The Sentinels do not agree on the primary yet: this passes by itself, and is not an error."""
        self.redis.answers["HELLO"] = hello(role="slave")
        self.link.start()
        self.advance(5)
        self.assertEqual(
            self.redis_lines(), ["cannot be reached (nova: the server that Sentinel named is a replica); trying again"]
        )


class FailoverTests(LinkCase):
    """The primary hangs, and the Sentinels name another server."""

    def setUp(self) -> None:
        super().setUp()
        self.moved = False
        self.asked = 0

        async def moved(_protocol: Any) -> bool:
            self.asked += 1
            return self.moved

        self.redis.moved = moved  # type: ignore[attr-defined]
        self.link = self.commands()
        self.follower = self.made("replies", after=self.link)

    def test_it_answers(self) -> None:
        """The Sentinels are not asked."""
        self.link.start()
        self.advance(20)
        self.assertEqual(self.asked, 0)

    def test_while_connected(self) -> None:
        self.link.start()
        self.follower.start()
        self.advance(5)
        connections = list(self.redis.connections)
        self.assertEqual(len(connections), 2)
        self.redis.answers["TIME"] = None
        self.moved = True
        self.advance(BEAT + STALL + LOOK + 0.1)
        self.redis.answers["TIME"] = lambda _: self.redis.time()
        self.assertEqual(set(connections) & set(self.redis.connections), set())
        self.advance(1.5)
        self.assertEqual(len(self.redis.connections), 2)
        self.assertEqual(self.redis_lines(), ["cannot be reached (it no longer answers); trying again", "is back"])

    def test_during_the_log_in(self) -> None:
        self.redis.answers["HELLO"] = None
        self.link.start()
        self.advance(LOOK - 0.1)
        [first] = self.redis.connections
        self.moved = True
        self.advance(0.2)
        self.redis.answers["HELLO"] = hello()
        self.assertNotIn(first, self.redis.connections)
        self.advance(1)
        self.assertEqual(self.redis_lines()[-1], "is back")

    def test_it_is_still_the_primary(self) -> None:
        """The usual deadline ends the connection."""
        self.link.start()
        self.advance(5)
        [connection] = self.redis.connections
        self.redis.answers["TIME"] = None
        self.advance(FROZEN - 0.3)
        self.assertGreater(self.asked, 1)
        self.assertIn(connection, self.redis.connections)
        self.advance(BEAT + 0.5)
        self.assertNotIn(connection, self.redis.connections)
