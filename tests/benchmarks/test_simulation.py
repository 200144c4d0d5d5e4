"""A small ``make simulate``: costs that must not depend on the number of hosts, and the commands of idle hosts."""

import dataclasses
import resource
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from benchmarks.cloud_hosts import MemoryDriver, address, domain
from benchmarks.simulation.__main__ import simulate
from benchmarks.simulation.host_commands import HostCommands, publication, words
from benchmarks.simulation.plan import TINY, sized
from benchmarks.simulation.report import text
from benchmarks.simulation.run import OURS, Run
from novnc_twisted.compute import ComputeManager
from novnc_twisted.compute.publisher import RENEWAL
from novnc_twisted.messaging.hedged import MAX_CALLS
from novnc_twisted.messaging.redis import transport as module
from novnc_twisted.messaging.redis.exclusive_topics import origin
from novnc_twisted.messaging.redis.scripts import ANNOUNCE, EXTEND, PUT, WITHDRAW, Script
from novnc_twisted.messaging.redis.transport import RedisTransport
from novnc_twisted.messaging.redis_url import RedisURL
from tests.support.fake_redis import FakeRedis, bulk


class SimulationTests(TestCase):
    timeout = 240

    async def test_costs(self) -> None:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        lines: list[str] = []
        record: dict[str, Any] = await deferToThread(simulate, TINY, lines.append)
        hosts, sessions, failover = (record["result"][name] for name in ("hosts", "sessions", "failover"))
        self.assertEqual(list(hosts), ["20", "50"])
        for count, step in hosts.items():
            self.assertEqual(step["idle"]["announced"], int(count))
            for operation in ("link", "check", "lease", "unknown", "list"):
                self.assertEqual(step[operation]["failed"], 0, operation)
            for operation, calls in (("link", 3), ("check", 2), ("lease", 1), ("list", 0)):
                self.check_calls(step[operation], calls)
        ((_, workers),) = TINY.sessions
        step = sessions["200"]
        self.assertEqual([step[name]["failed"] for name in ("show", "page", "revoke", "check with limits")], [0] * 4)
        for operation, calls in (("show", workers), ("page", workers), ("check with limits", 2 + workers)):
            self.check_calls(step[operation], calls)
        self.assertGreater(failover["back_s"], 0)
        self.assertGreater(failover["first_link_s"], 0)
        self.assertEqual(failover["link_failed"], 0)
        report = text(record)
        for section in ("Idle", "By the number of compute hosts", "Failover", "Extrapolated"):
            self.assertIn(f"\n## {section}\n", report)

    def check_calls(self, operation: dict[str, float], calls: int) -> None:
        """Check the number of calls; on a busy machine, calls that get no answer are repeated."""
        self.assertGreaterEqual(operation["calls"], calls)
        self.assertLessEqual(operation["calls"], calls * MAX_CALLS)


class _Memory:
    """A system whose Redis stores 3 KiB for two links, while the buffers of its connections grow by 1 MiB."""

    def __init__(self) -> None:
        self.links = 0

    def info(self, _section: str) -> dict[str, str]:
        buffers = self.links << 19
        return {"used_memory": f"{5000 + 1536 * self.links + buffers}", "mem_clients_normal": f"{buffers}"}

    def commands(self) -> dict[str, tuple[int, int]]:
        return {}

    def received(self) -> dict[str, int]:
        return {}

    def cpu(self) -> dict[str, float]:
        return dict.fromkeys(OURS, 0.0)

    def ask(self, _command: str, *, count: int, **_more: Any) -> dict[str, float]:
        self.links += count
        return {"count": count, "failed": 0, "seconds": 1.0, "p50_ms": 1.0, "p99_ms": 1.0}


class MemoryTests(SynchronousTestCase):
    def test_without_buffers(self) -> None:
        system: Any = _Memory()
        run = Run(dataclasses.replace(TINY, count=2), system, lambda _line: None)
        run.generator = system
        self.assertEqual(run._measure("link")["redis_kib"], 1.5)


class PlanTests(SynchronousTestCase):
    def test_smaller(self) -> None:
        plan = sized(2_000, 20_000)
        self.assertEqual(plan.hosts, (100, 1_000, 2_000))
        self.assertEqual(plan.sessions, ((1_000, 4), (10_000, 20), (20_000, 40)))


class SameCommandsTests(SynchronousTestCase):
    """A simulated idle host sends the commands of a real one, except for the names of worker and process."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.redis = FakeRedis(self.clock)
        self.patch(module, "endpoint_of", lambda _reactor, _address: self.redis)
        self.transport = RedisTransport(self.clock, RedisURL(), "compute")
        driver = MemoryDriver(self.clock, [domain(7, number, 3) for number in range(3)])
        manager = ComputeManager(
            self.transport, driver, host="host7", server_proxyclient_address=address(7), server_listen="0.0.0.0"
        )
        self.redis.answers["GET"] = b"$-1\r\n"
        self.redis.answers["EVALSHA"] = lambda heard: bulk() if heard[1] == WITHDRAW.sha else b":1\r\n"
        self.transport.start()
        self.starting = manager.start()

    def tearDown(self) -> None:
        stopping = self.transport.stop()
        for _ in range(60):
            self.clock.advance(0.05)
        self.successResultOf(stopping)

    def advance(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)

    def scripts(self, script: Script) -> list[list[str]]:
        return [heard for heard in self.redis.named("EVALSHA") if heard[1] == script.sha and len(heard) > 3]

    def test_publication(self) -> None:
        self.advance(2)
        self.assertEqual(publication(7, 3)[:-1], [words(*heard) for heard in self.scripts(PUT)])

    def test_presence(self) -> None:
        self.advance(25)
        announced = self.scripts(ANNOUNCE)[-1]
        commands = HostCommands(7, announced[11], origin(""))
        self.assertEqual(commands.announce, words(*announced))
        plain = [heard for heard in self.redis.named("SADD", "ZADD") if "compute" in heard[1] and "g:" not in heard[1]]
        self.assertEqual(commands.renewal(int(plain[-1][4])), b"".join(words(*heard) for heard in plain[-3:]))

    def test_queues(self) -> None:
        self.advance(1)
        waits = [heard for heard in self.redis.named("BLPOP") if "novnc:r:" not in heard[1]][-1]
        self.assertEqual(set(waits[1:-1]), set(HostCommands(7, "w", "").lists))

    def test_renewal_of_the_record(self) -> None:
        self.advance(RENEWAL + 3)
        renewed = [self.redis.named("SADD"), self.scripts(EXTEND)]
        joins = [heard for heard in renewed[0] if heard[1] == "novnc:g:compute-hosts"]
        self.assertEqual(HostCommands(7, "w", "").renew, words(*joins[-1]) + words(*renewed[1][-1]))
