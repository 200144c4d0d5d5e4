"""The reasons why Redis cannot be used: one log line names the reason, and one reports the end."""

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from tests.integration.redis_case import RedisTestCase
from tests.integration.test_redis_login import ESCAPED, LogInCase
from tests.support.redis_server import RedisServer


class ReasonsTests(LogInCase):
    """Each error in transport_url or redis.conf is one log line that says what to change."""

    async def reason(self, url: str) -> str:
        """The log line about this Redis, of which there is only one."""
        self.logged.clear()
        transport = await self.transport(url)
        await self.fails(transport.call("t", "note", deadline=0.5, value=1))
        await self.until(lambda: self.logged.lines("Redis at"))
        [line] = self.logged.lines("Redis at")
        await transport.stop()
        self.assert_no_password()
        return line

    async def test_password_though_redis_has_none(self) -> None:
        url = RedisServer(self).url
        self.assertIn("Redis has none: set requirepass", await self.reason(url.replace("://", f"://:{ESCAPED}@")))
        # Redis does not reveal whether the user exists.
        self.assertIn("(WRONGPASS)", await self.reason(url.replace("://", f"://nova:{ESCAPED}@")))

    async def test_a_database_that_is_not_there(self) -> None:
        redis = RedisServer(self)
        self.assertIn("no database with the number", await self.reason(redis.url.replace("/0", "/16")))

    async def test_a_replica(self) -> None:
        primary = RedisServer(self)
        replica = RedisServer(self, options=(f"replicaof 127.0.0.1 {primary.port}",))
        self.assertIn("it is a replica", await self.reason(replica.url))

    async def test_a_cluster(self) -> None:
        redis = cluster(self)
        for url in (redis.url, redis.url.replace("/0", "/1")):
            self.assertIn("it is a Redis Cluster, which is not supported", await self.reason(url))

    async def test_a_sentinel(self) -> None:
        redis = RedisServer(self, sentinel=True, options=("sentinel monitor nova 127.0.0.1 1 1",))
        self.assertIn("redis+sentinel://HOST:PORT/SERVICE", await self.reason(redis.url))

    async def test_sentinels_with_a_password(self) -> None:
        options = ("sentinel monitor nova 127.0.0.1 1 1", "requirepass hunter2")
        redis = RedisServer(self, sentinel=True, options=options)
        line = await self.reason(f"redis+sentinel://:hunter2@127.0.0.1:{redis.port}/nova")
        self.assertIn("its Sentinels require a password, which is not supported", line)

    async def test_a_redis_in_place_of_a_sentinel(self) -> None:
        redis = RedisServer(self)
        line = await self.reason(f"redis+sentinel://127.0.0.1:{redis.port}/nova")
        self.assertIn("is not a Sentinel", line)

    async def test_protected_mode(self) -> None:
        """Redis recognizes its own host by the peer's address, so the test itself sends the answer."""
        factory = Factory.forProtocol(Denies)
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.assertIn("protected mode", await self.reason(f"redis://127.0.0.1:{port.getHost().port}"))

    async def test_nothing_is_there(self) -> None:
        redis = RedisServer(self, start=False)
        self.assertIn("cannot be reached (connection refused)", await self.reason(redis.url))

    async def test_no_such_host(self) -> None:
        line = await self.reason("redis://redis.invalid:6379")
        # Without an answering name server it is unknown whether the host exists.
        self.assertRegex(
            line, r"cannot be reached \((its host's name is not found|no answer to the connection attempt, or)"
        )

    async def test_no_such_socket(self) -> None:
        line = await self.reason("redis+unix:///nowhere/redis.sock")
        self.assertIn("cannot be reached (its host or socket is not reachable: No such file or directory)", line)


class Denies(Protocol):
    """The answer of a Redis without a password to a connection from another host."""

    def connectionMade(self) -> None:
        self.transport.write(b"-DENIED Redis is running in protected mode because protected mode is enabled\r\n")
        self.transport.loseConnection()


def cluster(case: TestCase) -> RedisServer:
    """A Redis Cluster of one node; the port of its bus is 10,000 above its own."""
    while True:
        redis = RedisServer(case, options=("cluster-enabled yes",), start=False)
        if redis.port < 55_536:
            redis.start()
            return redis


