"""One run: the system grows in steps, and is measured after each; at the end, Redis fails."""

import signal
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from benchmarks.simulation.plan import Plan
from benchmarks.simulation.system import MAX_CLIENTS, Meter, System, Usage

Values = dict[str, float]

OURS = ("redis", "consoleauth", "consoleapi", "real_hosts", "workers")
"""The processes whose CPU is reported; the others are the load."""

_IDLE = 6.0
_SETTLE = 60.0


class Run:
    """The run of a plan.

    :ivar result: what was measured, as JSON.
    """

    def __init__(self, plan: Plan, system: System, say: Callable[[str], None]) -> None:
        self._plan, self._system, self._say = plan, system, say
        self._first = 10 * max(plan.hosts)  # the real hosts have numbers that no idle host has
        self._hosts = 0
        self._idle = Usage(1.0, {}, {}, {})
        self.result: dict[str, Any] = {"hosts": {}, "sessions": {}, "failover": {}}

    def go(self) -> None:
        """Start and measure everything."""
        plan, system = self._plan, self._system
        system.start_redis()
        system.start_services()
        empty = self._memory()
        self.real = system.child("real_hosts", system.redis_port, self._first, plan.real, plan.domains)
        self.real.ask("begin")
        workers = max(number for _, number in plan.sessions)
        budget = MAX_CLIENTS - 3 * (plan.real + workers) - 100
        self.idle = system.child("idle_hosts", system.redis_port, plan.domains, budget)
        self.workers = system.child("workers", system.redis_port, plan.domains)
        self.generator = system.child(
            "generator", system.redis_port, system.api_port, self._first, plan.real, plan.domains
        )
        self.generator.ask("start")
        for hosts in plan.hosts:
            self._at_hosts(hosts, empty)
        for sessions, number in plan.sessions:
            self.result["sessions"][str(sessions)] = self._at_sessions(sessions, number)
        self.result["failover"] = self._failover()

    # --- by the number of hosts

    def _at_hosts(self, wanted: int, empty: int) -> None:
        plan = self._plan
        began = time.perf_counter()
        grown = self.idle.ask("grow", hosts=wanted - plan.real)
        hosts = self._hosts = grown["hosts"] + plan.real
        self._until_served()
        self._say(f"{hosts:,} compute hosts after {time.perf_counter() - began:.0f} s")
        idle = self._measure_idle(hosts)
        idle["connections"] = int(self._system.info("clients")["connected_clients"])
        idle["redis_kib"] = (self._memory() - empty) / 1024 / hosts
        idle["announced"] = grown["announced"] + plan.real
        for name in ("consoleauth", "consoleapi"):
            idle[f"{name}_mib"] = self._system.rss(name) / 2**20
        found = {"idle": idle}
        for work in ("link", "check", "lease"):
            found[work] = self._measure(work, rate=True)
        for work in ("unknown", "list"):
            found[work] = self._measure(work)
        self.result["hosts"][str(hosts)] = found

    def _measure_idle(self, hosts: int) -> Values:
        with Meter(self._system).run() as meter:
            time.sleep(_IDLE if self._plan.seconds else 0.5)
        usage = self._idle = meter.usage
        return {
            "redis_cpu": usage.cpu["redis"] / usage.seconds,
            "redis_cpu_us": 1e6 * usage.cpu["redis"] / usage.seconds / hosts,
            "commands": usage.total / usage.seconds / hosts,
            "bytes": sum(usage.network.values()) / usage.seconds / hosts,
            "host_cpu_ms": 1e3 * usage.cpu["real_hosts"] / usage.seconds / self._plan.real,
            "consoleauth_cpu": usage.cpu["consoleauth"] / usage.seconds,
            "consoleapi_cpu": usage.cpu["consoleapi"] / usage.seconds,
        }

    def _until_served(self) -> None:
        """Wait until a link is made, which shows that the services have read what the hosts published.

        After :data:`_SETTLE` seconds, continue without one.

        :raises LoadFailed: the generator has ended.
        """
        give_up = time.monotonic() + _SETTLE
        while self.generator.ask("repeat", work="link", count=1)["failed"] and time.monotonic() < give_up:
            time.sleep(0.2)

    def _measure(self, work: str, *, rate: bool = False) -> Values:
        """Repeat an operation; return the cost of one, without what the idle system uses.

        :param rate: repeat it as fast as possible for ``plan.seconds``, instead of one after the other.
        """
        plan = self._plan
        # The sessions of a worker renew their leases together, once a second.
        at_once = plan.leases if work == "lease" else plan.at_once
        how = {"seconds": plan.seconds, "at_once": at_once} if rate and plan.seconds else {"count": plan.count}
        memory = self._stored()
        with Meter(self._system).run() as meter:
            done = self.generator.ask("repeat", work=work, **how)
        usage, count = meter.usage, max(1, done["count"] - done["failed"])
        found = {
            "calls": usage.calls / count,
            "commands": max(0.0, usage.total - self._idle.total * usage.seconds / self._idle.seconds) / count,
            "failed": done["failed"],
            "redis_kib": max(0, self._stored() - memory) / 1024 / count,
            "per_s": (done["count"] - done["failed"]) / done["seconds"],
            "p50_ms": done["p50_ms"],
            "p99_ms": done["p99_ms"],
        }
        for name in OURS:
            idle = self._idle.cpu.get(name, 0.0) / self._idle.seconds * usage.seconds
            found[f"{name}_ms"] = 1e3 * max(0.0, usage.cpu[name] - idle) / count
        self._say(f"  {work}: {found['per_s']:.0f}/s, {found['calls']:.1f} calls, {done['failed']} failed")
        return found

    def _memory(self) -> int:
        return int(self._system.info("memory")["used_memory"])

    def _stored(self) -> int:
        """Return the memory of Redis without the buffers of connections.

        Redis frees a buffer only seconds after its last use.  The buffers of 1,000 hosts take 20 MB, or nothing.
        """
        memory = self._system.info("memory")
        return int(memory["used_memory"]) - int(memory["mem_clients_normal"])

    # --- by the number of sessions

    def _at_sessions(self, sessions: int, workers: int) -> dict[str, Values]:
        grown = self.workers.ask("grow", workers=workers, sessions=sessions, hosts=self._hosts)
        self.generator.ask("use", session=grown["session"])
        self._say(f"{sessions:,} sessions on {workers} workers")
        self._measure_idle(self._hosts)
        found: dict[str, Values] = {"workers": {"number": workers}}
        for work in ("show", "page", "revoke"):
            found[work] = self._measure(work)
        self._limits(on=True)
        found["check with limits"] = self._measure("check", rate=True)
        self._limits(on=False)
        return found

    def _limits(self, *, on: bool) -> None:
        """Turn the limits of sessions over all proxies on or off, by a reload of consoleauth."""
        self._system.configure(limits=on)
        self._system.signal("consoleauth", signal.SIGHUP)
        time.sleep(0.5)

    # --- a failover

    def _failover(self) -> Values:
        """Kill Redis, start it again with its data, and measure until all hosts are announced and a link is made.

        After :data:`_SETTLE` seconds, report what is missing as 0.
        """
        system, plan = self._system, self._plan
        hosts = self._hosts - plan.real
        self._say(f"Redis fails for {plan.outage:g} s")
        system.kill_redis()
        time.sleep(plan.outage)
        system.start_redis()
        began, before = time.perf_counter(), system.cpu()
        first_link = back_at = 0.0
        while time.perf_counter() < began + _SETTLE and not (first_link and back_at):
            if not first_link and not self.generator.ask("repeat", work="link", count=1)["failed"]:
                first_link = time.perf_counter() - began
            back = self.idle.ask("report")
            if back["announced"] == hosts and not back_at:
                back_at = time.perf_counter() - began
            time.sleep(0.02)
        seconds = time.perf_counter() - began
        cpu = system.cpu()
        found = {
            "back_s": back_at,
            "first_link_s": first_link,
            "redis_cpu": (cpu["redis"] - before["redis"]) / seconds,
            "consoleauth_cpu": (cpu["consoleauth"] - before["consoleauth"]) / seconds,
            "consoleapi_cpu": (cpu["consoleapi"] - before["consoleapi"]) / seconds,
            "connections": int(system.info("stats")["total_connections_received"]),
            "peak": self._peak(),
        }
        found |= {f"link_{name}": value for name, value in self._measure("link", rate=True).items()}
        self._say(f"  all hosts back after {back_at:.1f} s, the first link after {first_link:.1f} s")
        return found

    def _peak(self, slots: int = 30, seconds: float = 0.1) -> float:
        """Return the number of Redis commands in the busiest tenth of a second, relative to the average."""
        counts = [int(self._system.info("stats")["total_commands_processed"])]
        for _ in range(slots if self._plan.seconds else 3):
            time.sleep(seconds)
            counts.append(int(self._system.info("stats")["total_commands_processed"]))
        each = [after - before for before, after in pairwise(counts)]
        return max(each) * len(each) / max(1, sum(each))
