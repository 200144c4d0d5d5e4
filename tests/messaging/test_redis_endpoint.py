"""Where a transport connects: one server, a socket, or the primary that a Sentinel names."""

from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.messaging.redis import endpoint as module
from novnc_twisted.messaging.redis.endpoint import ANSWER_TIMEOUT, ASK_TIMEOUT, endpoint_of
from novnc_twisted.messaging.redis.protocol import RedisError, RedisProtocol
from novnc_twisted.messaging.redis.reasons import NoPrimary
from novnc_twisted.messaging.redis_url import RedisURL, parse_redis_url
from novnc_twisted.messaging.waiting import Late
from tests.support.fake_redis import FakeRedis, bulk

NO_SERVICE = b"*-1\r\n"
PRIMARY = ("10.0.0.9", 6379)


class EndpointTests(SynchronousTestCase):
    """Hosts and ports at which a connection is attempted."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.servers: dict[tuple[str, int], FakeRedis] = {}
        self.attempts: list[tuple[str, int]] = []

        def host(_reactor: Any, name: str, port: int, timeout: float) -> FakeRedis:
            self.attempts.append((name, port))
            self.assertEqual(timeout, ANSWER_TIMEOUT)
            return self.server(name, port)

        self.patch(module, "HostnameEndpoint", host)

    def server(self, name: str, port: int) -> FakeRedis:
        return self.servers.setdefault((name, port), FakeRedis(self.clock))

    def connect(self, url: RedisURL) -> Deferred[Any]:
        return endpoint_of(self.clock, url).connect(Factory.forProtocol(RedisProtocol))

    def test_one_server(self) -> None:
        self.successResultOf(self.connect(RedisURL(host="redis", port=7)))
        self.assertEqual(self.attempts, [("redis", 7)])

    def sentinels(self, *answers: bytes | None) -> Deferred[Any]:
        """Connect through Sentinels that give these answers."""
        hosts = tuple((f"s{number}", 26379) for number in range(len(answers)))
        for host, answer in zip(hosts, answers, strict=True):
            self.server(*host).answers["SENTINEL"] = answer
        return self.connect(RedisURL(sentinels=hosts, service="nova"))

    def test_the_first_sentinel_that_knows_it_decides(self) -> None:
        self.successResultOf(self.sentinels(NO_SERVICE, bulk("10.0.0.9", "6379"), bulk("10.0.0.8", "6379")))
        self.assertEqual(self.attempts, [("s0", 26379), ("s1", 26379), PRIMARY])
        self.assertEqual(self.server("s1", 26379).heard, [["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "nova"]])
        # The connections to Sentinels are closed.
        self.clock.advance(0)
        self.assertEqual([len(self.server(f"s{number}", 26379).connections) for number in (0, 1)], [0, 0])

    def test_each_connection_asks_again(self) -> None:
        self.successResultOf(self.sentinels(bulk("10.0.0.9", "6379")))
        self.successResultOf(self.sentinels(bulk("10.0.0.8", "6380")))
        self.assertEqual(self.attempts[-1], ("10.0.0.8", 6380))

    def test_no_sentinel_knows_it(self) -> None:
        failure = self.failureResultOf(self.sentinels(NO_SERVICE, NO_SERVICE), NoPrimary)
        self.assertEqual(str(failure.value), "a Sentinel does not know nova")

    def test_a_sentinel_that_is_silent(self) -> None:
        connecting = self.sentinels(None, bulk("10.0.0.9", "6379"))
        self.assertNoResult(connecting)
        self.clock.advance(ASK_TIMEOUT)
        self.successResultOf(connecting)
        self.assertEqual(self.server("s0", 26379).connections, [])

    def test_the_sentinel_that_answered_is_asked_first(self) -> None:
        """A silent Sentinel delays only one connection."""
        hosts = (("s0", 26379), ("s1", 26379))
        for host, answer in zip(hosts, (None, bulk("10.0.0.9", "6379")), strict=True):
            self.server(*host).answers["SENTINEL"] = answer
        endpoint = endpoint_of(self.clock, RedisURL(sentinels=hosts, service="nova"))
        connecting = endpoint.connect(Factory.forProtocol(RedisProtocol))
        self.clock.advance(ASK_TIMEOUT)
        self.successResultOf(connecting)
        self.attempts.clear()
        self.successResultOf(endpoint.connect(Factory.forProtocol(RedisProtocol)))
        self.assertEqual(self.attempts, [("s1", 26379), PRIMARY])

    def test_a_failover(self) -> None:
        """The server of a connection is compared with the one that the Sentinels name now."""
        self.server("s0", 26379).answers["SENTINEL"] = bulk("10.0.0.9", "6379")
        url = RedisURL(sentinels=(("down", 26379), ("s0", 26379)), service="nova")
        self.server("down", 26379).refuses = True
        endpoint: Any = endpoint_of(self.clock, url)
        protocol = self.successResultOf(endpoint.connect(Factory.forProtocol(RedisProtocol)))
        self.assertFalse(self.successResultOf(Deferred.fromCoroutine(endpoint.moved(protocol))))
        self.server("s0", 26379).answers["SENTINEL"] = bulk("10.0.0.8", "6379")
        self.assertTrue(self.successResultOf(Deferred.fromCoroutine(endpoint.moved(protocol))))
        self.server("s0", 26379).refuses = True
        self.assertFalse(self.successResultOf(Deferred.fromCoroutine(endpoint.moved(protocol))))

    def test_all_are_silent(self) -> None:
        connecting = self.sentinels(None)
        self.clock.advance(ASK_TIMEOUT)
        self.failureResultOf(connecting, Late)

    def test_a_sentinel_that_is_down(self) -> None:
        self.server("s0", 26379).refuses = True
        self.successResultOf(self.sentinels(None, bulk("10.0.0.9", "6379")))

    def test_the_primary_is_down(self) -> None:
        """The next Sentinel, which may name another, is asked."""
        self.server(*PRIMARY).refuses = True
        self.failureResultOf(self.sentinels(bulk("10.0.0.9", "6379")), ConnectionRefusedError)
        self.successResultOf(self.sentinels(bulk("10.0.0.9", "6379"), bulk("10.0.0.8", "6379")))

    def test_what_is_not_a_sentinel(self) -> None:
        for answer, code in (
            (b"-ERR unknown command 'SENTINEL'\r\n", "NOSENTINEL"),
            (b"-NOAUTH Authentication required.\r\n", "SENTINELAUTH"),
            (b"-IDONTKNOW x\r\n", "IDONTKNOW"),
        ):
            failure = self.failureResultOf(self.sentinels(answer), RedisError)
            self.assertEqual(failure.value.code, code)

    def test_cancelled(self) -> None:
        """The next Sentinel is not asked."""
        connecting = self.sentinels(None, bulk("10.0.0.9", "6379"))
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assertEqual(self.attempts, [("s0", 26379)])
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_files_that_cannot_be_used(self) -> None:
        empty = self.mktemp()
        Path(empty).touch()
        for url, words in (
            (RedisURL(tls=True, ca="/no/such"), "ca=/no/such cannot be read"),
            (RedisURL(tls=True, ca=empty), f"ca={empty} contains no certificate"),
            (RedisURL(tls=True, cert=empty), f"cert={empty} contains no certificate"),
        ):
            with self.assertRaises(ValueError) as caught:
                endpoint_of(self.clock, url)
            self.assertIn(words, str(caught.exception))

    def test_an_invalid_server_name(self) -> None:
        """It is reported at the start, also if the first connection is made to a Sentinel."""
        for url in ("rediss://h/0?server_name=a..b", "redis+sentinel://h/nova?server_name=a..b"):
            error = self.assertRaises(ValueError, endpoint_of, self.clock, parse_redis_url(url))
            self.assertIn("'a..b' is neither a DNS name nor an IP address", str(error))