class TroubleTests(RedisTestCase):
    """Redis is connected, but refuses data: one line names the reason, and one reports the end."""

    async def trouble(self, redis: RedisServer, code: str, words: str, mend: Callable[[], object]) -> None:
        transport = await self.transport(redis.url)
        await self.serve(transport)
        await self.until(lambda: self.logged.lines("refuses commands"))
        self.assertEqual(await self.fails(transport.store.put("key", {}, 60)), f"Redis answered {code}")
        [line] = self.logged.lines("Redis at")
        self.assertIn(words, line)
        mend()
        await self.until(lambda: self.logged.lines("accepts commands again"))
        await transport.store.put("key", {}, 60)
        self.assertEqual(len(self.logged.lines("Redis at")), 2)

    async def test_memory_is_full(self) -> None:
        redis = RedisServer(self, options=("maxmemory 1",))
        await self.trouble(redis, "OOM", "raise maxmemory", lambda: redis.command("CONFIG", "SET", "maxmemory", "0"))

    async def test_too_few_replicas(self) -> None:
        redis = RedisServer(self, options=("min-replicas-to-write 1",))

        def mend() -> None:
            redis.command("CONFIG", "SET", "min-replicas-to-write", "0")

        await self.trouble(redis, "NOREPLICAS", "too few of its replicas", mend)

    async def test_background_saving_fails(self) -> None:
        """As with a full disk: Redis refuses changes until it can save."""
        redis = RedisServer(self, options=("save 3600 1", "dbfilename folder"))
        (redis.folder / "folder").mkdir()
        redis.command("SET", "x", "1")
        redis.command("BGSAVE")
        await self.until(lambda: b"rdb_last_bgsave_status:err" in redis.command("INFO", "persistence"))  # type: ignore

        def mend() -> None:
            redis.command("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")

        await self.trouble(redis, "MISCONF", "full disk", mend)


class EvictionTests(RedisTestCase):
    """A Redis that evicts data when its memory is full must not store tokens."""

    async def test_other_policies(self) -> None:
        for policy in ("allkeys-lru", "volatile-ttl"):
            self.logged.clear()
            redis = RedisServer(self, options=(f"maxmemory-policy {policy}",))
            for role, lines in (("consoleauth", 1), ("", 2), ("proxy", 2), ("api", 2), ("compute", 2)):
                await self.transport(redis.url, role)
                self.assertEqual(len(self.logged.lines(f"has maxmemory-policy {policy}: ")), lines, role)
            redis.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await self.until(lambda: len(self.logged.lines("is back")) == 5)
            self.assertEqual(len(self.logged.lines("has maxmemory-policy")), 2)

    async def test_noeviction(self) -> None:
        redis = RedisServer(self)
        await self.transport(redis.url, "consoleauth")
        self.assertEqual(self.logged.lines("Redis at"), [])

    async def test_a_user_who_may_not_ask(self) -> None:
        """INFO is tried once, not with each connection, because Redis logs each attempt."""
        redis = RedisServer(self, options=("maxmemory-policy allkeys-lru",))
        redis.command("ACL", "SETUSER", "poor", "on", ">secret", "~novnc:*", "+@all", "-info")
        await self.transport(redis.url.replace("://", "://poor:secret@"), "consoleauth")
        redis.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await self.until(lambda: self.logged.lines("is back"))
        denied: Any = redis.command("ACL", "LOG")
        self.assertEqual([entry[entry.index(b"count") + 1] for entry in denied], [1])


class FullTests(RedisTestCase):
    """``maxclients``: it is reported whichever of a process's connections is refused."""

    async def test_no_connection_is_left(self) -> None:
        redis = RedisServer(self, options=("maxclients 1",))
        holder = socket.create_connection(("127.0.0.1", redis.port))
        self.addCleanup(holder.close)
        transport = await self.transport(redis.url)
        await self.until(lambda: self.logged.lines("raise maxclients"))
        await self.fails(transport.call("t", "note", deadline=0.2, value=1))
        holder.close()
        await self.until(lambda: self.logged.lines("is back"))

    async def test_the_second_and_third_are_refused(self) -> None:
        for limit in (1, 2):
            self.logged.clear()
            redis = RedisServer(self, options=(f"maxclients {limit}",))
            server = await self.transport(redis.url)
            await self.serve(server)
            await self.until(lambda: self.logged.lines("raise maxclients"))
            await self.fails(server.call("t", "note", deadline=0.5, value=1))
            self.assertEqual(len(self.logged.lines("raise maxclients")), 1, limit)
            self.assertEqual(len(self.logged.lines("Redis at")), 1, limit)
            await server.stop()
