"""One run: start and check all proxies, measure them in random order for each row of each round, and end them."""

import dataclasses
import os
import platform
import random
import resource
import tempfile
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import cloud, filters, instructions, long_list, pages, sessions
from benchmarks.bus import ConsoleRedis
from benchmarks.load import Backend, LoadFailed, Unavailable, check
from benchmarks.measure import ROWS, Plan, Row, Site, Subject, Values
from benchmarks.ours import Console, ConsoleShieldOff, knows_shield
from benchmarks.peers import Direct, HAProxy, Lighttpd, Nova, Websockify
from benchmarks.proxies import Proxy
from benchmarks.tls import ConsoleTLS, ConsoleTLSShieldOff, HAProxyTLS
from benchmarks.tree import ALL_CPUS, ProcessTree

PROXIES: tuple[type[Proxy], ...] = (
    Direct,
    HAProxy,
    Lighttpd,
    Websockify,
    Nova,
    Console,
    ConsoleShieldOff,
    ConsoleRedis,
    HAProxyTLS,
    ConsoleTLS,
    ConsoleTLSShieldOff,
)

NOT_SHIPPED = (
    "ours: max_sessions_per_server = 0 and token_ttl = 86400, because all sessions of the run use one link; "
    "max_tokens_per_user = 0",
    "all: the limit of descriptors is raised, for thousands of sessions",
    "nova: its token look-up is stubbed (a real nova asks a database and the compute host for each session)",
)
"""The settings that differ from the defaults."""

CLOUD = "hosts"
"""The row about the number of compute hosts, without proxies."""

SESSIONS = "sessions"
"""The row about the lists and revocations of the console API, without proxies."""

FILTERS = "filters"
"""The row about the price of policies, without proxies."""

PAGES = "pages"
"""The row about the first tile of the list, a long list, and the first picture of the console, in a real browser."""

INSTRUCTIONS = "instructions"
"""The row about the instructions of our own proxy, which runs under callgrind."""

_DESCRIPTORS = 20_000


