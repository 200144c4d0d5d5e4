"""Presence entries, and exclusive topics."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from novnc_twisted.messaging.interfaces import TopicInUse
from novnc_twisted.messaging.redis.exclusive_topics import conflict
from novnc_twisted.messaging.redis.presence import Announcement, Presence
from novnc_twisted.messaging.redis.scripts import ANNOUNCE, SERVICES
from tests.messaging.redis_case import LinkCase
from tests.support.fake_redis import EPOCH, NOPERM, NOSCRIPT, bulk

OTHER = 'x {"binary":"nova-compute","host":"one","from":"web3, 10.0.0.3, process 7","info":{}}'


class EntryTests(LinkCase):
    """Entries of this process, and those of others."""

    def setUp(self) -> None:
        super().setUp()
        self.presence = Presence(self.clock, self.link, True, self.health)
        self.presence.start()
        self.link.start()

    def stop(self) -> None:
        stopping = Deferred.fromCoroutine(self.presence.stop())
        self.advance(0.1)
        self.successResultOf(stopping)
        super().stop()

    def services(self, prefix: str = "", deadline: float = 5.0) -> Deferred[Any]:
        return Deferred.fromCoroutine(self.presence.services(prefix, deadline))

    def entry(self, topic: str, worker: str = "w", place: str = "", until: int = 1000 * EPOCH + 3000) -> list[str]:
        """Return an entry as the script lists it."""
        said = f'{{"binary":"b-{topic}","host":"h","from":"x","info":{{"n":1}}}}'
        return [f"{topic}@{place}", f"{worker} {said}", str(until)]

    def add(self, **options: Any) -> Announcement:
        one = Announcement("t", "w-1", "nova-b", "h", "{}", **options)
        self.successResultOf(Deferred.fromCoroutine(self.presence.add(one)))
        return one

    def asked(self) -> list[str]:
        """Return the keys and arguments of the last script."""
        return self.redis.named("EVALSHA")[-1][4:]

    def test_services(self) -> None:
        self.redis.answers["EVALSHA"] = bulk(
            *self.entry("b", place="10.0.0.1"), *self.entry("a", "2"), *self.entry("a")
        )
        found = self.successResultOf(self.services())
        self.assertEqual(
            [(one.topic, one.worker, one.place) for one in found],
            [("a", "2", ""), ("a", "w", ""), ("b", "w", "10.0.0.1")],
        )
        self.assertEqual((found[2].binary, found[2].host, found[2].info), ("b-b", "h", {"n": 1}))
        # When the entry was renewed, not when it expires.
        self.assertEqual(found[2].updated_at, EPOCH)

    def test_redis_picks_the_wanted_topics(self) -> None:
        self.redis.answers["EVALSHA"] = bulk(*self.entry("proxy.a"), *self.entry("compute.a"))
        found = self.successResultOf(self.services("proxy."))
        self.assertEqual(self.asked(), ["novnc:services", "novnc:a:", "1", "proxy."])
        # And what a Redis of another version sends besides is left out.
        self.assertEqual([one.topic for one in found], ["proxy.a"])

    def test_entries_that_others_made_badly(self) -> None:
        """They hide no valid entry."""
        good = self.entry("a")
        for bad in (
            ["x y@", *good[1:]],
            ["a@", "no-json", "1"],
            ["a@", "w [1]", "1"],
            ["a@", 'w {"binary":"b","host":7,"info":{}}', "1"],
            ["a@", 'w {"binary":"b","host":"h","info":[]}', "1"],
            ["a@", 'w {"binary":"b"}', "1"],
            ["a@", good[1], "soon"],
            ["a@", b"\xff\xfe", "1"],
        ):
            self.redis.answers["EVALSHA"] = bulk(*bad, *good)
            self.assertEqual([one.worker for one in self.successResultOf(self.services())], ["w"], bad)
        self.redis.answers["EVALSHA"] = bulk(*good, "half", "of one")
        self.assertEqual(len(self.successResultOf(self.services())), 1)

    def test_a_grace_period_is_waited_out(self) -> None:
        """Services that are missing right after an outage may still be reconnecting."""
        self.redis.die()
        self.redis.refuses = False
        self.advance(1)
        self.redis.answers["EVALSHA"] = bulk()
        waiting = self.services(deadline=10)
        self.advance(1)
        self.assertNoResult(waiting)
        self.redis.answers["EVALSHA"] = bulk(*self.entry("a"))
        self.advance(4)
        self.assertEqual(len(self.successResultOf(waiting)), 1)

    def test_only_within_the_deadline(self) -> None:
        self.redis.die()
        self.redis.refuses = False
        self.advance(1)
        self.redis.answers["EVALSHA"] = bulk()
        waiting = self.services(deadline=1)
        self.advance(1.1)
        self.assertEqual(self.unavailable(waiting), "Redis did not answer within 1 s")

    def test_stopped_while_a_look_up_waits(self) -> None:
        self.redis.die()
        self.redis.refuses = False
        self.advance(1)
        self.redis.answers["EVALSHA"] = bulk()
        waiting, given_up = self.services(), self.services()
        given_up.cancel()
        self.failureResultOf(given_up, CancelledError)
        self.stop()
        self.assertEqual(self.unavailable(waiting), "the transport was stopped")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_renewed_each_second(self) -> None:
        self.add(place="10.0.0.1", lists=("q",))
        keys = ["novnc:services", "novnc:a:t@10.0.0.1", "novnc:p:t"]
        self.assertEqual(self.asked()[:5], [*keys, "3000", "t@10.0.0.1"])
        self.assertRegex(self.asked()[5], r'^w-1 \{"binary":"nova-b","host":"h","from":"[^"]*","info":\{\}\}$')
        self.assertEqual(self.asked()[6:], ["w-1", "1", ""])
        before = len(self.redis.named("EVALSHA"))
        self.advance(3.1)
        self.assertEqual(len(self.redis.named("EVALSHA")) - before, 3)

    def test_an_entry_without_a_server(self) -> None:
        self.add()
        self.assertEqual(self.asked()[6:], ["", "1", ""])

    def test_removed(self) -> None:
        one = self.add(lists=("q1", "q2"))
        self.redis.answers["EVALSHA"] = b"*2\r\n" + bulk("request") + bulk()
        left = self.successResultOf(Deferred.fromCoroutine(self.presence.remove(one)))
        self.assertEqual(left, [["request"], []])
        self.assertEqual(self.asked()[:4], ["novnc:a:t@", "novnc:p:t", "q1", "q2"])
        self.assertEqual(self.asked()[5], "w-1")
        # The text is the one that was added, or it would not be found there.
        announced = [words for words in self.redis.named("EVALSHA") if words[1] == ANNOUNCE.sha and len(words) > 3]
        self.assertEqual(self.asked()[4], announced[-1][9])
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(self.presence.remove(one))), [])
        asked = len(self.redis.named("EVALSHA"))
        self.advance(3)
        self.assertEqual(len(self.redis.named("EVALSHA")), asked)

    def test_removed_without_redis(self) -> None:
        """It expires."""
        one = self.add(lists=("q",))
        self.redis.die()
        removing = Deferred.fromCoroutine(self.presence.remove(one))
        self.advance(3)
        self.assertEqual(self.successResultOf(removing), [])

    def test_back_after_an_outage(self) -> None:
        self.add()
        self.redis.die()
        self.redis.refuses = False
        self.redis.heard.clear()
        self.advance(0.2)
        self.presence.renew()
        self.assertEqual(
            len([words for words in self.redis.named("EVALSHA") if words[1] == ANNOUNCE.sha and len(words) > 3]), 1
        )


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

    def test_a_live_one_at_another_address(self) -> None:
        """Its entry is under another name: it is looked up for the log line."""

        def answer(words: list[str]) -> bytes:
            return bulk("compute.one@10.0.0.3", OTHER, "1") if words[1] == SERVICES.sha else bulk()

        adding = self.start(answer)
        self.advance(3.7)
        line = str(self.failureResultOf(adding, TopicInUse).value)
        self.assertIn("host one belongs to web3, 10.0.0.3, process 7; this one (", line)
        self.assertEqual(self.redis.named("EVALSHA")[-1][4:], ["novnc:services", "novnc:a:", "", "compute.one@"])

    def test_a_live_one_that_cannot_be_looked_up(self) -> None:
        adding = self.start(lambda words: NOPERM if words[1] == SERVICES.sha else bulk())
        self.advance(3.7)
        line = str(self.failureResultOf(adding, TopicInUse).value)
        self.assertIn("host one belongs to another process; this one (", line)

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
        """The topic is claimed when Redis is back."""
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

    def test_entries_of_others_are_cleaned(self) -> None:
        """A client that can write entries must not be able to write into the log."""
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
