"""Connections to Redis: log-in, reconnection and deadlines."""

from itertools import pairwise
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import TimeoutError

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.redis.endpoint import ANSWER_TIMEOUT, CONNECT_TIMEOUT
from novnc_twisted.messaging.redis.heartbeat import MAX_BACKOFF, PRESENCE
from novnc_twisted.messaging.redis.link import FIRST_BACKOFF
from novnc_twisted.messaging.redis.scripts import ANNOUNCE
from novnc_twisted.messaging.redis_url import RedisURL
from tests.messaging.redis_case import LinkCase


class BackoffTests(LinkCase):
    """Pauses between attempts grow up to a limit, and have a random part."""

    def test_pauses(self) -> None:
        self.redis.refuses = True
        self.link.start()
        self.advance(60)
        times = self.redis.attempts
        pauses = [after - before for before, after in pairwise(times)]
        for number, pause in enumerate(pauses):
            longest = min(MAX_BACKOFF, 0.05 * 2 ** (number + 1))
            self.assertTrue(longest / 2 - 0.06 <= pause <= longest + 0.06, (number, pause))
        late = pauses[8:]
        self.assertGreater(len(late), 10)
        # Not all processes of a site reconnect at the same moment.
        self.assertGreater(max(late) - min(late), 0.2)
        self.assertEqual(self.redis_lines(), ["cannot be reached (connection refused); trying again"])

    def test_no_pause_after_an_attempt_without_an_answer(self) -> None:
        """While packets are lost, attempts follow soon, so that the end of the outage is noticed within a second."""
        begun: list[float] = []

        def connect(_factory: Any) -> Deferred[Any]:
            begun.append(self.clock.seconds())
            attempt: Deferred[Any] = Deferred()
            self.clock.callLater(ANSWER_TIMEOUT, attempt.errback, TimeoutError())
            return attempt

        self.patch(self.redis, "connect", connect)
        self.link.start()
        self.advance(20)
        self.assertGreater(len(begun), 30)

    def test_back_soon_after_recovery(self) -> None:
        self.redis.refuses = True
        self.link.start()
        self.advance(60)
        self.redis.refuses = False
        self.advance(MAX_BACKOFF + 0.1)
        self.assertEqual(len(self.redis.connections), 1)
        self.assertEqual(self.redis_lines()[1:], ["is back"])

    def test_a_short_outage_costs_little(self) -> None:
        self.link.start()
        self.advance(60)
        self.redis.die()
        self.redis.refuses = False
        self.advance(0.15)
        self.assertEqual(len(self.redis.connections), 1)

    def test_a_restart_of_redis_under_many(self) -> None:
        """The first attempts after a loss are spread, too: all at once, they would overflow Redis' backlog."""
        uniform = Random(1).uniform
        for _ in range(100):
            self.made("x", uniform=uniform).start()
        self.advance(60)
        self.redis.die()
        self.redis.refuses = False
        before, lost_at = len(self.redis.attempts), self.clock.seconds()
        self.advance(3 * FIRST_BACKOFF, step=0.001)
        pauses = [at - lost_at for at in self.redis.attempts[before:]]
        self.assertEqual(len(pauses), 100)
        self.assertGreaterEqual(min(pauses), FIRST_BACKOFF - 1e-9)
        self.assertGreater(len(set(pauses)), 50)

    def test_one_that_comes_and_goes(self) -> None:
        """The pauses between the attempts stay short."""
        self.link.start()
        for _ in range(200):
            for connection in list(self.redis.connections):
                connection.lose()
            self.advance(0.05)
        self.assertTrue(20 <= len(self.redis.attempts) <= 60, len(self.redis.attempts))

    def test_one_connection_tries_for_all(self) -> None:
        """The connections for queues wait until that for commands is made, and follow at once."""
        followers = [self.made(name, after=self.link) for name in ("replies", "calls")]
        self.redis.refuses = True
        firsts = [link.start() for link in (self.link, *followers)]
        for first in firsts:
            self.successResultOf(first)
        self.advance(30)
        self.assertEqual(len(self.redis.attempts), len(set(self.redis.attempts)))
        before = len(self.redis.attempts)
        self.redis.refuses = False
        self.advance(MAX_BACKOFF + 0.1)
        self.assertEqual(len(self.redis.attempts) - before, 3)
        self.assertEqual(len(set(self.redis.attempts[before:])), 1)
        self.assertEqual([line[:7] for line in self.redis_lines()], ["cannot ", "is back"])

    def test_a_long_outage_fails_commands_at_once(self) -> None:
        """During a short one, they wait."""
        self.advance(100)
        self.link.start()
        self.redis.die()
        waiting = self.run_script(ANNOUNCE)
        self.assertNoResult(waiting)
        self.advance(PRESENCE + 0.1)
        self.assertEqual(self.unavailable(waiting), "Redis cannot be reached")
        self.assertEqual(self.unavailable(self.run_script(ANNOUNCE)), "Redis cannot be reached")

    def test_a_stopped_link_fails_commands_at_once(self) -> None:
        self.link.start()
        link = self.link
        self.stop()
        self.failureResultOf(Deferred.fromCoroutine(link.execute("GET", "x", deadline=5)), ServiceUnavailable)

    def test_a_connection_that_is_never_made(self) -> None:
        """Because of the resolver, or a firewall that drops packets."""
        self.patch(self.redis, "connect", lambda _factory: Deferred())
        first = self.link.start()
        self.advance(2 * CONNECT_TIMEOUT - 0.1)
        self.assertNoResult(first)
        self.advance(0.2)
        self.successResultOf(first)
        self.assertIn("no answer to the connection", self.redis_lines()[0])

    def test_stopped_while_a_command_waits(self) -> None:
        self.link.start()
        self.advance(5)
        self.redis.die()
        waiting = self.run_script(ANNOUNCE)
        self.assertNoResult(waiting)
        self.stop()
        self.assertEqual(self.unavailable(waiting), "the transport was stopped")

    def test_stopped_while_others_wait(self) -> None:
        follower = self.made("replies", after=self.link)
        self.redis.refuses = True
        self.link.start()
        follower.start()
        self.advance(1)
        self.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_during_an_outage(self) -> None:
        """The outage ends without the connection of a withdrawn topic, and the next outage is logged, too."""
        follower = self.made("calls to x", after=self.link)
        self.link.start()
        follower.start()
        self.redis.die()
        self.advance(1)
        stopping = Deferred.fromCoroutine(follower.stop())
        self.advance(1)
        self.successResultOf(stopping)
        self.assertEqual(len(self.redis_lines()), 1)
        self.redis.refuses = False
        self.advance(2)
        self.assertEqual(self.redis_lines()[1:], ["is back"])
        self.redis.die()
        self.advance(1)
        self.assertIn("cannot be reached", self.redis_lines()[2])


