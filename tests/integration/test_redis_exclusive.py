"""A topic that can have only one server: two compute hosts with the same name."""

import json
import signal
from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.interfaces import TopicInUse
from tests.integration.redis_case import RedisTestCase
from tests.support.redis_server import RedisServer
from tests.support.twistd import Twistd

TOPIC = "compute.one"


class ExclusiveTests(RedisTestCase):
    """The second live server of a topic serves nothing, and the log names both."""

    async def host(self, redis: RedisServer, name: str) -> Any:
        """Start a compute host; return a function that stops it."""
        return await self.begin(await self.transport(redis.url), name)

    def begin(self, transport: Any, name: str, place: str = "192.0.2.1") -> Deferred[Any]:
        async def who() -> str:
            return name

        methods = {"who": who}
        serving: Deferred[Any] = transport.serve(
            TOPIC, methods, binary="nova-compute", host="one", place=place, exclusive=True
        )
        return serving

    async def asked(self, caller: Any, times: int = 10) -> set[str]:
        """The host that answers."""
        return {await caller.call(TOPIC, "who") for _ in range(times)}

    async def test_the_second_does_not_start(self) -> None:
        redis = RedisServer(self)
        caller = await self.transport(redis.url)
        await self.host(redis, "first")
        with self.assertRaises(TopicInUse) as caught:
            await self.host(redis, "second")
        line = str(caught.exception)
        # Both are processes of this machine.
        self.assertEqual(line.count("127.0.0.1, process "), 2, line)
        self.assertIn("host one belongs to", line)
        self.assertIn("set [DEFAULT] host", line)
        self.assertNotIn("\n", line)
        self.assertEqual(await self.asked(caller), {"first"})
        self.assertEqual(len(await caller.services()), 1)

    async def test_at_another_address(self) -> None:
        """A cloned image with another address."""
        redis = RedisServer(self)
        await self.host(redis, "first")
        with self.assertRaises(TopicInUse) as caught:
            await self.begin(await self.transport(redis.url), "second", "192.0.2.2")
        self.assertEqual(str(caught.exception).count("127.0.0.1, process "), 2)

    async def test_one_after_another(self) -> None:
        """An orderly end frees the name at once."""
        redis = RedisServer(self)
        caller = await self.transport(redis.url)
        for name in ("first", "second"):
            stop = await self.host(redis, name)
            self.assertEqual(await self.asked(caller), {name})
            await stop()

    async def test_a_predecessor_that_crashed(self) -> None:
        """Its presence entry lasts for 3 s: the next server waits until then."""
        redis = RedisServer(self)
        caller = await self.transport(redis.url)
        until = int(redis.command("TIME")[0]) * 1000 + 3000  # type: ignore[index]
        entry = json.dumps({"binary": "nova-compute", "host": "one", "info": {}})
        redis.command("ZADD", f"novnc:p:{TOPIC}", str(until), "crashed")
        redis.command("ZADD", f"novnc:a:{TOPIC}@192.0.2.1", str(until), f"crashed {entry}")
        await self.host(redis, "next")
        self.assertEqual(await self.asked(caller), {"next"})
        self.assertEqual(self.logged.lines("Redis at"), [])

    async def test_a_host_that_was_frozen(self) -> None:
        """Another server took its name meanwhile: it stops serving, reports it, and serves again when that one ends."""
        redis = RedisServer(self)
        caller = await self.transport(redis.url)
        await self.host(redis, "frozen")
        await self.asked(caller, 1)
        # As if its heartbeat had been missing for a while.
        redis.command("DEL", f"novnc:p:{TOPIC}", f"novnc:a:{TOPIC}@192.0.2.1")
        stop = await self.host(redis, "second")
        await self.until(lambda: self.logged.lines("has another live compute.one"))
        while "frozen" in await self.asked(caller, 1):
            pass
        for _ in range(3):
            self.assertEqual(await self.asked(caller), {"second"})
            await self.pause(0.5)
        self.assertEqual(len(await caller.services()), 1)
        self.assertEqual(len(self.logged.lines("has another live compute.one")), 1)
        await stop()
        await self.until(lambda: self.logged.lines("has no other compute.one any more"))
        self.assertEqual(await self.asked(caller), {"frozen"})

    async def test_redis_is_down_at_first(self) -> None:
        """Neither can be refused then; later one of them serves, and the other one reports why it does not."""
        redis = RedisServer(self, start=False)
        caller = await self.transport(redis.url)
        starting = [self.begin(await self.transport(redis.url), name) for name in ("first", "second")]
        for one in starting:
            await one
        redis.start()
        await self.until(lambda: self.logged.lines("has another live compute.one"))
        names: set[str] = set()
        while not names:
            try:
                names = await self.asked(caller)
            except ServiceUnavailable:
                await self.pause(0.05)
        self.assertEqual(len(names), 1)
        for _ in range(3):
            self.assertEqual(await self.asked(caller), names)
            await self.pause(0.5)

    async def test_workers_of_other_topics(self) -> None:
        """Workers share a topic that is not exclusive."""
        redis = RedisServer(self)
        caller = await self.transport(redis.url)
        for _ in range(2):
            await self.serve(await self.transport(redis.url))
        self.assertEqual(len(await caller.services("t")), 2)
        self.assertEqual(self.logged.lines("has another"), [])


class CommandTests(RedisTestCase):
    """``twistd consolecompute``, twice."""

    timeout = 300

    def start(self, redis: RedisServer) -> Twistd:
        conf = f"[DEFAULT]\ntransport_url = {redis.url}\nhost = one\n[libvirt]\nconnection_uri = test:///default\n"
        return Twistd.start(self, "consolecompute", conf)

    async def test_a_live_one(self) -> None:
        redis = RedisServer(self)
        caller = await self.transport(redis.url)
        first = self.start(redis)
        await first.ready()
        second = self.start(redis)
        pids = first.process.pid, second.process.pid
        self.assertEqual(await second.ended, 1, second.output)
        self.assertNotIn("is ready", second.output)
        [line] = [line for line in second.output.splitlines() if "could not start" in line]
        for pid in pids:
            self.assertIn(f"process {pid}", line)
        self.assertIn("consolecompute could not start: [DEFAULT] host: ", line)
        self.assertNotIn("Traceback", second.output)
        self.assertEqual([one.topic for one in await caller.services()], [TOPIC])
        await caller.call(TOPIC, "list_instances")

    async def test_one_that_crashed(self) -> None:
        redis = RedisServer(self)
        first = self.start(redis)
        await first.ready()
        await first.stop(signal.SIGKILL)
        second = self.start(redis)
        await second.ready()
        self.assertEqual(await second.stop(), 0)
