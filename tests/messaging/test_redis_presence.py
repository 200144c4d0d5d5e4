"""Presence: what is announced, and topics of which there can be one server only."""

from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.messaging.interfaces import TopicInUse
from novnc_twisted.messaging.redis.claims import conflict
from novnc_twisted.messaging.redis.presence import Announcement, Presence
from tests.messaging.redis_case import LinkCase
from tests.support.fake_redis import NOSCRIPT, bulk

OTHER = 'x {"binary":"nova-compute","host":"one","from":"web3, 10.0.0.3, process 7","info":{}}'


class ClaimTests(LinkCase):
    """A second compute host of one name."""

    def setUp(self) -> None:
        super().setUp()
        self.owned: list[bool] = []
        self.presence = Presence(self.clock, self.link, False, self.health)
        self.presence.start()
        self.one = Announcement(
            *("compute.one", "w", "nova-compute", "one", "{}", ("q",), "10.0.0.4", True), owned=self.owned.append
        )

    def stop(self) -> None:
        stopping = Deferred.fromCoroutine(self.presence.stop())
        self.advance(0.1)
        self.successResultOf(stopping)
        super().stop()

    def start(self, answer: Any = b":1\r\n") -> Deferred[None]:
        """Redis is there, and answers so to an announcement."""
        self.redis.answers["EVALSHA"] = answer
        self.link.start()
        self.presence.renew()
        return Deferred.fromCoroutine(self.presence.add(self.one))

    def test_alone(self) -> None:
        self.successResultOf(self.start())
        self.assertEqual(self.owned, [True])
        self.advance(5)
        self.assertEqual(self.owned, [True])
        # Each second it asks to be alone.
        renewals = [words for words in self.redis.named("EVALSHA") if len(words) > 3]
        self.assertGreater(len(renewals), 4)
        self.assertEqual({words[-1] for words in renewals}, {"1"})

    def test_a_live_one(self) -> None:
        adding = self.start(bulk(OTHER))
        self.advance(2.9)
        self.assertNoResult(adding)
        self.advance(0.8)
        line = str(self.failureResultOf(adding, TopicInUse).value)
        self.assertIn("host one belongs to web3, 10.0.0.3, process 7; this one (", line)
        self.assertEqual(self.owned, [])
        asked = len(self.redis.named("EVALSHA"))
        self.advance(5)
        self.assertEqual(len(self.redis.named("EVALSHA")), asked)

    def test_one_that_crashed(self) -> None:
        adding = self.start(bulk(OTHER))
        self.advance(2.5)
        self.redis.answers["EVALSHA"] = b":1\r\n"
        self.advance(0.3)
        self.successResultOf(adding)
        self.assertEqual(self.owned, [True])
        self.assertEqual(self.redis_lines(), [])

    def test_lost_later(self) -> None:
        self.successResultOf(self.start())
        self.redis.answers["EVALSHA"] = bulk(OTHER)
        self.advance(100)
        self.assertEqual(self.owned, [True, False])
        self.assertLessEqual(len(self.redis_lines()), 2)  # one a minute
        self.redis.answers["EVALSHA"] = b":1\r\n"
        self.advance(1.1)
        self.assertEqual(self.owned, [True, False, True])
        self.assertIn("has no other compute.one any more", self.redis_lines()[-1])

    def test_without_redis(self) -> None:
        """Nobody can be refused: it is decided when Redis is back."""
        self.redis.refuses = True
        adding = self.start(bulk(OTHER))
        self.advance(5)
        self.successResultOf(adding)
        self.redis.refuses = False
        self.advance(5)
        self.assertEqual(self.owned, [])
        self.assertIn("this one (", self.redis_lines()[-1])
        self.redis.answers["EVALSHA"] = b":1\r\n"
        self.advance(1.1)
        self.assertEqual(self.owned, [True])

    def test_without_scripts(self) -> None:
        adding = self.start(NOSCRIPT)
        self.advance(5)
        self.successResultOf(adding)
        self.assertEqual(self.owned, [])
        self.redis.answers["EVALSHA"] = b":1\r\n"
        self.advance(1.2)
        self.assertEqual(self.owned, [True])

    def test_what_others_say_is_cleaned(self) -> None:
        """Whoever can write there must not write into the log."""
        for said in (
            "x",
            "x {",
            "x []",
            'x {"from":7}',
            'x {"from":"\\u001b[31m\\nERROR"}',
            b"\xff",
            None,
            'x {"from":""}',
        ):
            line = conflict("compute.one", "one", "me", [said])
            self.assertTrue(line.isprintable(), line)
            self.assertIn("this one (me)", line)
        long = 'x {"from":"' + "y" * 5000 + '"}'
        self.assertLess(len(conflict("compute.one", "one", "me", [long])), 700)
