"""A topic that can have only one server: two compute hosts with the same name."""

import contextlib
import json
import os
import re
import signal
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.utils import getProcessOutput

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.interfaces import TopicInUse
from novnc_twisted.messaging.redis.link import Link
from tests.integration.redis_case import RedisTestCase
from tests.support.redis_server import RedisServer
from tests.support.twistd import Twistd

TOPIC = "compute.one"


class ExclusiveTests(RedisTestCase):
    """The second live server of a topic serves nothing, and the log names both."""

    async def host(self, redis: RedisServer, name: str) -> Any:
        """Start a compute host; return a function that stops it."""
        return await self.begin(await self.transport(redis.url), name)

    def begin(self, transport: Any, name: str, place: str = "192.0.2.1", *, returns_within: float = 0) -> Deferred[Any]:
        async def who() -> str:
            return name

        methods = {"who": who}
        serving: Deferred[Any] = transport.serve(
            TOPIC,
            methods,
            binary="nova-compute",
            host="one",
            place=place,
            exclusive=True,
            returns_within=returns_within,
        )
        return serving

    async def asked(self, caller: Any, times: int = 10) -> set[str]:
        """The names of the hosts that answer.  The deadline is long: only a lost call has no answer."""
        return {await caller.call(TOPIC, "who", deadline=60) for _ in range(times)}

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
        """A cloned machine with another address."""
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

    async def test_calls_wait_for_a_restart(self) -> None:
        """Calls wait from the orderly end of the only server until the next one serves."""
        redis = RedisServer(self)
        caller = await self.transport(redis.url)
        stop = await self.begin(await self.transport(redis.url), "first", returns_within=10)
        await stop()
        asked = [Deferred.fromCoroutine(self.asked(caller, 1)) for _ in range(3)]
        [service] = await caller.services()
        self.assertEqual((service.topic, service.worker, service.host), (TOPIC, "~", "one"))
        await self.begin(await self.transport(redis.url), "second", "192.0.2.1", returns_within=10)
        self.assertEqual([await one for one in asked], [{"second"}] * 3)
        [service] = await caller.services()
        self.assertNotEqual(service.worker, "~")

    async def test_nobody_returns(self) -> None:
        """After the promised time, calls fail at once again."""
        redis = RedisServer(self)
        caller = await self.transport(redis.url)
        stop = await self.begin(await self.transport(redis.url), "first", returns_within=0.5)
        await stop()
        while "nobody serves" not in await self.fails(caller.call(TOPIC, "who", deadline=0.2)):
            pass
        self.assertEqual(await caller.services(), [])

    async def test_no_call_is_lost_at_the_end(self) -> None:
        """The old server answers the calls that Redis sends it until its connection is closed."""
        redis = RedisServer(self)
        caller = await self.transport(redis.url)
        for _ in range(10):
            stop = await self.begin(await self.transport(redis.url), "first", returns_within=10)
            stopping, asked = stop(), []
            while not stopping.called:
                asked.append(Deferred.fromCoroutine(self.asked(caller, 1)))
                await self.pause(0)
            stop = await self.begin(await self.transport(redis.url), "second", returns_within=0)
            for one in asked:
                self.assertIn(await one, ({"first"}, {"second"}))
            await stop()

    async def test_the_next_one_waits_for_closed_queues(self) -> None:
        """While a server closes its connections, its exclusive topic has no other server, and calls wait.

        Redis could choose such a connection for a call, and lose the call if it reads the connection's end first.
        """
        redis = RedisServer(self)
        caller = await self.transport(redis.url)
        stop = await self.begin(await self.transport(redis.url), "first", returns_within=10)
        closing: Deferred[Link] = Deferred()
        finish = Link.finish
        self.patch(Link, "finish", lambda link: closing.callback(link))
        stopping = stop()
        link = await closing
        starting = self.begin(await self.transport(redis.url), "second")
        asked = Deferred.fromCoroutine(self.asked(caller, 1))
        await caller.ping(TOPIC)
        await self.pause(0.3)  # time for an attempt of the second one
        self.assertFalse(starting.called or asked.called or stopping.called)
        self.assertEqual(redis.command("EXISTS", f"novnc:q:{TOPIC}"), 0)
        finish(link)
        await stopping
        await starting
        self.assertEqual(await asked, {"second"})

    async def test_a_predecessor_that_was_killed_on_this_machine(self) -> None:
        """Its presence entry, which would last for 9 s more, is removed at once: its process has ended."""
        redis = RedisServer(self)
        caller = await self.transport(redis.url)
        child = "from novnc_twisted.messaging.redis.process_life import life; print(life())"
        name = (await getProcessOutput(sys.executable, ["-c", child], env=os.environ)).decode().strip()
        until = int(redis.command("TIME")[0]) * 1000 + 9000  # type: ignore[index]
        entry = json.dumps({"binary": "nova-compute", "host": "one", "life": name, "info": {}})
        redis.command("ZADD", f"novnc:p:{TOPIC}", str(until), "killed")
        redis.command("ZADD", f"novnc:a:{TOPIC}@192.0.2.1", str(until), f"killed {entry}")
        await self.host(redis, "next")
        self.assertEqual(await self.asked(caller), {"next"})
        self.assertIsNone(redis.command("ZSCORE", f"novnc:p:{TOPIC}", "killed"))
        self.assertEqual(self.logged.lines("Redis at"), [])

    async def test_a_host_that_was_frozen(self) -> None:
        """Another server took its name meanwhile: it stops serving, logs this, and serves again when the other ends."""
        redis = RedisServer(self)
        caller = await self.transport(redis.url)
        frozen = await self.transport(redis.url)
        await self.begin(frozen, "frozen")
        await self.asked(caller, 1)
        # Its heartbeat is missing until the other server has its name.
        beat, frozen.link.on_beat = frozen.link.on_beat, lambda: None
        await frozen.ping()  # Redis has answered the last heartbeat
        redis.command("DEL", f"novnc:p:{TOPIC}", f"novnc:a:{TOPIC}@192.0.2.1")
        stop = await self.host(redis, "second")
        frozen.link.on_beat = beat
        await self.until(lambda: self.logged.lines("has another live server of compute.one"))
        while "frozen" in await self.asked(caller, 1):
            pass
        for _ in range(3):
            self.assertEqual(await self.asked(caller), {"second"})
            await self.pause(0.5)
        self.assertEqual(len(await caller.services()), 1)
        self.assertEqual(len(self.logged.lines("has another live server of compute.one")), 1)
        await stop()
        await self.until(lambda: self.logged.lines("no longer has another server of compute.one"))
        self.assertEqual(await self.asked(caller), {"frozen"})

    async def test_redis_is_down_at_first(self) -> None:
        """Neither can be refused then; later, one of them serves, and the other logs why it does not."""
        redis = RedisServer(self, start=False)
        caller = await self.transport(redis.url)
        starting = [self.begin(await self.transport(redis.url), name) for name in ("first", "second")]
        for one in starting:
            await one
        redis.start()
        await self.until(lambda: self.logged.lines("has another live server of compute.one"))
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

    def start(self, redis: RedisServer, **options: Any) -> Twistd:
        conf = f"[DEFAULT]\ntransport_url = {redis.url}\nhost = one\n[libvirt]\nconnection_uri = test:///default\n"
        return Twistd.start(self, "consolecompute", conf, **options)

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

    async def test_a_restart(self) -> None:
        """Calls wait for the new process."""
        redis = RedisServer(self)
        caller = await self.transport(redis.url)
        first = self.start(redis)
        await first.ready()
        self.assertEqual(await first.stop(), 0)
        asked = caller.call(TOPIC, "list_instances", deadline=60)
        second = self.start(redis)
        self.assertIn("instances", await asked)
        self.assertEqual(await second.stop(), 0)

    def end(self, process: int) -> None:
        """Kill a process, given its pidfd, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, signal.SIGKILL)
        os.close(process)

    async def test_a_take_over(self) -> None:
        """Calls are answered all the time, and the new process serves the host in the end."""
        redis = RedisServer(self)
        caller = await self.transport(redis.url)
        first = self.start(redis, forked=False)
        await first.ready()
        os.kill(first.process.pid, signal.SIGUSR2)
        await first.seen("is being started")
        [pid] = map(int, re.findall(r"the new process \(pid (\d+)\) is being started", first.output))
        new = os.pidfd_open(pid)
        self.addCleanup(self.end, new)
        taken = first.seen("has taken over")
        while not taken.called:
            await caller.call(TOPIC, "list_instances", deadline=60)
        await taken
        while first.output.count("is ready (novnc_twisted") < 2:
            await caller.call(TOPIC, "list_instances", deadline=60)
        self.assertEqual(len(await caller.services(TOPIC)), 1)
        await caller.call(TOPIC, "list_instances")
        signal.pidfd_send_signal(new, signal.SIGTERM)
        await first.ended
        self.assertNotIn("Traceback", first.output)
        self.assertNotIn("another live", first.output)

    async def test_one_that_crashed(self) -> None:
        redis = RedisServer(self)
        first = self.start(redis)
        await first.ready()
        await first.stop(signal.SIGKILL)
        second = self.start(redis)
        await second.ready()
        self.assertEqual(await second.stop(), 0)
