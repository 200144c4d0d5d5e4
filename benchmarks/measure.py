"""The rows of the report: what is measured, for how long, and on which processors the proxy and the load run."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.load import STEP_DEADLINE, Backend, Load, LoadFailed
from benchmarks.proxies import Proxy
from benchmarks.tree import ALL_CPUS, pin

PLACES: Mapping[str, tuple[Collection[int], Collection[int]]] = {
    "free": (ALL_CPUS, ALL_CPUS),
    "split": (ALL_CPUS[-1:], ALL_CPUS[:-1] or ALL_CPUS),
    "same": (ALL_CPUS[-1:], ALL_CPUS[-1:]),
}
"""Processors of the proxy, and of the load.

``free``: both may use all.  ``split``: the proxy has one for itself.  ``same``: everything runs on one, because waking
an idle processor costs a virtual machine more than the proxy itself does, and would make latencies bimodal.
"""

Values = dict[str, float]
"""The results of one measurement by the metric's name, which ends in its unit."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is measured.

    :ivar rounds: how often each row is measured for each proxy.
    :ivar seconds: about how long one measurement takes.
    :ivar sessions: with how many idle sessions memory is measured.
    :ivar forked_sessions: the same for proxies that fork a process for each session.
    :ivar stall: seconds for which the slow reader does not read.
    :ivar step_deadline: seconds that one step of the load may take.
    :ivar budget: seconds from the start of the run after which no new measurement begins; None: no limit.
    :ivar xvp_rows: the rows that are measured at the XVP port as well.
    :ivar hosts: the numbers of compute hosts with which links, checks and lists are measured.
    :ivar leaves_out: what this plan does not measure, for the report.
    """

    rounds: int = 5
    seconds: float = 1.0
    sessions: tuple[int, ...] = (500, 5000)
    forked_sessions: int = 500
    stall: float = 3.0
    step_deadline: float = STEP_DEADLINE
    budget: float | None = None
    xvp_rows: tuple[str, ...] = ("bulk", "one-cpu", "round-trip", "upstream", "set-up", "memory", "slow", "paced")
    hosts: tuple[int, ...] = (1, 10, 100, 1000)
    leaves_out: Mapping[str, str] = field(default_factory=dict)


FULL = Plan()
QUICK = Plan(
    rounds=3,
    seconds=0.4,
    sessions=(500,),
    forked_sessions=40,
    stall=1.0,
    step_deadline=20.0,
    budget=150.0,
    xvp_rows=("bulk", "one-cpu", "round-trip", "set-up"),
    hosts=(1, 100),
    leaves_out={
        "10 and 1000 compute hosts": "left out by --quick",
        "instructions": "left out by --quick",
        "memory at 5000 sessions, and typing in 20": "left out by --quick",
        "memory of proxies that fork": "at 40 sessions only (--quick)",
        "messages, memory and slow reader on the XVP front": "left out by --quick",
    },
)


@dataclass
class Subject:
    """One front of one proxy."""

    name: str
    proxy: Proxy
    front: str
    volumes: dict[str, int] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The URL for the load generator."""
        return self.proxy.urls[self.front]


class Site:
    """The environment of a measurement: the VNC server, the plan, and the processors."""

    def __init__(self, backend: Backend, plan: Plan) -> None:
        self.backend = backend
        self.plan = plan
        self._load_cpus: Collection[int] = ALL_CPUS

    def place(self, subject: Subject, how: str) -> None:
        """Put proxy and load on their processors, by :data:`PLACES`."""
        own, self._load_cpus = PLACES[how]
        pin(self.backend.pid, self._load_cpus)
        subject.proxy.pin(own, self._load_cpus)

    def load(self, test: str, subject: Subject, **options: int | float) -> Load:
        """Open the load's sessions."""
        return Load(test, subject.url, self._load_cpus, self.plan.step_deadline, **options)

    def timed(self, test: str, subject: Subject, settle: float = 0.0, **options: int | float) -> Values:
        """Run the load once; return its results, and as ``cpu`` the CPU seconds of the proxy meanwhile.

        :param settle: seconds after the run that count as well, because the sessions end in them.
        :raises LoadFailed: a session failed.
        """
        with self.load(test, subject, **options) as load:
            before = subject.proxy.cpu()
            load.go()
            counted = load.result()
            if failed := counted.get("failed"):
                count = failed + counted["connections"]
                raise LoadFailed(f"{failed} of {count} sessions failed: {load.complaints()}")
            time.sleep(settle)
            return counted | {"cpu": subject.proxy.cpu() - before}

    def sized(self, test: str, subject: Subject, probe: int, **options: int | float) -> Values:
        """Like :meth:`timed`, with a volume that keeps this proxy busy for about the plan's seconds.

        :param probe: the least volume, in the unit of the test; the first run with it shows how fast the proxy is.
        """
        volume = subject.volumes.get(test)
        if volume is None:
            tried = self.timed(test, subject, t=probe, **options)
            volume = subject.volumes[test] = max(probe, int(probe / tried["secs"] * self.plan.seconds))
        return self.timed(test, subject, t=volume, **options)


