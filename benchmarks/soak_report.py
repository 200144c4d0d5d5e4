"""The results of a soak: samples of the process, growth, objects left, errors; the report in Markdown."""

import dataclasses
import statistics
from collections import Counter
from collections.abc import Sequence

from benchmarks.crowd import CALL, EACH

ROOM = 2048
"""KiB by which the process may grow from the first quarter of the hour to the last: the allocator's pages."""

OBJECTS = 200
"""Number of objects of one type by which two censuses may differ by chance."""

HISTORY = "novnc_twisted.messaging.memory_log._Entry"
"""Type of the entries of the history, which has one for each session that has ended."""

QUARTER = 5
"""Minimum number of samples in a quarter, so that quarters can be compared."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """How many sessions, and for how long.

    :ivar seconds: how long sessions type.
    :ivar typing: how many of the sessions type.
    :ivar keys: keys per second of each session that types.
    :ivar period: seconds between two samples.
    :ivar quiet: seconds at the start without typing.
    :ivar token_ttl: the default; a smaller value shows sooner that sessions outlive it.
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
    """A sample of the process after one period, and the events of the period.

    :ivar at: seconds since the first period began.
    :ivar anon_kib: ``pss_kib`` without pages of files; only this is compared.
    :ivar cpu: seconds of CPU in the period.
    :ivar keys: keys that were answered with the right bytes.
    :ivar late: keys that were skipped, because the one before was not answered yet.
    """

    at: float
    seconds: float
    pss_kib: int
    anon_kib: int
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
    """The results.

    :ivar empty: KiB, descriptors and objects before the sessions, after a first one has left.
    :ivar full: the same with all sessions: at first, once all tokens are extended (in a long soak), and at the end.
    :ivar left: the same after all have left.
    :ivar wrong: the errors; empty: passed.
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
    """What the process holds.  (PSS is read before the census, which collects garbage.)"""

    pss_kib: int
    descriptors: int
    objects: dict[str, int]

    def more_than(self, other: "Holding") -> Counter[str]:
        """Objects that it has in addition to another census, by type."""
        return Counter(self.objects) - Counter(other.objects)

    @property
    def count(self) -> int:
        """The number of all objects."""
        return sum(count for name, count in self.objects.items() if not name.startswith(CALL))

    @property
    def calls(self) -> int:
        """How many delayed calls the reactor has."""
        return sum(count for name, count in self.objects.items() if name.startswith(CALL))


def settled(outcome: Outcome) -> list[Look]:
    """The samples since every session has extended its token, which fills a table once."""
    return [look for look in outcome.looks if look.at > outcome.plan.token_ttl]


def growth(looks: Sequence[Look]) -> float | None:
    """Growth in KiB from the first quarter to the last, by medians.  None: too few samples."""
    quarter = len(looks) // 4
    if quarter < QUARTER:
        return None
    first, last = looks[:quarter], looks[-quarter:]
    return statistics.median(one.anon_kib for one in last) - statistics.median(one.anon_kib for one in first)


def many(more: Counter[str], plan: Plan) -> dict[str, int]:
    """The types with so many more objects than before that sessions may have left them.

    Objects that are kept for each server are bounded by the number of servers, and the history by that of the sessions.
    """
    most = OBJECTS + 2 * servers(plan)
    return {name: count for name, count in (more - Counter({HISTORY: plan.sessions})).items() if count > most}


def servers(plan: Plan) -> int:
    """How many servers these sessions need."""
    return -(-plan.sessions // EACH)


def judged(outcome: Outcome) -> list[str]:
    """All errors."""
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
    comparable = len(full) > 2 or outcome.looks[-1].at < outcome.plan.token_ttl / 4  # all tokens extended, or none
    if comparable and (found := many(full[-1].more_than(full[-2]), outcome.plan)):
        wrong.append(f"more at the end than at first: {found}")
    if found := many(left.more_than(empty), outcome.plan):
        wrong.append(f"left after all had left: {found}")
    return wrong


def line(look: Look) -> str:
    """Return the line that is printed for a sample."""
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
        "CPU of a key, without the CPU while nobody types": f"{(cpu - idle * seconds) / keys * 1e6:.0f} us"
        if keys
        else "-",
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
        "delayed calls before, with all (at first, .., at the end), after all left": " / ".join(
            str(one.calls) for one in (empty, *full, left)
        ),
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
