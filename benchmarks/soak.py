"""``make soak``, ``python -m benchmarks.soak``: a crowd of live sessions on one process of ours, for an hour.

Each session has a link of its own from the API and goes through the whole RFB handshake; some type, all are pinged.
Every byte is compared, both ways; at the end each session has to answer, all leave at once, and what the process holds
must be what it held before they came.

Exit code 0: all of that is so.  1: it is not; what is wrong was printed.  2: nothing could be measured.
"""

import argparse
import dataclasses
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.crowd import CALL, EACH, Crowd, CrowdShieldOff
from benchmarks.load import CACHE, PUBLISHED, Backend, Load, LoadFailed, Unavailable
from benchmarks.run import machine, raise_descriptor_limit

PATIENCE = 600.0
"""Seconds within which all sessions must be open."""

GONE = 60.0
"""Seconds within which no descriptor of a session may be left once its viewer is gone."""

FORGOTTEN = 180.0
"""Seconds within which nothing else may be left: a lost session's viewer may come back for 60."""

ROOM = 2048
"""KiB by which the process may differ from the first quarter of the hour to the last: pages that come and go."""

OBJECTS = 200
"""Objects of a type by which it may differ: what the minute brings, not what sessions leave."""

QUARTER = 5
"""Looks that make a quarter that can be compared."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be held, and for how long.

    :ivar seconds: how long they type.
    :ivar typing: how many of the sessions type.
    :ivar keys: how many each of these types in a second.
    :ivar period: seconds between two looks at the process.
    :ivar quiet: seconds at the start in which nobody types.
    :ivar token_ttl: as shipped; less, to see sessions outlive it sooner.
    :ivar front: ``novnc`` or ``xvp``.
    """

    seconds: float = 3600.0
    sessions: int = 5000
    typing: int = 1000
    keys: float = 4.0
    period: float = 10.0
    quiet: float = 30.0
    token_ttl: int = 600
    shield: bool = True
    front: str = "novnc"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """The process after one period, and what the period was.

    :ivar at: seconds since the first.
    :ivar cpu: seconds of CPU in the period.
    :ivar keys: answered in it, each with the bytes that were due.
    :ivar late: keys left out, since the one before was not answered yet.
    """

    at: float
    seconds: float
    pss_kib: int
    descriptors: int
    cpu: float
    load: float
    keys: int = 0
    late: int = 0
    p50_us: float = 0.0
    p99_us: float = 0.0
    max_us: float = 0.0


@dataclasses.dataclass
class Outcome:
    """What was seen.

    :ivar empty: KiB, descriptors and objects before anyone came (one had been there and left).
    :ivar full: the same with all sessions there: at first, when all tokens are kept (if it lasts so long), and at last.
    :ivar left: the same after all had left.
    :ivar wrong: what must not be; empty: nothing.
    """

    plan: Plan
    machine: dict[str, object]
    wrong: list[str] = dataclasses.field(default_factory=list)
    looks: list[Look] = dataclasses.field(default_factory=list)
    quiet: Look | None = None
    empty: "Holding | None" = None
    full: list["Holding"] = dataclasses.field(default_factory=list)
    left: "Holding | None" = None
    links_kib: float = 0.0
    set_up_seconds: float = 0.0
    set_up_cpu: float = 0.0
    alive: int = 0


@dataclasses.dataclass(frozen=True)
class Holding:
    """What the process holds.  (PSS is read before the census, which collects.)"""

    pss_kib: int
    descriptors: int
    objects: dict[str, int]

    def more_than(self, other: "Holding") -> Counter[str]:
        """Objects that it has and the other had not, by type."""
        return Counter(self.objects) - Counter(other.objects)

    @property
    def count(self) -> int:
        """All of them."""
        return sum(count for name, count in self.objects.items() if not name.startswith(CALL))

    @property
    def calls(self) -> int:
        """How many wait in the reactor."""
        return sum(count for name, count in self.objects.items() if name.startswith(CALL))


