"""Exclusive topics on Redis: a second compute host with the same name."""

import json
from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.messaging.interfaces import TopicInUse
from novnc_twisted.messaging.redis.announcement import Announcement
from novnc_twisted.messaging.redis.exclusive_topics import conflict
from novnc_twisted.messaging.redis.presence import Presence
from novnc_twisted.messaging.redis.process_life import life
from novnc_twisted.messaging.redis.scripts import SERVICES, WITHDRAW
from tests.messaging.redis_case import LinkCase
from tests.support.fake_redis import NOPERM, NOSCRIPT, bulk

OTHER = 'x {"binary":"nova-compute","host":"one","from":"web3, 10.0.0.3, process 7","info":{}}'


class ExclusiveTopicTests(LinkCase):
    """A second compute host with the same name."""

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
        """Connect to a Redis that gives this answer to an announcement, and announce."""
        self.redis.answers["EVALSHA"] = answer
        self.link.start()
        self.presence.renew()
        return Deferred.fromCoroutine(self.presence.add(self.one))

    def test_alone(self) -> None:
        self.successResultOf(self.start())
        self.assertEqual(self.owned, [True])
        self.advance(25)
        self.assertEqual(self.owned, [True])
        # Each run of the script claims the topic; plain commands (XX) renew only an existing entry.
        renewals = [words for words in self.redis.named("EVALSHA") if len(words) > 3]
        self.assertGreater(len(renewals), 2)
        self.assertEqual({words[-3] for words in renewals}, {"1"})
        self.assertEqual({words[2] for words in self.redis.named("ZADD")}, {"XX"})

    def test_a_live_one(self) -> None:
        adding = self.start(bulk(OTHER))
        self.advance(2.9)
        self.assertNoResult(adding)
        self.advance(0.8)
        line = str(self.failureResultOf(adding, TopicInUse).value)
        self.assertIn("host one belongs to web3, 10.0.0.3, process 7; this process (", line)
        self.assertEqual(self.owned, [])
        asked = len(self.redis.named("EVALSHA"))
        self.advance(5)
        self.assertEqual(len(self.redis.named("EVALSHA")), asked)

    def test_a_live_one_at_another_address(self) -> None:
        """Its entry has another name, and is looked up for the log line."""

        def answer(words: list[str]) -> bytes:
            return bulk("compute.one@10.0.0.3", OTHER, "1") if words[1] == SERVICES.sha else bulk()

        adding = self.start(answer)
        self.advance(3.7)
        line = str(self.failureResultOf(adding, TopicInUse).value)
        self.assertIn("host one belongs to web3, 10.0.0.3, process 7; this process (", line)
        self.assertEqual(
            self.redis.named("EVALSHA")[-1][4:], ["novnc:services", "novnc:a:", "", "compute.one@", "compute"]
        )

    def test_a_live_one_that_cannot_be_looked_up(self) -> None:
        adding = self.start(lambda words: NOPERM if words[1] == SERVICES.sha else bulk())
        self.advance(3.7)
        line = str(self.failureResultOf(adding, TopicInUse).value)
        self.assertIn("host one belongs to another process; this process (", line)

    def test_one_that_crashed(self) -> None:
        adding = self.start(bulk(OTHER))
        self.advance(2.5)
        self.redis.answers["EVALSHA"] = b":1\r\n"
        self.advance(0.3)
        self.successResultOf(adding)
        self.assertEqual(self.owned, [True])
        self.assertEqual(self.redis_lines(), [])

    def test_one_that_was_killed_on_this_machine(self) -> None:
        """Its entry is removed at once, its calls stay queued, nothing is logged."""
        machine, pid, start = life().split(".")
        entries = [f'x {{"from":"a","life":"{machine}.{pid}.{int(start) - 1}"}}']
        removed: list[list[str]] = []

        def answer(words: list[str]) -> bytes:
            if words[1] == WITHDRAW.sha:
                entries.clear()
                removed.append(words[4:])
                return bulk()
            return bulk(*entries) if entries else b":1\r\n"

        entry = entries[0]
        self.successResultOf(self.start(answer))
        self.assertEqual(self.owned, [True])
        self.assertEqual(removed, [["novnc:a:compute.one@10.0.0.4", "novnc:p:compute.one", entry, "x", "0"]])
        self.assertEqual(self.redis_lines(), [])

    def test_the_entry_names_the_process(self) -> None:
        self.successResultOf(self.start())
        entry = next(word for word in self.redis.named("EVALSHA")[-1] if word.startswith("w "))
        self.assertEqual(json.loads(entry[2:])["life"], life())

    def test_lost_later(self) -> None:
        self.successResultOf(self.start())
        self.redis.answers["EVALSHA"] = bulk(OTHER)
        self.advance(100)
        self.assertEqual(self.owned, [True, False])
        self.assertLessEqual(len(self.redis_lines()), 2)  # one a minute
        self.redis.answers["EVALSHA"] = b":1\r\n"
        self.advance(1.1)
        self.assertEqual(self.owned, [True, False, True])
        self.assertIn("no longer has another server of compute.one", self.redis_lines()[-1])

    def test_without_redis(self) -> None:
        """The topic is claimed when Redis is back."""
        self.redis.refuses = True
        adding = self.start(bulk(OTHER))
        self.advance(5)
        self.successResultOf(adding)
        self.redis.refuses = False
        self.advance(5)
        self.assertEqual(self.owned, [])
        self.assertIn("this process (", self.redis_lines()[-1])
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

    def test_entries_of_others_are_cleaned(self) -> None:
        """A client that can write entries must not be able to write into the log."""
        for entry in (
            "x",
            "x {",
            "x []",
            'x {"from":7}',
            'x {"from":"\\u001b[31m\\nERROR"}',
            b"\xff",
            None,
            'x {"from":""}',
        ):
            line = conflict("compute.one", "one", "me", [entry])
            self.assertTrue(line.isprintable(), line)
            self.assertIn("this process (me)", line)
        long = 'x {"from":"' + "y" * 5000 + '"}'
        self.assertLess(len(conflict("compute.one", "one", "me", [long])), 700)