class Run:
    """What was measured, and what was not.

    :ivar values: row -> name of the subject -> the result of each round; None: that round failed.
    :ivar clouds: the number of compute hosts, as text -> the result of :func:`benchmarks.cloud.measure`.
    :ivar sessions: the result of :func:`benchmarks.sessions.measure`.
    :ivar filters: the result of :func:`benchmarks.filters.measure`.
    :ivar pages: the result of :func:`benchmarks.pages.measure`.
    :ivar tiles: the result of :func:`benchmarks.long_list.measure`.
    :ivar instructions: the result of :func:`benchmarks.instructions.measure`.
    :ivar unmeasured: what is missing, and why.
    :ivar wrong: the proxies that changed or lost a byte, or refused or lost a session.
    """

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self.plan = plan
        self.values: dict[str, dict[str, list[Values | None]]] = {}
        self.unmeasured: dict[str, str] = {}
        self.wrong: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.clouds: dict[str, cloud.Cloud] = {}
        self.sessions: dict[str, float] = {}
        self.filters: dict[str, dict[str, float]] = {}
        self.pages: dict[str, dict[str, list[float]]] = {}
        self.tiles: dict[str, dict[str, list[float]]] = {}
        self.instructions: dict[str, dict[str, float]] = {}
        self.load_averages: list[float] = []
        self.machine = machine()
        self._say = say
        self._began = time.monotonic()

    def go(self, proxies: Collection[str] = (), rows: Collection[str] = (), more: Collection[type[Proxy]] = ()) -> None:
        """Measure.

        :param proxies: the names of the proxies to measure; empty: all.  With names, a row without proxies is measured
            only if ``rows`` contains it.
        :param rows: the rows; empty: all, but without ``paced`` and the instructions if the plan has a budget.
        :param more: further proxies to measure.
        :raises Unavailable: there is no load generator.
        """
        wanted = {name: row for name, row in ROWS.items() if name in rows or (not rows and self._usual(name))}
        raise_descriptor_limit()
        self.unmeasured.update(self.plan.leaves_out)
        if CLOUD in rows or not (rows or proxies):
            self._measure_clouds()
        if SESSIONS in rows or not (rows or proxies):
            self._measure_sessions()
        if FILTERS in rows or not (rows or proxies):
            self._measure_filters()
        if PAGES in rows or not (rows or proxies):
            self._measure_pages()
        if INSTRUCTIONS in rows or not (rows or proxies or self.plan.budget):
            self._measure_instructions(more)
        if rows and not wanted:
            return
        if not knows_shield():
            self.unmeasured["shield"] = (
                "this checkout has no [console] shield yet and ignores it: 'shield off' is the same as shipped"
            )
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="novnc-twisted-bench-")))
            site = Site(stack.enter_context(Backend()), self.plan)
            subjects: list[Subject] = []
            for kind in (*PROXIES, *more):
                if not proxies or kind in more or kind.name in proxies:
                    subjects += self._started(kind, site.backend.port, folder, stack)
            subjects = [subject for subject in subjects if self._checked(subject, site.backend)]
            for number in range(self.plan.rounds):
                self.load_averages.append(os.getloadavg()[0])
                for name, row in wanted.items():
                    if number == 0 or not row.once:
                        self._visit(site, name, row, [one for one in subjects if self._takes(one, name, row)])

    def _measure_clouds(self) -> None:
        for hosts in self.plan.hosts:
            title = f"{hosts} compute hosts"
            with tempfile.TemporaryDirectory(prefix="novnc-twisted-bench-") as folder:
                try:
                    self.clouds[str(hosts)] = cloud.measure(hosts, self.plan.seconds, Path(folder))
                except Unavailable as trouble:
                    self.unmeasured[title] = str(trouble)
                except LoadFailed as trouble:
                    self.wrong[f"ours: {title}"] = str(trouble)
            self._say(f"{self.seconds:4.0f} s  {title}")

    def _measure_sessions(self) -> None:
        try:
            self.sessions = sessions.measure()
        except LoadFailed as trouble:
            self.wrong["ours: sessions"] = str(trouble)
        self._say(f"{self.seconds:4.0f} s  sessions of the console API")

    def _measure_pages(self) -> None:
        try:
            self.tiles = long_list.measure(self.plan.rounds)
            self.pages = pages.measure(self.plan.rounds)
        except Unavailable as trouble:
            self.unmeasured["the first tile, and the first picture" if self.tiles else "the long list"] = str(trouble)
        except LoadFailed as trouble:
            self.wrong["ours: pages"] = str(trouble)
        self._say(f"{self.seconds:4.0f} s  pages in a browser")

    def _measure_filters(self) -> None:
        try:
            self.filters = filters.measure(min(0.3, self.plan.seconds / 2))
        except LoadFailed as trouble:
            self.wrong["ours: filters"] = str(trouble)
        self._say(f"{self.seconds:4.0f} s  filters of policies")

    def _measure_instructions(self, more: Collection[type[Proxy]]) -> None:
        try:
            kinds: list[type[Console]] = [Console]
            kinds += [kind for kind in more if issubclass(kind, Console)]
            self.instructions = instructions.measure(kinds)
        except Unavailable as trouble:
            self.unmeasured["instructions"] = str(trouble)
        except LoadFailed as trouble:
            self.wrong["ours: instructions"] = str(trouble)
        self._say(f"{self.seconds:4.0f} s  instructions")

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    def _usual(self, name: str) -> bool:
        return name != "paced" or self.plan.budget is None

    def _takes(self, subject: Subject, name: str, row: Row) -> bool:
        if subject.proxy.rows is not None and name not in subject.proxy.rows:
            return False
        if subject.front == "tls" or row.front == "tls":
            return subject.front == row.front
        if isinstance(subject.proxy, Direct):
            return name in ("bulk", "one-cpu", "round-trip")
        return subject.front != "xvp" or name in self.plan.xvp_rows

    def _started(self, kind: type[Proxy], backend: int, folder: Path, stack: ExitStack) -> list[Subject]:
        proxy = kind(backend, folder / kind.__name__)
        try:
            stack.enter_context(proxy)
            self.versions[kind.name] = f"{proxy.version()}: {kind.about}"
        except Unavailable as trouble:
            self.unmeasured[kind.name] = str(trouble)
            self._say(f"{kind.name}: not measured: {trouble}")
            return []
        self._say(f"{kind.name} {self.versions[kind.name]}")
        more = len(proxy.urls) > 1
        return [
            Subject(f"{kind.name} ({front.upper()})" if more and front == "xvp" else kind.name, proxy, front)
            for front in proxy.urls
        ]

    def _checked(self, subject: Subject, backend: Backend) -> bool:
        try:
            check(subject.url)
        except LoadFailed as trouble:
            said = f"{trouble} {backend.complaints()}".strip()
            self.wrong[subject.name] = f"{said}; nothing else of it was measured; {subject.proxy.last_words()}"
            self._say(f"{subject.name}: WRONG: {trouble}")
            return False
        return True

    def _visit(self, site: Site, name: str, row: Row, subjects: list[Subject]) -> None:
        """Measure one row of one round."""
        for subject in random.sample(subjects, len(subjects)):
            if self.plan.budget is not None and self.seconds > self.plan.budget:
                self.unmeasured.setdefault("rest", f"the time was over in round {self._round(name, subject) + 1}")
                continue
            given: Values | None = None
            try:
                site.place(subject, row.place)
                given = row.measure(site, subject)
            except LoadFailed as trouble:
                said = f"{trouble} {site.backend.complaints()}".strip()
                faults = [f" ({fault})" for words, fault in subject.proxy.faults.items() if words in said]
                self.wrong[f"{subject.name}: {name}"] = said + "".join(faults)
            except Unavailable as trouble:
                self.unmeasured[f"{name} of {subject.name}"] = str(trouble)
            self.values.setdefault(name, {}).setdefault(subject.name, []).append(given)
        if subjects:
            self._say(f"{self.seconds:4.0f} s  {row.title}")

    def _round(self, name: str, subject: Subject) -> int:
        return len(self.values.get(name, {}).get(subject.name, []))

    def record(self) -> dict[str, Any]:
        """All results, for JSON."""
        return {
            "machine": self.machine,
            "plan": dataclasses.asdict(self.plan),
            "load_average_each_round": self.load_averages,
            "seconds": round(self.seconds, 1),
            "versions": self.versions,
            "not_as_shipped": NOT_SHIPPED,
            "values": self.values,
            "clouds": self.clouds,
            "sessions": self.sessions,
            "filters": self.filters,
            "pages": self.pages,
            "tiles": self.tiles,
            "instructions": self.instructions,
            "unmeasured": self.unmeasured,
            "wrong": self.wrong,
        }


def raise_descriptor_limit() -> None:
    """Raise the limit of descriptors, so that each process can have thousands of sessions."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if most == resource.RLIM_INFINITY else min(_DESCRIPTORS, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def machine() -> dict[str, Any]:
    """The machine's processor, kernel and Python."""
    models = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    tree = ProcessTree()
    tree.remove()
    return {
        "cpu": models[0] if models else platform.machine(),
        "cpus": len(ALL_CPUS),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cpu_read_from": tree.source,
    }