def bulk(site: Site, subject: Subject) -> Values:
    """The server floods one viewer with pictures, in writes of 64 KiB."""
    got = site.sized("down", subject, 64 << 20, c=65536)
    return {"cpu_s_per_gb": got["cpu"] / got["bytes"] * 1e9, "mb_per_s": got["bytes"] / got["secs"] / 1e6}


def round_trip(site: Site, subject: Subject) -> Values:
    """One key up, 1400 bytes back, then the next."""
    got = site.timed("rtt", subject, d=site.plan.seconds, r=1400)
    return {"cpu_us": got["cpu"] / got["n"] * 1e6, "p50_us": got["p50_us"], "p99_us": got["p99_us"]}


def upstream(site: Site, subject: Subject) -> Values:
    """Messages of 6, 8 and 12 bytes at random, each in a frame of its own, 64 frames in a write."""
    got = site.sized("up", subject, 20_000, b=64)
    return {"cpu_us": got["cpu"] / got["messages"] * 1e6, "messages_per_s": got["messages"] / got["secs"]}


def paced(site: Site, subject: Subject) -> Values:
    """2000 single messages a second spread over 20 sessions: each wakes the proxy."""
    got = site.timed("up", subject, t=2000 * max(1, round(site.plan.seconds)), b=1, n=20, p=2000)
    return {"cpu_us": got["cpu"] / got["messages"] * 1e6}


def set_up(site: Site, subject: Subject) -> Values:
    """Four viewers connect, upgrade, go through RFB up to ServerInit, hang up, and come again."""
    got = site.timed("setup", subject, settle=0.3, d=max(site.plan.seconds, 0.5), n=4)
    if not got["connections"]:
        raise LoadFailed("no session was set up")
    return {
        "cpu_ms": got["cpu"] / got["connections"] * 1e3,
        "sessions_per_s": got["connections"] / got["secs"],
        "mean_ms": got["mean_ms"],
    }


def memory(site: Site, subject: Subject) -> Values:
    """Each session draws 256 KiB, then idles; in a fresh process.

    The first session is not counted, because it loads modules and builds tables.
    """
    subject.proxy.stop()
    subject.proxy.start()
    site.place(subject, "free")
    values: Values = {}
    loads = []
    steps = (min(site.plan.forked_sessions, _room()),) if subject.proxy.forks else site.plan.sessions
    try:
        with site.load("hold", subject, n=1):
            pass
        base, have = subject.proxy.memory(), 0
        for count in steps:
            loads.append(site.load("hold", subject, n=count - have))
            have = count
            time.sleep(0.5)  # the proxy may still free memory of earlier sessions
            values[f"kib_at_{count}"] = (subject.proxy.memory() - base) / count
    finally:
        for load in loads:
            load.end()
    return values


def _room() -> int:
    """How many processes of a forking proxy fit into half of the free memory: nova's need 10 MiB each."""
    text = Path("/proc/meminfo").read_text()
    free = next(int(line.split()[1]) for line in text.splitlines() if line.startswith("MemAvailable:"))
    return max(1, free // 2 // (10 * 1024))


def slow(site: Site, subject: Subject) -> Values:
    """The server sends 500 MB; the viewer stops reading for a while, then reads all of it."""
    with site.load("slow", subject, t=500_000_000, d=site.plan.stall) as load:
        base = top = subject.proxy.memory()  # includes the session, whose cost is another row
        load.go()
        until = time.monotonic() + site.plan.stall
        while time.monotonic() < until:
            time.sleep(0.1)
            top = max(top, subject.proxy.memory())
        load.result()
        load.go()
        if not load.result()["complete"]:
            raise LoadFailed("not all of the 500 MB came, or not as they were sent")
    return {"growth_mib": (top - base) / 1024}


@dataclass(frozen=True)
class Row:
    """One row of the table.

    :ivar once: whether one measurement is enough.
    :ivar front: ``tls``: measured only at TLS ports; otherwise only at plain ones.
    """

    title: str
    measure: Callable[[Site, Subject], Values]
    place: str
    once: bool = False
    front: str = "plain"


ROWS: dict[str, Row] = {
    "bulk": Row("bulk pictures", bulk, "split"),
    "one-cpu": Row("bulk pictures, everything on one CPU", bulk, "same"),
    "round-trip": Row("round trip", round_trip, "same"),
    "upstream": Row("messages of the viewer", upstream, "split"),
    "set-up": Row("set-up of a session", set_up, "split"),
    "memory": Row("memory of a session", memory, "free", once=True),
    "slow": Row("slow reader", slow, "free", once=True),
    "wss": Row("bulk pictures over TLS", bulk, "split", front="tls"),
    "paced": Row("typing in 20 sessions", paced, "same"),
}