class FrozenTests(LinkCase):
    """A Redis that no longer answers."""

    def test_found_by_one_and_left_by_all(self) -> None:
        """The heartbeat of one connection finds it; the other connection is closed, too, and both are made again."""
        self.link.start()
        self.made("replies", after=self.link).start()
        self.advance(5)
        self.assertEqual(len(self.redis.attempts), 2)
        before = list(self.redis.connections)
        self.redis.answers["TIME"] = None
        self.advance(3.5)
        self.assertEqual([one for one in before if one in self.redis.connections], [])
        self.assertEqual(self.redis_lines(), ["cannot be reached (it no longer answers); trying again"])
        self.redis.answers["TIME"] = lambda _: self.redis.time()
        self.advance(4)
        self.assertEqual(self.redis_lines()[1:], ["is back"])
        self.assertEqual(len(self.redis.connections), 2)

    def test_commands_keep_their_deadline(self) -> None:
        self.link.start()
        self.redis.answers["EVALSHA"] = None
        running = self.run_script(ANNOUNCE, deadline=0.2)
        self.advance(0.25)
        self.assertEqual(self.unavailable(running), "Redis did not answer within 0.2 s")


class LogInTests(LinkCase):
    """User, password and database, and errors that quote them."""

    address = RedisURL(username="nova", password="hunter2", db=7)

    def test_order(self) -> None:
        self.link.start()
        words = [["AUTH", "nova", "hunter2"], ["HELLO"], ["SELECT", "7"]]
        self.assertEqual(self.redis.heard[:3], words)

    def test_errors(self) -> None:
        for name, answer, words in (
            ("AUTH", "WRONGPASS invalid username-password pair hunter2", "refuses user or password"),
            ("AUTH", "ERR AUTH <password> called without any password configured hunter2", "Redis has none"),
            ("AUTH", "ERR wrong number of arguments for 'auth' command hunter2", "older than Redis 7.0"),
            ("AUTH", "hunter2", "refuses us (ERR)"),
            ("SELECT", "ERR DB index is out of range hunter2", "no database with the number"),
            ("SELECT", "ERR SELECT is not allowed in cluster mode hunter2", "Redis Cluster"),
            ("HELLO", "NEWCODE hunter2", "refuses us (NEWCODE)"),
        ):
            self.fresh()
            self.redis.answers[name] = f"-{answer}\r\n".encode()
            self.link.start()
            self.advance(5)
            [line] = self.redis_lines()
            self.assertIn(words, line)
            self.assertNotIn("hunter2", line)
