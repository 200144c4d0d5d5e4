"""The report: medians and their spread, ratios compared with the goals, and what is missing."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import cloud, filters, instructions, long_list, pages, sessions
from benchmarks.measure import ROWS, Values

Measured = Mapping[str, Mapping[str, Sequence[Values | None]]]
"""Row -> subject -> the result of each round; None if it failed."""

TITLES = {
    "cpu_s_per_gb": "CPU s/GB",
    "mb_per_s": "MB/s",
    "cpu_us": "CPU us",
    "p50_us": "p50 us",
    "p99_us": "p99 us",
    "messages_per_s": "messages/s",
    "cpu_ms": "CPU ms",
    "sessions_per_s": "sessions/s",
    "mean_ms": "mean ms",
    "growth_mib": "MiB growth",
}

VARIANTS = ("as shipped", "shield off", "beside")
"""Our subjects that are compared with the goals; the last one is another checkout, if one was measured."""
_OURS = {
    "novnc": ("ours", "ours, shield off", "beside"),
    "xvp": ("ours (XVP)", "ours, shield off (XVP)", "beside (XVP)"),
    "tls": ("ours, TLS", "ours, TLS, shield off", "beside, TLS"),
}


def is_ours(name: str) -> bool:
    """Whether a subject is our own proxy, of this or another checkout."""
    return name.startswith(("ours", "beside"))


def title(metric: str) -> str:
    """The name of a metric in the report."""
    if metric.startswith("kib_at_"):
        return f"KiB @{metric.removeprefix('kib_at_')}"
    return TITLES[metric]


@dataclass(frozen=True)
class Goal:
    """A goal.

    :ivar limit: limit of the ratio to ``against``, or of the value itself if ``against`` is None.
    :ivar shipped: the limit with default settings, if it differs from the limit with the shield off.
    :ivar at_least: whether the limit is a minimum instead of a maximum.
    """

    row: str
    metric: str
    limit: float
    against: str | None = None
    front: str = "novnc"
    at_least: bool = False
    shipped: float | None = None

    def limit_of(self, variant: str) -> float:
        """The limit for one of :data:`VARIANTS`."""
        return self.limit if self.shipped is None or variant == VARIANTS[1] else self.shipped

    def subject(self, variant: str) -> str:
        """The name under which our proxy was measured."""
        return _OURS[self.front][VARIANTS.index(variant)]

    def __str__(self) -> str:
        front = {"novnc": "", "xvp": "XVP: ", "tls": ""}[self.front]
        return f"{front}{ROWS[self.row].title}, {title(self.metric)}"


GOALS = (
    Goal("bulk", "cpu_s_per_gb", 0.65, "haproxy"),
    Goal("bulk", "cpu_s_per_gb", 0.45, "nova"),
    Goal("bulk", "cpu_s_per_gb", 0.75, "websockify"),
    Goal("one-cpu", "mb_per_s", 1.2, "haproxy", at_least=True),
    Goal("round-trip", "cpu_us", 1.15, "haproxy"),
    Goal("round-trip", "cpu_us", 0.25, "nova"),
    Goal("round-trip", "p99_us", 1.25, "haproxy"),
    Goal("upstream", "cpu_us", 1 / 25, "websockify", shipped=1 / 8),
    Goal("set-up", "cpu_ms", 6.0, "haproxy"),
    Goal("set-up", "cpu_ms", 1 / 6, "websockify"),
    Goal("memory", "kib_at_500", 6.0),
    Goal("memory", "kib_at_5000", 6.0),
    Goal("slow", "growth_mib", 1.0),
    Goal("bulk", "cpu_s_per_gb", 0.65, "haproxy", front="xvp"),
    Goal("round-trip", "cpu_us", 1.15, "haproxy", front="xvp"),
    Goal("wss", "cpu_s_per_gb", 1.3, "haproxy, TLS", front="tls"),
)


@dataclass(frozen=True)
class Finding:
    """The result for a goal.

    :ivar each: the ratio (or value) of each round; empty: not measured.
    """

    goal: Goal
    variant: str
    each: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.each)

    @property
    def excess(self) -> float:
        """The factor by which the limit was missed; at most 1 if the goal is met."""
        limit = self.goal.limit_of(self.variant)
        value = self.median
        return (limit / value if value > 0 else float("inf")) if self.goal.at_least else value / limit

    @property
    def met(self) -> bool:
        """Whether the median is within the limit."""
        return bool(self.each) and self.excess <= 1

    def __str__(self) -> str:
        if not self.each:
            return "not measured"
        sign = " x" if self.goal.against else ""
        spread = f" ({_short(min(self.each))}..{_short(max(self.each))})" if len(self.each) > 1 else ""
        verdict = "met" if self.met else f"missed by {_short(self.excess)} x"
        if len(self.each) > 1 and min(self.each) <= self.goal.limit_of(self.variant) <= max(self.each):
            verdict += ", within the noise"
        return f"{_short(self.median)}{sign}{spread}: {verdict}"


def finding(values: Measured, goal: Goal, variant: str) -> Finding:
    """The result of one of :data:`VARIANTS` for a goal."""
    return Finding(goal, variant, tuple(ratios(values, goal, goal.subject(variant))))


def ratios(values: Measured, goal: Goal, subject: str) -> Iterable[float]:
    """The ratio to ``against`` in each round that has both values; without ``against``, the value in each round."""
    row = values.get(goal.row, {})
    mine = row.get(subject, ())
    if goal.against is None:
        return [got[goal.metric] for got in mine if got and goal.metric in got]
    return [
        got[goal.metric] / other[goal.metric]
        for got, other in zip(mine, row.get(goal.against, ()), strict=False)
        if got and other and other[goal.metric] > 0
    ]


def medians(values: Measured, row: str, metric: str) -> dict[str, tuple[float, float]]:
    """For each subject: the median, and half of the range relative to the median."""
    found = {}
    for subject, rounds in values.get(row, {}).items():
        each = [got[metric] for got in rounds if got and metric in got]
        if each:
            middle = statistics.median(each)
            found[subject] = middle, (max(each) - min(each)) / 2 / middle if middle else 0.0
    return found


def goals_table(values: Measured) -> str:
    """The goals, in Markdown."""
    other = any(VARIANTS[-1] in row for row in values.values())
    variants = VARIANTS if other else VARIANTS[:-1]
    lines = [f"| row | goal | {' | '.join(variants)} |", "|---|---|" + "---|" * len(variants)]
    for goal in GOALS:
        word = "at least" if goal.at_least else "at most"
        limit = _fraction(goal.limit)
        if goal.shipped is not None:
            limit += f" (as shipped {_fraction(goal.shipped)})"
        if goal.against:
            limit += f" x {goal.against}"
        found = [str(finding(values, goal, variant)) for variant in variants]
        lines.append(f"| {goal} | {word} {limit} | {' | '.join(found)} |")
    return "\n".join(lines)


def values_table(values: Measured, names: Sequence[str]) -> str:
    """All medians with their spread, in Markdown; the subjects in the order of ``names``."""
    columns = [(row, metric) for row in ROWS for metric in _metrics(values.get(row, {}))]
    found = {column: medians(values, *column) for column in columns}
    lines: list[str] = []
    for row in ROWS:
        metrics = [metric for one, metric in columns if one == row]
        if not metrics:
            continue
        lines += ["", f"### {ROWS[row].title} ({row})", f"| | {' | '.join(map(title, metrics))} |"]
        lines.append("|---|" + "---|" * len(metrics))
        for name in names:
            cells = [found[row, metric].get(name) for metric in metrics]
            if any(cells):
                lines.append(f"| {name} | {' | '.join(_cell(cell) for cell in cells)} |")
    return "\n".join(lines).strip()


def text(record: Mapping[str, Any], names: Sequence[str]) -> str:
    """The whole report, in Markdown, from the result of :meth:`benchmarks.run.Run.record`."""
    machine, plan = record["machine"], record["plan"]
    averages = ", ".join(f"{load:.1f}" for load in record["load_average_each_round"])
    parts = [
        "## Compared with the goals",
        f"{plan['rounds']} rounds; ratios within one round, their median (least..most). "
        f"{machine['cpu']}, {machine['cpus']} CPUs, Linux {machine['kernel']}, Python {machine['python']}; "
        f"CPU from {machine['cpu_read_from']}; load average at each round's start, our own included: {averages}.",
        goals_table(record["values"]),
        "## All values",
        "Medians, and half of least..most. Compare within a column only.",
        values_table(record["values"], names),
        "## By the number of compute hosts",
        cloud.table(record["clouds"]) or "Not measured.",
        "## Sessions of the console API",
        sessions.table(record["sessions"]) or "Not measured.",
        "## The price of policies",
        filters.table(record["filters"]) or "Not measured.",
        "## Until a page shows something",
        pages.table(record["pages"]) or "Not measured.",
        "## A long list of servers in the browser",
        long_list.table(record["tiles"]) or "Not measured.",
        "## User-space instructions",
        instructions.table(record["instructions"]) or "Not measured.",
        "## Not as shipped",
        _list(record["not_as_shipped"]),
        "## What was run",
        _list(f"{name} {version}" for name, version in record["versions"].items()),
        "## Not measured",
        _list(f"{what}: {why}" for what, why in record["unmeasured"].items()) or "Nothing is missing.",
    ]
    ours = _list(f"{name}: {why}" for name, why in record["wrong"].items() if is_ours(name))
    others = _list(f"{name}: {why}" for name, why in record["wrong"].items() if not is_ours(name))
    if others:
        parts += ["## Failures of other proxies: bytes changed or lost, or sessions that failed", others]
    if ours:
        parts = ["## WRONG: bytes changed or lost, or sessions that failed", ours, *parts]
    return "\n\n".join(parts) + "\n"


def _metrics(row: Mapping[str, Sequence[Values | None]]) -> list[str]:
    return list(dict.fromkeys(metric for rounds in row.values() for got in rounds if got for metric in got))


def _cell(cell: tuple[float, float] | None) -> str:
    if cell is None:
        return ""
    value, spread = cell
    return f"{_short(value)} ±{spread:.0%}" if spread else _short(value)


def _short(value: float) -> str:
    """A number with three significant digits."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _fraction(limit: float) -> str:
    return f"1/{round(1 / limit)}" if limit < 0.2 else f"{limit:g}"


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"* {item}" for item in items)
