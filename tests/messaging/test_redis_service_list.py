"""The list of live services on Redis."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from novnc_twisted.messaging.redis.heartbeat import GRACE_PERIOD
from novnc_twisted.messaging.redis.service_list import LOOK_AGAIN, ServiceList
from tests.messaging.redis_case import LinkCase
from tests.support.fake_redis import EPOCH, bulk


class ServiceListTests(LinkCase):
    """Entries of all processes."""

    def setUp(self) -> None:
        super().setUp()
        self.list = ServiceList(self.clock, self.link, True)
        self.link.start()

    def stop(self) -> None:
        self.list.stop()
        super().stop()

    def services(self, prefix: str = "", deadline: float = 5.0) -> Deferred[Any]:
        return Deferred.fromCoroutine(self.list.find(prefix, deadline))

    def entry(self, topic: str, worker: str = "w", place: str = "", until: int = 1000 * EPOCH + 3000) -> list[str]:
        """Return an entry as the script lists it."""
        text = f'{{"binary":"b-{topic}","host":"h","from":"x","info":{{"n":1}}}}'
        return [f"{topic}@{place}", f"{worker} {text}", str(until)]

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
        self.assertEqual(self.asked(), ["novnc:services", "novnc:a:", "1", "proxy.", "proxy"])
        # Other topics are left out, even if Redis returns them.
        self.assertEqual([one.topic for one in found], ["proxy.a"])

    def test_invalid_entries(self) -> None:
        """They do not hide a valid entry."""
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

    def test_a_grace_period_ends_when_all_are_back(self) -> None:
        """All services of the last complete answer; no others are waited for."""
        before, other = bulk(*self.entry("a"), *self.entry("b")), bulk(*self.entry("b"), *self.entry("c"))
        self.redis.answers["EVALSHA"] = before
        self.successResultOf(self.services())
        self.redis.die()
        self.redis.refuses = False
        self.advance(0.2)
        self.redis.answers["EVALSHA"] = other
        waiting = self.services(deadline=10)
        self.advance(1)
        self.assertNoResult(waiting)
        self.redis.answers["EVALSHA"] = before
        self.advance(LOOK_AGAIN + 0.1)
        self.assertEqual([one.topic for one in self.successResultOf(waiting)], ["a", "b"])

    def test_each_worker_has_to_be_back(self) -> None:
        self.redis.answers["EVALSHA"] = bulk(*self.entry("a"), *self.entry("a", "2"))
        self.successResultOf(self.services())
        self.redis.die()
        self.redis.refuses = False
        self.advance(0.2)
        self.redis.answers["EVALSHA"] = bulk(*self.entry("a"))
        waiting = self.services(deadline=10)
        self.advance(1)
        self.assertNoResult(waiting)
        self.advance(GRACE_PERIOD)
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
