"""Connections to Redis: reconnection, deadlines, and the reasons why one cannot be used."""

from itertools import pairwise

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.redis.endpoint import CONNECT_TIMEOUT
from novnc_twisted.messaging.redis.heartbeat import MAX_BACKOFF, PRESENCE
from novnc_twisted.messaging.redis.scripts import ANNOUNCE, SERVICES
from novnc_twisted.messaging.redis_url import RedisURL
from tests.messaging.redis_case import LinkCase
from tests.support.fake_redis import hello


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
        self.assertEqual(self.redis_lines(), ["can't be reached (connection refused); trying again"])

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

    def test_one_that_comes_and_goes(self) -> None:
        """There are pauses, but no long ones."""
        self.link.start()
        for _ in range(200):
            for connection in list(self.redis.connections):
                connection.lose()
            self.advance(0.05)
        self.assertTrue(20 <= len(self.redis.attempts) <= 60, len(self.redis.attempts))

    def test_one_connection_tries_for_all(self) -> None:
        """The connections of queues wait for the one for commands, and follow at once."""
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
        self.assertEqual([line[:7] for line in self.redis_lines()], ["can't b", "is back"])

    def test_a_long_outage_fails_commands_at_once(self) -> None:
        """A short one is waited out."""
        self.advance(100)
        self.link.start()
        self.redis.die()
        waiting = self.run_script(ANNOUNCE)
        self.assertNoResult(waiting)
        self.advance(PRESENCE + 0.1)
        self.assertEqual(self.unavailable(waiting), "Redis can't be reached")
        self.assertEqual(self.unavailable(self.run_script(ANNOUNCE)), "Redis can't be reached")

    def test_a_stopped_link_fails_commands_at_once(self) -> None:
        self.link.start()
        link = self.link
        self.stop()
        self.failureResultOf(Deferred.fromCoroutine(link.execute("GET", "x", deadline=5)), ServiceUnavailable)

    def test_a_connection_that_is_never_made(self) -> None:
        """The resolver, or a firewall that drops packets."""
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


class FrozenTests(LinkCase):
    """A Redis that no longer answers."""

    def test_found_by_one_and_left_by_all(self) -> None:
        self.link.start()
        self.made("replies", after=self.link).start()
        self.advance(5)
        self.assertEqual(len(self.redis.attempts), 2)
        self.redis.answers["TIME"] = None
        self.advance(3.5)
        self.assertEqual(self.redis_lines(), ["can't be reached (it no longer answers); trying again"])
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


class ReasonTests(LinkCase):
    """Each reason has one line that says what to change, and there is one line when it is over."""

    def line(self, **answers: bytes | None) -> str:
        """Return the line for a Redis that gives these answers."""
        before = dict(self.redis.answers)
        self.redis.answers.update(answers)
        self.link.start()
        self.advance(30)
        [line] = self.redis_lines()
        self.redis.answers.update(before)
        self.advance(MAX_BACKOFF + 3)
        self.assertEqual(self.redis_lines(), [line, "is back"])
        return line

    def test_limit_of_connections(self) -> None:
        self.assertIn("raise maxclients", self.line(HELLO=b"-ERR max number of clients reached\r\n"))

    def test_no_password(self) -> None:
        self.assertIn("wants a password", self.line(HELLO=b"-NOAUTH HELLO must be called with\r\n"))

    def test_cluster(self) -> None:
        self.assertIn("Redis Cluster, which is not supported", self.line(HELLO=hello(mode="cluster")))

    def test_sentinel(self) -> None:
        self.assertIn("it is a Sentinel", self.line(HELLO=hello(mode="sentinel")))

    def test_replica(self) -> None:
        self.assertIn("it is a replica", self.line(HELLO=hello(role="replica")))

    def test_old(self) -> None:
        self.assertIn("older than Redis 7.0", self.line(HELLO=hello(version="6.2.14")))

    def test_very_old(self) -> None:
        self.assertIn("older than Redis 7.0", self.line(HELLO=b"-ERR unknown command 'HELLO'\r\n"))

    def test_an_invalid_version(self) -> None:
        self.assertIn("older than Redis 7.0", self.line(HELLO=b"+OK\r\n"))

    def test_protected_mode(self) -> None:
        self.assertIn("protected mode", self.line(HELLO=b"-DENIED Redis is running in protected mode because\r\n"))

    def test_something_else(self) -> None:
        self.assertIn("what answers there is no Redis", self.line(HELLO=b"SSH-2.0-OpenSSH_9.2p1\r\n"))

    def test_silence(self) -> None:
        self.assertIn("it accepts connections and does not answer", self.line(HELLO=None))

    def test_each_connection_is_closed(self) -> None:
        def close(_words: list[str]) -> None:
            self.clock.callLater(0, self.redis.connections[-1].lose, ConnectionDone())

        self.redis.answers["HELLO"] = close
        self.link.start()
        self.advance(5)
        [line] = self.redis_lines()
        self.assertIn("it closes each new connection", line)

    def test_valkey(self) -> None:
        self.redis.answers["HELLO"] = hello(server="valkey", version="8.1.0")
        self.link.start()
        self.advance(2)
        self.assertEqual(self.redis_lines(), [])

    def test_the_second_connection_alone(self) -> None:
        """The failing connection is named, though commands work."""
        self.link.start()
        self.redis.answers["HELLO"] = b"-ERR max number of clients reached\r\n"
        self.made("replies", after=self.link).start()
        self.made("calls to consoleauth", after=self.link).start()
        self.advance(30)
        [line] = self.redis_lines()
        self.assertIn("refuses the connection for replies: it has reached its limit", line)
        self.redis.answers["HELLO"] = hello()
        self.advance(4)
        self.assertEqual(self.redis_lines()[1:], ["is back"])


