"""A Redis that cannot be used, or only in part: the log names the reason, and what to change."""

from twisted.internet.error import ConnectionDone

from novnc_twisted.messaging.redis.heartbeat import MAX_BACKOFF
from novnc_twisted.messaging.redis.scripts import ANNOUNCE, EXTEND, PUT, QUEUE, SERVICES
from tests.messaging.redis_case import LinkCase
from tests.support.fake_redis import hello


class ReasonTests(LinkCase):
    """For each reason, one log line says what to change, and one line reports the end of the problem."""

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
        self.assertIn("requires a password", self.line(HELLO=b"-NOAUTH HELLO must be called with\r\n"))

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
        self.assertIn(
            "the program that answers at this address is not Redis", self.line(HELLO=b"SSH-2.0-OpenSSH_9.2p1\r\n")
        )

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
            for answer in (b"$6\r\nnobody\r\n", b"$4\r\nfull\r\n", b":0\r\n"):  # these write nothing
                self.redis.answers["EVALSHA"] = answer
                self.run_script(QUEUE)
            self.assertEqual(len(self.redis_lines()), 1)
            self.redis.answers["EVALSHA"] = b":1\r\n"
            for _ in range(2):
                self.run_script(ANNOUNCE)
            self.assertEqual(self.redis_lines()[1:], ["accepts commands again"])
            self.assertEqual(len(self.redis.attempts), 1)

    def test_an_index_with_several_keys(self) -> None:
        """The reply of PUT is the number of keys."""
        self.link.start()
        self.redis.answers["EVALSHA"] = b"-OOM not now\r\n"
        self.unavailable(self.run_script(PUT))
        self.redis.answers["EVALSHA"] = b":7\r\n"
        self.run_script(EXTEND)  # it adds nothing
        self.assertEqual(len(self.redis_lines()), 1)
        self.run_script(PUT)
        self.assertEqual(self.redis_lines()[1:], ["accepts commands again"])

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


def policy(name: bytes) -> bytes:
    """Return a reply to INFO with an eviction policy."""
    text = b"# Memory\r\nused_memory:1\r\nmaxmemory_policy:%b\r\nx:1\r\n" % name
    return b"$%d\r\n%b\r\n" % (len(text), text)


class PolicyTests(LinkCase):
    """The eviction policy of Redis."""

    def lines(self, answer: bytes) -> list[str]:
        self.redis.answers["INFO"] = answer
        self.commands(asks_policy=True).start()
        self.advance(3)
        return self.redis_lines()

    def test_eviction(self) -> None:
        [line] = self.lines(policy(b"allkeys-lru"))
        self.assertIn("maxmemory-policy allkeys-lru", line)

    def test_corrected(self) -> None:
        """The next connection logs the corrected policy once; a reply without a policy is ignored."""
        self.lines(policy(b"allkeys-lru"))
        for answer in (policy(b"noeviction"), policy(b"noeviction"), policy(b"volatile-ttl"), b"-NOPERM no\r\n"):
            self.redis.answers["INFO"] = answer
            for connection in list(self.redis.connections):
                connection.lose()
            self.advance(3)
        lines = [line.partition("maxmemory-policy ")[2] for line in self.redis_lines() if "maxmemory" in line]
        self.assertEqual([line.split()[0] for line in lines], ["allkeys-lru:", "noeviction", "volatile-ttl:"])
        self.assertEqual(lines[1], "noeviction now")

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
