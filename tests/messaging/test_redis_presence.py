"""The presence entries of this process on Redis."""

from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.messaging.redis.announcement import Announcement
from novnc_twisted.messaging.redis.presence import PLAIN, Presence
from novnc_twisted.messaging.redis.scripts import ANNOUNCE, WITHDRAW
from tests.messaging.redis_case import LinkCase
from tests.support.fake_redis import EPOCH, NOPERM, bulk


class EntryTests(LinkCase):
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

    def add(self, **options: Any) -> Announcement:
        one = Announcement("t", "w-1", "nova-b", "h", "{}", **options)
        self.successResultOf(Deferred.fromCoroutine(self.presence.add(one)))
        return one

    def asked(self) -> list[str]:
        """Return the keys and arguments of the last script."""
        return self.redis.named("EVALSHA")[-1][4:]

    def test_renewed_each_second(self) -> None:
        self.add(place="10.0.0.1", lists=("q",))
        keys = ["novnc:services", "novnc:services:t", "novnc:a:t@10.0.0.1", "novnc:p:t"]
        self.assertEqual(self.asked()[:6], [*keys, "3000", "t@10.0.0.1"])
        self.assertRegex(self.asked()[6], r'^w-1 \{"binary":"nova-b","host":"h","from":"[^"]*","info":\{\}\}$')
        self.assertEqual(self.asked()[7:], ["w-1", "1", "", "t", "30000"])
        self.assertEqual(self.renewals(3.1), 3)

    def renewals(self, seconds: float) -> int:
        """Return how many times the script or plain commands renew the entry of a server."""
        self.redis.heard.clear()
        self.advance(seconds)
        return len(self.redis.named("EVALSHA")) + len(self.redis.named("ZADD")) // 2

    def test_plain_commands_renew_it(self) -> None:
        """The script, which costs more, runs only once in ten seconds."""
        self.add(place="10.0.0.1", lists=("q",))
        self.assertIn(self.renewals(100), range(90, 101))
        self.assertIn(len(self.redis.named("EVALSHA")), range(9, 100 // (PLAIN + 1) + 1))
        expires = str(int(1000 * (EPOCH + self.clock.seconds()) + 3000))
        member = self.redis.named("ZADD")[-2][5]
        self.assertEqual(self.redis.named("SADD")[-1], ["SADD", "novnc:services:t", "t@10.0.0.1"])
        self.assertEqual(
            [[*words[:4], words[5]] for words in self.redis.named("ZADD")[-2:]],
            [["ZADD", "novnc:a:t@10.0.0.1", "XX", "CH", member], ["ZADD", "novnc:p:t", "XX", "CH", "w-1"]],
        )
        self.assertLessEqual(int(self.redis.named("ZADD")[-1][4]), int(expires))

    def test_an_entry_that_redis_lost(self) -> None:
        """The next renewal runs the script."""
        self.add(lists=("q",))
        for lost in (b":0\r\n", lambda words: b":0\r\n" if words[1] == "novnc:p:t" else b":1\r\n"):
            self.redis.answers["ZADD"] = lost
            self.redis.heard.clear()
            self.advance(5.1)
            self.assertGreaterEqual(len(self.redis.named("EVALSHA")), 2)

    def test_redis_refuses_a_plain_command(self) -> None:
        """One line is logged, and the renewals go on."""
        self.add(lists=("q",))
        self.redis.answers["ZADD"] = NOPERM
        self.advance(12)
        self.assertEqual(len(self.redis_lines()), 1)
        self.assertIn("NOPERM", self.redis_lines()[0])
        self.redis.answers["ZADD"] = b":1\r\n"
        self.assertIn(self.renewals(10), range(9, 11))
        self.assertEqual(len(self.redis_lines()), 1)

    def test_an_entry_without_a_server(self) -> None:
        self.add()
        self.assertEqual(self.asked()[7:], ["", "1", "", "t", "30000"])

    def test_removed(self) -> None:
        one = self.add(lists=("q1", "q2"))
        self.redis.answers["EVALSHA"] = b"*2\r\n" + bulk("request") + bulk()
        left = self.successResultOf(Deferred.fromCoroutine(self.presence.remove(one)))
        self.assertEqual(left, [["request"], []])
        self.assertEqual(self.asked()[:4], ["novnc:a:t@", "novnc:p:t", "q1", "q2"])
        self.assertEqual(self.asked()[5], "w-1")
        # The text must be the one that was added; otherwise Redis would not find it.
        announced = [words for words in self.redis.named("EVALSHA") if words[1] == ANNOUNCE.sha and len(words) > 3]
        self.assertEqual(self.asked()[4], announced[-1][10])
        self.assertIsNone(self.successResultOf(Deferred.fromCoroutine(self.presence.remove(one))))
        self.assertEqual(self.renewals(3), 0)

    def test_removed_while_it_is_renewed(self) -> None:
        """An entry that has expired is not written again after its removal."""
        one = self.add(lists=("q",))
        removals: list[Deferred[Any]] = []

        def expired(_words: list[str]) -> bytes:
            if not removals:
                removals.append(Deferred.fromCoroutine(self.presence.remove(one)))
            return b":0\r\n"

        self.redis.answers["ZADD"] = expired
        self.redis.answers["EVALSHA"] = lambda words: b"*0\r\n" if words[1] == WITHDRAW.sha else b":1\r\n"
        self.advance(PLAIN + 3)
        self.assertEqual(self.successResultOf(removals[0]), [])
        scripts = [words[1] for words in self.redis.named("EVALSHA")]
        self.assertNotIn(ANNOUNCE.sha, scripts[scripts.index(WITHDRAW.sha) :])

    def test_removed_without_redis(self) -> None:
        """The entry expires by itself."""
        one = self.add(lists=("q",))
        self.redis.die()
        removing = Deferred.fromCoroutine(self.presence.remove(one))
        self.advance(3)
        self.assertIsNone(self.successResultOf(removing))

    def test_added_before_the_first_connection(self) -> None:
        """There is one entry, with the origin of this process."""
        self.link._on_up = self.presence.renew
        self.redis.die()
        adding = Deferred.fromCoroutine(self.presence.add(Announcement("t", "w-1", "nova-b", "h", "{}")))
        self.assertNoResult(adding)
        self.redis.refuses = False
        self.advance(1)
        self.successResultOf(adding)
        entries = {words[10] for words in self.redis.named("EVALSHA") if words[1] == ANNOUNCE.sha and len(words) > 10}
        self.assertEqual(len(entries), 1, entries)
        self.assertRegex(entries.pop(), r'"from":"[^"]*process \d+"')

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
