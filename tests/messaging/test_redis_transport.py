"""The transport over Redis, from its start to its stop, with a fake Redis on a clock."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.redis import heartbeat
from novnc_twisted.messaging.redis import transport as module
from novnc_twisted.messaging.redis.scripts import ANNOUNCE, WITHDRAW, Script
from novnc_twisted.messaging.redis.transport import GRACE, RedisTransport
from novnc_twisted.messaging.redis_url import RedisURL
from tests.support.fake_redis import FakeRedis, bulk
from tests.support.logged import Logged


async def method() -> int:
    """A method to serve."""
    return 1


class TransportTests(SynchronousTestCase):
    """One process with the role of a compute host."""

    def setUp(self) -> None:
        self.patch(heartbeat, "first_pause", lambda: heartbeat.BEAT)
        self.logged = Logged(self)
        self.clock = Clock()
        self.redis = FakeRedis(self.clock)
        self.redis.answers["EVALSHA"] = self.script
        self.others: list[str] = []
        self.patch(module, "endpoint_of", lambda _reactor, _address: self.redis)
        self.transport = self.made("compute")
        self.addCleanup(self.stop)

    def script(self, words: list[str]) -> bytes:
        """Return Redis' reply to a script; to ANNOUNCE, the entries of other servers."""
        if words[1] == ANNOUNCE.sha:
            return bulk(*self.others) if self.others else b":1\r\n"
        return bulk() if words[1] == WITHDRAW.sha else b":1\r\n"

    def made(self, role: str) -> RedisTransport:
        return RedisTransport(self.clock, RedisURL(username="u", password="p"), role)

    def stop(self) -> None:
        stopping = self.transport.stop()
        self.advance(2)
        self.successResultOf(stopping)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def advance(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)

    def serve(self, **options: Any) -> Deferred[Any]:
        return self.transport.serve("t", {"method": method}, binary="nova-b", host="h", **options)

    def ran(self, script: Script) -> list[list[str]]:
        """Return the arguments of each run of a script."""
        return [words[4:] for words in self.redis.named("EVALSHA") if words[1] == script.sha and len(words) > 3]

    def test_an_unknown_role(self) -> None:
        self.assertRaises(ValueError, self.made, "compute.one")

    def test_started_twice(self) -> None:
        self.successResultOf(self.transport.start())
        self.failureResultOf(self.transport.start(), RuntimeError)

    def test_only_some_roles_load_scripts(self) -> None:
        for role, loads in (("compute", False), ("api", False), ("proxy", False), ("consoleauth", True), ("", True)):
            self.stop()
            self.redis.heard.clear()
            self.transport = self.made(role)
            self.transport.start()
            self.assertEqual(bool(self.redis.named("SCRIPT")), loads, role)

    def test_before_the_start(self) -> None:
        for failing in (self.transport.call("t", "m"), self.transport.services(), self.transport.broadcast("t", "m")):
            self.failureResultOf(failing, ServiceUnavailable)

    def test_two_connections_without_a_topic(self) -> None:
        self.stop()
        self.transport = self.made("proxy")
        self.successResultOf(self.transport.start())
        self.assertEqual(len(self.redis.connections), 2)

    def test_a_compute_host_waits_for_replies_from_its_first_call_on(self) -> None:
        self.successResultOf(self.transport.start())
        self.assertEqual(len(self.redis.connections), 1)
        self.redis.answers["EVALSHA"] = b"$6\r\nqueued\r\n"
        for _ in range(2):
            calling = self.transport.call("consoleauth", "instance_gone", deadline=1.0)
            self.assertEqual(len(self.redis.connections), 2)
            self.advance(1.1)
            self.failureResultOf(calling, ServiceUnavailable)
        self.redis.answers["EVALSHA"] = self.script

    def test_connections_of_a_topic(self) -> None:
        """One, and one for each exposed role that may call the topic."""
        self.transport.start()
        for callers, connections in ((("api", "consoleauth"), 1), (("api", "compute", "proxy"), 3)):
            before = len(self.redis.connections)
            self.successResultOf(self.serve(callers={"method": callers}))
            self.assertEqual(len(self.redis.connections) - before, connections)

    def test_the_deadline_of_a_ping_is_for_all_its_commands(self) -> None:
        self.transport.start()
        pinging = self.transport.ping("t", deadline=2.0)
        self.failureResultOf(pinging, ServiceUnavailable)  # this Redis does not know ZCOUNT
        [connection] = self.redis.connections

        def later(_words: list[str]) -> None:
            self.clock.callLater(1.5, lambda: connection.say(self.redis.time()))

        self.redis.answers |= {"TIME": later, "ZCOUNT": None}
        pinging = self.transport.ping("t", deadline=2.0)
        self.advance(1.9)
        self.assertNoResult(pinging)
        self.advance(0.2)
        self.failureResultOf(pinging, ServiceUnavailable)
        self.redis.answers |= {"TIME": lambda _: self.redis.time()}

    def test_served_before_the_start(self) -> None:
        stop = self.successResultOf(self.serve())
        self.assertEqual(self.redis.connections, [])
        self.transport.start()
        self.assertEqual(len(self.redis.connections), 2)
        self.assertEqual(self.ran(ANNOUNCE)[0][5], "t@")
        stopping = stop()
        self.advance(GRACE + 0.1)  # it waits for calls that Redis is sending
        self.successResultOf(stopping)
        self.assertEqual(len(self.redis.connections), 1)

    def test_an_entry_does_not_reveal_the_name_of_the_process(self) -> None:
        """The called services learn this name; clients that only list the services must not."""
        self.transport.start()
        self.successResultOf(self.serve())
        self.successResultOf(self.transport.announce("x", binary="b", host="h"))
        for words in self.ran(ANNOUNCE):
            self.assertNotIn(self.transport.calls.process, " ".join(words))

    def test_workers_of_one_process_differ(self) -> None:
        self.transport.start()
        for _ in range(3):
            self.successResultOf(self.serve())
        self.assertEqual(len({words[6].split()[0] for words in self.ran(ANNOUNCE)}), 3)

    def test_an_exclusive_topic_is_not_served_before_it_is_claimed(self) -> None:
        self.others.append('x {"binary":"b","host":"h","from":"web3","info":{}}')
        self.transport.start()
        serving = self.serve(exclusive=True)
        self.advance(1)
        self.assertNoResult(serving)
        served = [words for words in self.redis.named("BLPOP") if any(":q:" in word for word in words)]
        self.assertEqual(served, [])
        self.others.clear()
        self.advance(0.5)
        self.successResultOf(serving)
        served = [words for words in self.redis.named("BLPOP") if any(":q:" in word for word in words)]
        self.assertEqual(len(served), 1)

    def test_stop_withdraws_everything(self) -> None:
        self.transport.start()
        self.successResultOf(self.serve())
        self.successResultOf(self.transport.announce("x", binary="b", host="h"))
        stopping = self.transport.stop()
        self.advance(1)
        self.successResultOf(stopping)
        self.assertEqual(len(self.ran(WITHDRAW)), 2)
        self.assertEqual(self.redis.connections, [])
        self.failureResultOf(self.serve(), ServiceUnavailable)
        self.successResultOf(self.transport.stop())

    def test_stop_without_redis_ends_in_time(self) -> None:
        """A process promises to be gone within 5 s of SIGTERM."""
        self.transport.start()
        self.successResultOf(self.serve())
        self.redis.answers["EVALSHA"] = None
        stopping = self.transport.stop()
        self.advance(1.5)
        self.successResultOf(stopping)

    def test_invalid_arguments(self) -> None:
        self.transport.start()
        self.failureResultOf(self.transport.call("t", "m", value=object()), TypeError)
        self.failureResultOf(self.transport.call("a b", "m"), ValueError)
        self.failureResultOf(self.serve(info={"a": "\ud800"}), TypeError)
        self.failureResultOf(self.serve(place="a@b"), ValueError)
        self.failureResultOf(self.transport.announce("", binary="b", host="h"), ValueError)