def soak(plan: Plan, folder: Path, say: Callable[[str], None] = lambda line: None) -> Outcome:
    """Do it.

    :param folder: for what is written meanwhile.
    :raises Unavailable: where the parts can't be had.
    :raises LoadFailed: at the first session that is refused, lost, silent, or has a wrong byte.
    """
    raise_descriptor_limit()
    outcome = Outcome(plan, machine())
    kind = Crowd if plan.shield else CrowdShieldOff
    with ExitStack() as stack:
        backend = stack.enter_context(Backend(servers(plan)))
        console = stack.enter_context(kind(backend.ports, folder, plan.token_ttl))
        try:
            _hold(plan, console, outcome, stack, say)
        except LoadFailed as trouble:
            raise LoadFailed(f"{trouble} {backend.complaints()}; {console.last_words()}".strip()) from None
        outcome.wrong += [line for line in [backend.complaints()] if line]
        log = console.log.read_text(errors="replace")
        outcome.wrong += ["a traceback in the log"] if "Traceback" in log else []
    outcome.wrong += _judged(outcome)
    return outcome


def _hold(plan: Plan, console: Crowd, outcome: Outcome, stack: ExitStack, say: Callable[[str], None]) -> None:
    before = console.memory()
    (first, *links) = console.links(plan.front, plan.sessions + 1)
    outcome.links_kib = (console.memory() - before) / (plan.sessions + 1)
    say(f"{len(links)} links of {servers(plan)} servers")
    base = console.urls[plan.front].split("?")[0].rstrip("/").removesuffix("/console")
    warming, crowd = console.folder / "warming", console.folder / "crowd"
    for file, some in ((warming, [first]), (crowd, links)):
        file.write_text("".join(f"{path} {name}\n" for path, name in some))
    with Load("hold", base, n=1, f=str(warming)):  # brings modules and tables, which are nobody's
        pass
    start = _settled(console)
    outcome.empty = _holding(console)

    began, cpu = time.monotonic(), console.cpu()
    load = stack.enter_context(
        Load(
            "soak",
            base,
            patience=PATIENCE,
            n=plan.sessions,
            f=str(crowd),
            d=plan.period,
            p=plan.keys,
            r=1400,
        )
    )
    outcome.set_up_seconds, outcome.set_up_cpu = time.monotonic() - began, console.cpu() - cpu
    say(f"{plan.sessions} sessions after {outcome.set_up_seconds:.1f} s")

    began = time.monotonic()
    quiet = [_look(console, load, 0, began) for _ in range(round(plan.quiet / plan.period))]
    if quiet:
        outcome.quiet = dataclasses.replace(
            quiet[-1], cpu=sum(look.cpu for look in quiet), seconds=sum(look.seconds for look in quiet)
        )
    while not outcome.looks or time.monotonic() - began < plan.quiet + plan.seconds:
        outcome.looks.append(_look(console, load, plan.typing, began))
        if len(outcome.looks) == 1 or (len(outcome.full) == 1 and settled(outcome)):
            outcome.full.append(_holding(console))
        say(_line(outcome.looks[-1]))
    load.go("every")
    outcome.alive = int(load.result()["alive"])
    outcome.full.append(_holding(console))
    load.end()
    _until(lambda: console.descriptors() == start)
    give_up = time.monotonic() + FORGOTTEN
    while _many((left := _holding(console)).more_than(outcome.empty), plan) and time.monotonic() < give_up:
        time.sleep(plan.period)  # a census stops it for a moment: not more often than before
    outcome.left = left


def _look(console: Crowd, load: Load, typing: int, began: float) -> Look:
    """One period, then a look."""
    cpu = console.cpu()
    load.go(f"type {typing}")
    got = load.result()
    return Look(
        at=time.monotonic() - began,
        seconds=got["secs"],
        cpu=console.cpu() - cpu,
        pss_kib=console.memory(),
        descriptors=console.descriptors(),
        load=os.getloadavg()[0],
        keys=got["n"],
        late=got["late"],
        p50_us=got["p50_us"],
        p99_us=got["p99_us"],
        max_us=got["max_us"],
    )


def _holding(console: Crowd) -> Holding:
    return Holding(console.memory(), console.descriptors(), dict(console.census()))


def _settled(console: Crowd) -> int:
    """Its descriptors, once they have been as many for a second: connections of those who asked before are gone."""
    seen: list[int] = []
    while len(seen) < 10 or len(set(seen[-10:])) > 1:
        time.sleep(0.1)
        seen.append(console.descriptors())
    return seen[-1]


def _until(so: Callable[[], bool]) -> None:
    """Wait for something, in vain if need be: what is not so is seen later."""
    give_up = time.monotonic() + GONE
    while not so() and time.monotonic() < give_up:
        time.sleep(0.1)


