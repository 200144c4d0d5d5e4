"""Redis is killed, restarted, frozen or not started yet: our services need no restart."""

import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol

from novnc_twisted.messaging.redis.heartbeat import FROZEN, GRACE_PERIOD, Heartbeat
from tests.integration.redis_case import RedisTestCase
from tests.support.redis_server import RedisServer

WORKER = """
import sys
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from novnc_twisted.messaging import transport_from_url

ran = []

async def note(value):
    ran.append(value)
    return list(ran)

async def main():
    transport = transport_from_url(reactor, sys.argv[1])
    await transport.start()
    await transport.serve("t", {"note": note}, binary="nova-consoleauth", host="worker")

reactor.callWhenRunning(lambda: Deferred.fromCoroutine(main()))
reactor.run()
"""


class Relays(Factory):
    """Relays connections to Redis; after :meth:`drop`, those that exist lose all further data."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._relays: list[Relay] = []

    def buildProtocol(self, addr: object) -> "Relay":
        self._relays.append(Relay(self._port))
        return self._relays[-1]

    def drop(self) -> None:
        for relay in self._relays:
            relay.drops = True

    def close(self) -> None:
        for relay in self._relays:
            relay.close()


class Relay(Protocol):
    """A relayed connection."""

    drops = False

    def __init__(self, port: int) -> None:
        self._port = port
        self._other = Protocol()
        self._early = b""

    def connectionMade(self) -> None:
        self._other.dataReceived = lambda data: self.drops or self.transport.write(data)  # type: ignore
        self._other.connectionMade = lambda: self._other.transport.write(self._early)  # type: ignore
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self._port)
        connectProtocol(endpoint, self._other)

    def dataReceived(self, data: bytes) -> None:
        if self.drops:
            return
        if self._other.transport is None:
            self._early += data
        else:
            self._other.transport.write(data)

    def connectionLost(self, reason: object) -> None:
        self.close()

    def close(self) -> None:
        for end in (self, self._other):
            if end.transport is not None:
                end.transport.abortConnection()


class RecoveryTests(RedisTestCase):
    async def test_killed_and_restarted(self) -> None:
        redis = RedisServer(self)
        caller, _ = await self.pair(redis)
        await caller.call("t", "note", value=1)
        for round_ in range(2):
            redis.kill()
            await self.fails(caller.call("t", "note", deadline=0.5, value="lost"))
            for called in [caller.call("t", "note", deadline=0.5, value="lost") for _ in range(50)]:
                await self.fails(called)
            redis.start()
            await self.until_answered(caller, f"round {round_}")
            self.assertEqual([one.topic for one in await caller.services()], ["t"])
        self.assertNotIn("lost", self.ran)
        # One transport calls, the other one serves.
        self.assert_quiet(lost=4, back=4)

    async def forgotten(self, grace: float = GRACE_PERIOD) -> tuple[Any, Callable[[], None]]:
        """Restart Redis; return a caller, and a function that brings its server back.

        :param grace: seconds for which calls wait for the server.
        """
        begin = Heartbeat.begin_grace_period
        self.patch(Heartbeat, "begin_grace_period", lambda heartbeat, seconds=grace: begin(heartbeat, seconds))
        redis = RedisServer(self)
        caller, server = await self.pair(redis)
        presence = server._presence
        announced, presence._announced = presence._announced, {}
        redis.kill()
        await self.until(lambda: len(self.logged.lines("cannot be reached")) == 2)
        redis.start()
        await self.until(lambda: len(self.logged.lines("is back")) == 2)

        def back() -> None:
            presence._announced = announced
            presence.renew()

        return caller, back

    async def test_calls_wait_until_servers_are_back(self) -> None:
        """After Redis lost its data, the first call waits for the server instead of failing."""
        caller, back = await self.forgotten(grace=60.0)
        called = caller.call("t", "note", deadline=60, value="waited")
        await self.pause(0.3)
        back()
        self.assertEqual(await called, "waited")

    async def test_calls_do_not_wait_longer(self) -> None:
        caller, _ = await self.forgotten()
        self.assertEqual(await self.fails(caller.call("t", "note", deadline=60, value=1)), "nobody serves t")

    async def test_services_wait_until_servers_are_back(self) -> None:
        caller, back = await self.forgotten()
        called = caller.services()
        await self.pause(0.3)
        back()
        self.assertEqual([one.topic for one in await called], ["t"])

    async def test_connections_that_vanish(self) -> None:
        """A firewall drops them, or the other machine loses its power: no data arrives, and no end either."""
        redis = RedisServer(self)
        relays = Relays(redis.port)
        port = reactor.listenTCP(0, relays, interface="127.0.0.1")
        self.addCleanup(relays.close)
        self.addCleanup(port.stopListening)
        caller = await self.transport(f"redis://127.0.0.1:{port.getHost().port}")
        await self.serve(caller)
        await self.until_answered(caller, 1)
        for value in (2, 3):
            relays.drop()
            await self.until_answered(caller, value)
        self.assert_quiet(lost=2, back=2)

    async def test_long_outage_fails_at_once(self) -> None:
        redis = RedisServer(self)
        caller, _ = await self.pair(redis)
        redis.kill()
        await self.until(lambda: len(self.logged.lines("cannot be reached")) == 2)
        # The first one fails after the grace period of an outage, long before its own deadline.
        self.assertIn("cannot be reached", await self.fails(caller.call("t", "note", deadline=60, value=1)))
        self.assertIn("cannot be reached", await self.fails(caller.call("t", "note", deadline=60, value=1)))
        self.assertIn("cannot be reached", await self.fails(caller.store.get("key")))
        self.assertIn("cannot be reached", await self.fails(caller.services()))

    async def test_commands_keep_their_own_deadline(self) -> None:
        """A command's deadline ends before a frozen connection is detected."""
        redis = RedisServer(self)
        caller, _ = await self.pair(redis)
        redis.freeze()
        self.addCleanup(redis.thaw)
        detail = await self.fails(Deferred.fromCoroutine(caller.link.execute("GET", "x", deadline=0.2)))
        self.assertEqual(detail, "Redis did not answer within 0.2 s")

    async def test_down_at_start(self) -> None:
        redis = RedisServer(self, start=False)
        caller, _ = await self.pair(redis)
        await self.fails(caller.call("t", "note", deadline=0.5, value=1))
        redis.start()
        await self.until_answered(caller, 2)
        self.assertEqual(set(self.ran), {2})
        self.assert_quiet(lost=2, back=2)

    async def test_frozen_for_a_moment(self) -> None:
        """Redis hangs for long enough to miss heartbeats, but connections are not closed yet."""
        redis = RedisServer(self)
        caller, _ = await self.pair(redis)
        redis.freeze()
        self.addCleanup(redis.thaw)
        await self.fails(caller.call("t", "note", deadline=0.3, value="late"))
        await self.pause(FROZEN / 2)
        redis.thaw()
        await self.until_answered(caller, "thawed")
        # Redis answers in order: the earlier commands have run by now.
        self.assertEqual(set(self.ran), {"thawed"})

    async def test_frozen_for_long(self) -> None:
        """When Redis continues, it runs the commands that it received; calls that timed out must not run then."""
        redis = RedisServer(self)
        caller, _ = await self.pair(redis)
        redis.freeze()
        self.addCleanup(redis.thaw)
        called = [caller.call("t", "note", deadline=1.5, value="late") for _ in range(20)]
        for call in called:
            await self.fails(call)
        await self.until(lambda: len(self.logged.lines("cannot be reached")) == 2)
        await self.fails(caller.call("t", "note", deadline=0.5, value="late"))
        redis.thaw()
        await self.until_answered(caller, "thawed")
        await self.until_answered(caller, "again")
        self.assertEqual(set(self.ran), {"thawed", "again"})
        self.assert_quiet(lost=2, back=2)
        # The frozen connections are closed: none of them takes requests that would be lost.
        clients = redis.command("CLIENT", "LIST")
        self.assertIsInstance(clients, bytes)
        await self.until(lambda: redis.command("CLIENT", "LIST").count(b"\n") <= 6)

    async def test_frozen_at_start(self) -> None:
        redis = RedisServer(self)
        redis.freeze()
        self.addCleanup(redis.thaw)
        caller, _ = await self.pair(redis)
        await self.fails(caller.call("t", "note", deadline=0.5, value=1))
        redis.thaw()
        await self.until_answered(caller, 2)

    async def test_connections_killed(self) -> None:
        """A firewall or an administrator ends idle connections, including those with a blocking command."""
        redis = RedisServer(self)
        caller, _ = await self.pair(redis)
        for value in range(5):
            redis.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await self.until_answered(caller, value)
        self.assertEqual(self.flushLoggedErrors(), [])
        # Five losses are logged for each of the two transports, no more.
        for value in range(3):
            redis.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await self.until_answered(caller, value)
        self.assertEqual(len(self.logged.lines("cannot be reached")), 10)
        self.assertEqual(len(self.logged.lines("is back")), 10)

    async def test_connection_lost_while_logging_in(self) -> None:
        """txredisapi's own factory would never retry here."""

        class HangUp(Protocol):
            def dataReceived(self, data: bytes) -> None:
                self.transport.abortConnection()

        redis = RedisServer(self, start=False, options=("requirepass hunter2",))
        factory = Factory.forProtocol(HangUp)
        port = reactor.listenTCP(redis.port, factory, interface="127.0.0.1")
        url = redis.url.replace("://", "://:hunter2@")
        caller = await self.transport(url)
        await self.serve(caller)
        await self.fails(caller.call("t", "note", deadline=0.5, value=1))
        await port.stopListening()
        redis.start()
        await self.until_answered(caller, 2)
        self.assert_quiet(lost=1, back=1)
        self.assertEqual(self.logged.lines("hunter2"), [])

    async def test_no_redis_at_all(self) -> None:
        """A server that does not speak Redis's protocol causes no traceback."""

        class Other(Protocol):
            def connectionMade(self) -> None:
                self.transport.write(b"SSH-2.0-OpenSSH_9.2p1\r\n" * 10)

        port = reactor.listenTCP(0, Factory.forProtocol(Other), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        caller = await self.transport(f"redis://127.0.0.1:{port.getHost().port}")
        await self.fails(caller.call("t", "note", deadline=0.5, value=1))
        self.assert_quiet(lost=1, back=0)

    async def test_stop_while_down_or_frozen(self) -> None:
        redis = RedisServer(self)
        first, second = await self.pair(redis)
        redis.freeze()
        self.addCleanup(redis.thaw)
        called = first.call("t", "note", deadline=60, value=1)
        stopped = first.stop()
        await self.fails(called)
        await stopped
        redis.thaw()
        redis.kill()
        called = second.call("t", "note", deadline=60, value=1)
        stopped = second.stop()
        await self.fails(called)
        await stopped

    async def test_frozen_server(self) -> None:
        """A server that hangs: calls fail, later at once; when it continues, it does not run calls that timed out."""
        redis = RedisServer(self)
        caller = await self.transport(redis.url)
        worker = subprocess.Popen([sys.executable, "-c", WORKER, redis.url])
        self.addCleanup(worker.wait)
        self.addCleanup(worker.kill)
        await self.until_served(caller)
        self.assertEqual(await caller.call("t", "note", value=1), [1])
        worker.send_signal(signal.SIGSTOP)
        details = set()
        while "nobody serves t" not in details:
            details.add(await self.fails(caller.call("t", "note", deadline=0.5, value="late")))
        self.assertEqual(details, {"nobody serves t", "t did not answer within 0.5 s"})
        self.assertEqual(await caller.services(), [])
        worker.send_signal(signal.SIGCONT)
        await self.until_served(caller)
        self.assertEqual(await caller.call("t", "note", value=2), [1, 2])
        worker.kill()
        worker.wait()
        while True:
            if await self.fails(caller.call("t", "note", deadline=0.5, value=3)) == "nobody serves t":
                break
        await self.until(
            lambda: all(key.split(b":")[1] in (b"a", b"p", b"services") for key in redis.command("KEYS", "*"))
        )
        self.assertEqual(redis.lasting(), [])

    async def until_served(self, caller: object) -> None:
        while not await caller.services():  # type: ignore[attr-defined]
            await self.pause(0.05)