class SentinelTests(LinkCase):
    """The server that a Sentinel named."""

    address = RedisURL(sentinels=(("s", 26379),), service="nova")

    def test_a_replica(self) -> None:
        """The Sentinels do not agree on the primary yet: this passes by itself, and is no error."""
        self.redis.answers["HELLO"] = hello(role="slave")
        self.link.start()
        self.advance(5)
        self.assertEqual(
            self.redis_lines(), ["can't be reached (nova: the server that Sentinel named is a replica); trying again"]
        )


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
            ("SELECT", "ERR DB index is out of range hunter2", "no database of the number"),
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


class TroubleTests(LinkCase):
    """Redis is connected, and refuses commands that write."""

    def test_codes(self) -> None:
        for code, words in (
            ("OOM", "raise maxmemory"),
            ("MISCONF", "full disk"),
            ("NOREPLICAS", "min-replicas-to-write"),
            ("BUSY", "SCRIPT KILL"),
        ):
            self.fresh()
            self.link.start()
            self.redis.answers["EVALSHA"] = f"-{code} not now\r\n".encode()
            for _ in range(100):
                self.assertEqual(self.unavailable(self.run_script(ANNOUNCE)), f"Redis answered {code}")
                self.advance(1)
            [line] = self.redis_lines()
            self.assertIn(words, line)
            self.redis.answers["EVALSHA"] = b":1\r\n"
            self.run_script(SERVICES)  # it only reads
            self.assertEqual(len(self.redis_lines()), 1)
            for _ in range(2):
                self.run_script(ANNOUNCE)
            self.assertEqual(self.redis_lines()[1:], ["accepts commands again"])
            self.assertEqual(len(self.redis.attempts), 1)

    def test_become_a_replica(self) -> None:
        self.link.start()
        self.redis.answers |= {"EVALSHA": b"-READONLY You can't write against\r\n", "HELLO": hello(role="replica")}
        self.unavailable(self.run_script(ANNOUNCE))
        self.advance(10)
        self.assertEqual(len(self.redis_lines()), 2)
        self.assertIn("it is a replica", self.redis_lines()[1])


class ClockTests(LinkCase):
    """This machine's clock differs from that of Redis."""

    def test_another_time(self) -> None:
        self.redis.ahead = -700
        self.link.start()
        self.advance(30)
        [line] = self.redis_lines()
        self.assertIn("this machine's clock is 700 s ahead", line)
        self.redis.ahead = 4
        self.advance(5)
        self.redis.ahead = 7
        self.advance(5)
        self.assertEqual(len(self.redis_lines()), 2)
        self.assertIn("7 s behind", self.redis_lines()[1])

    def test_small_differences(self) -> None:
        self.redis.ahead = 4.5
        self.link.start()
        self.advance(30)
        self.assertEqual(self.redis_lines(), [])


class PolicyTests(LinkCase):
    """The eviction policy of Redis."""

    def lines(self, answer: bytes) -> list[str]:
        self.redis.answers["INFO"] = answer
        self.commands(asks_policy=True).start()
        self.advance(3)
        return self.redis_lines()

    def test_eviction(self) -> None:
        text = b"# Memory\r\nused_memory:1\r\nmaxmemory_policy:allkeys-lru\r\nx:1\r\n"
        [line] = self.lines(b"$%d\r\n%b\r\n" % (len(text), text))
        self.assertIn("maxmemory-policy allkeys-lru", line)

    def test_nothing_to_say(self) -> None:
        for text in (b"maxmemory_policy:noeviction\r\n", b"", b"maxmemory_policy:\x1b[31m\r\n"):
            self.assertEqual(self.lines(b"$%d\r\n%b\r\n" % (len(text), text)), [])

    def test_asked_once_where_it_is_denied(self) -> None:
        self.lines(b"-NOPERM no\r\n")
        for _ in range(3):
            for connection in list(self.redis.connections):
                connection.lose()
            self.advance(3)
        self.assertEqual(len(self.redis.named("INFO")), 1)