def settled(outcome: Outcome) -> list[Look]:
    """The looks since when every session's token is kept by telling that it lives: that fills a table once."""
    return [look for look in outcome.looks if look.at > outcome.plan.token_ttl]


def growth(looks: Sequence[Look]) -> float | None:
    """KiB of the last quarter more than of the first: medians.  None: too few of them to tell."""
    quarter = len(looks) // 4
    if quarter < QUARTER:
        return None
    first, last = looks[:quarter], looks[-quarter:]
    return statistics.median(one.pss_kib for one in last) - statistics.median(one.pss_kib for one in first)


def _many(more: Counter[str], plan: Plan) -> dict[str, int]:
    """Of the objects that are more than before: those of which there are so many that sessions may have left them.

    What is kept for each server, of the last look at all of them, is bounded by these.
    """
    most = OBJECTS + 2 * servers(plan)
    return {name: count for name, count in more.items() if count > most}


def servers(plan: Plan) -> int:
    """How many servers so many sessions need."""
    return -(-plan.sessions // EACH)


def _judged(outcome: Outcome) -> list[str]:
    """What is not as it must be."""
    wrong = []
    empty, full, left = outcome.empty, outcome.full, outcome.left
    assert empty is not None
    assert left is not None
    if outcome.alive != outcome.plan.sessions:
        wrong.append(f"{outcome.alive} sessions live at the end, of {outcome.plan.sessions}")
    counts = {look.descriptors for look in outcome.looks}
    if counts != {full[0].descriptors}:
        wrong.append(f"descriptors while all were there: {sorted(counts)}")
    if left.descriptors != empty.descriptors:
        wrong.append(f"{left.descriptors} descriptors after all had left, {empty.descriptors} before they came")
    more = growth(settled(outcome))
    if more is not None and more > ROOM:
        wrong.append(f"{more:.0f} KiB more in the last quarter than in the first")
    comparable = len(full) > 2 or outcome.looks[-1].at < outcome.plan.token_ttl / 4  # no token kept yet, or all
    if comparable and (many := _many(full[-1].more_than(full[-2]), outcome.plan)):
        wrong.append(f"more at the end than at first: {many}")
    if many := _many(left.more_than(empty), outcome.plan):
        wrong.append(f"left after all had left: {many}")
    return wrong


def _line(look: Look) -> str:
    return (
        f"{look.at:6.0f} s  {look.pss_kib / 1024:7.1f} MiB  {look.descriptors} descriptors"
        f"  {look.cpu / look.seconds:4.0%} of a CPU  {look.keys} keys, {look.late} late"
        f"  p50 {look.p50_us:.0f} us  p99 {look.p99_us:.0f} us  most {look.max_us / 1000:.0f} ms  load {look.load:.1f}"
    )


def text(outcome: Outcome) -> str:
    """The report, in Markdown."""
    plan, looks, quiet = outcome.plan, outcome.looks, outcome.quiet
    empty, full, left = outcome.empty, outcome.full, outcome.left
    assert empty is not None
    assert left is not None
    keys = sum(look.keys for look in looks)
    cpu, seconds = sum(look.cpu for look in looks), sum(look.seconds for look in looks)
    idle = quiet.cpu / quiet.seconds if quiet else 0.0
    each = (full[0].pss_kib - empty.pss_kib) / plan.sessions
    still = left.more_than(empty)
    late = settled(outcome)
    more = growth(late)
    rows = {
        "sessions, alive at the end": f"{plan.sessions}, {outcome.alive}",
        "of these typing": f"{plan.typing}, {plan.keys:g} keys a second each",
        "keys, each answered with the 1400 bytes that were due": f"{keys}, {sum(look.late for look in looks)} late",
        "round trip of a key, p50 / p99 (median of the periods)": f"{_middle(looks, 'p50_us'):.0f} / "
        f"{_middle(looks, 'p99_us'):.0f} us",
        "the same, worst period; the longest of all": f"{max(look.p99_us for look in looks):.0f} us; "
        f"{max(look.max_us for look in looks) / 1000:.0f} ms",
        "CPU while they type": f"{cpu / seconds:.0%} of one",
        "CPU while nobody types": f"{idle:.1%} of one" if quiet else "not measured",
        "CPU of a key, without the latter": f"{(cpu - idle * seconds) / keys * 1e6:.0f} us" if keys else "-",
        "set-up of all, one after the other": f"{outcome.set_up_seconds:.1f} s, "
        f"{outcome.set_up_cpu / plan.sessions * 1e3:.2f} ms of CPU each",
        "memory of a session": f"{each:.1f} KiB",
        "memory of a link (its token)": f"{outcome.links_kib:.1f} KiB",
        "memory before, with all (at first, .., at the end), after all left": " / ".join(
            f"{one.pss_kib / 1024:.1f}" for one in (empty, *full, left)
        )
        + " MiB",
        "growth, last quarter against first": "too short to tell"
        if more is None
        else f"{more:+.0f} KiB ({late[-1].at - late[0].at:.0f} s, since {plan.token_ttl} s after the links)",
        "descriptors before, with all (at first, .., at the end), after all left": " / ".join(
            str(one.descriptors) for one in (empty, *full, left)
        ),
        "objects before, with all (at first, .., at the end), after all left": " / ".join(
            str(one.count) for one in (empty, *full, left)
        ),
        "most objects left that were not there before": ", ".join(
            f"{name} {count}" for name, count in still.most_common(5)
        )
        or "none",
        "calls waiting in the reactor, likewise": " / ".join(str(one.calls) for one in (empty, *full, left)),
    }
    loads = [look.load for look in looks]
    head = (
        f"{'As shipped' if plan.shield else 'shield = false'}, {plan.front}, token_ttl = {plan.token_ttl}; "
        f"{seconds:.0f} s of typing. {outcome.machine['cpu']}, {outcome.machine['cpus']} CPUs, "
        f"Linux {outcome.machine['kernel']}, Python {outcome.machine['python']}; load average "
        f"{min(loads):.1f}..{max(loads):.1f}, our own included."
    )
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    wrong = "".join(f"* WRONG: {line}\n" for line in outcome.wrong)
    return f"{head}\n\n| what | measured |\n|---|---|\n{table}\n{wrong and chr(10) + wrong}"


def _middle(looks: Sequence[Look], name: str) -> float:
    return statistics.median(float(getattr(look, name)) for look in looks)


def main() -> int:
    """Run it; gives the exit code."""
    plan, output, publish = _options()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="novnc-twisted-soak-") as folder:
        try:
            outcome = soak(plan, Path(folder), lambda line: print(line, flush=True))
        except Unavailable as trouble:
            print(f"soak: {trouble}", file=sys.stderr)
            return 2
        except LoadFailed as trouble:
            print(f"WRONG: {trouble}")
            return 1
    report = text(outcome)
    print("\n" + report)
    name = "soak" if plan.shield else "soak-shield-off"
    output.mkdir(parents=True, exist_ok=True)
    (output / f"{name}.json").write_text(json.dumps(dataclasses.asdict(outcome), indent=1) + "\n")
    for folder in (output, PUBLISHED) if publish else (output,):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.md").write_text(report)
    return 1 if outcome.wrong else 0


def _options() -> tuple[Plan, Path, bool]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__.split("\n")[0])
    plan = Plan()
    parser.add_argument("--seconds", type=float, default=plan.seconds, help="how long they type (3600)")
    parser.add_argument("--sessions", type=int, default=plan.sessions, help="5000")
    parser.add_argument("--typing", type=int, default=plan.typing, help="how many of them type (1000)")
    parser.add_argument("--keys", type=float, default=plan.keys, help="that each types in a second (4)")
    parser.add_argument("--period", type=float, default=plan.period, help="seconds between two looks (10)")
    parser.add_argument("--quiet", type=float, default=plan.quiet, help="seconds without typing at first (30)")
    parser.add_argument("--token-ttl", type=int, default=plan.token_ttl, help="600, as shipped")
    parser.add_argument("--shield-off", dest="shield", action="store_false", help="[console] shield = false")
    parser.add_argument("--front", choices=["novnc", "xvp"], default=plan.front)
    parser.add_argument("--output", type=Path, default=CACHE, help="the folder for what is written (.make/bench)")
    parser.add_argument("--publish", action="store_true", help="put the report into docs/performance")
    given = vars(parser.parse_args())
    output, publish = given.pop("output"), given.pop("publish")
    return Plan(**given), output, publish


if __name__ == "__main__":
    sys.exit(main())
