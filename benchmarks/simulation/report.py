"""The report of a run in Markdown; ``docs/scaling.rst`` shows its sections."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from novnc_twisted.messaging.domain_directory import MAX_AGE
from novnc_twisted.session.settings import SessionSettings

IDLE = {
    "redis_cpu": "CPU of Redis, %",
    "redis_cpu_us": "CPU of Redis for each host, us each second",
    "commands": "commands of each host, each second",
    "bytes": "bytes of each host, each second",
    "host_cpu_ms": "CPU of a host's service, ms each second",
    "redis_kib": "memory of Redis for each host with its servers, KiB",
    "connections": "connections to Redis",
    "consoleauth_mib": "memory of consoleauth, MiB",
    "consoleapi_mib": "memory of consoleapi, MiB",
}
"""The values measured while there are no requests, with their titles."""

COSTS = {
    "calls": "bus calls",
    "commands": "commands of Redis",
    "redis_ms": "Redis, CPU ms",
    "consoleauth_ms": "consoleauth, CPU ms",
    "consoleapi_ms": "consoleapi, CPU ms",
    "real_hosts_ms": "compute host, CPU ms",
    "workers_ms": "proxies, CPU ms",
    "per_s": "each second",
    "p50_ms": "median ms",
    "p99_ms": "p99 ms",
    "failed": "failed",
}
"""The values measured for an operation, with their titles."""

OPERATIONS = {
    "link": ("A link", ("workers_ms",)),
    "check": ("A check of a token", ("consoleapi_ms", "workers_ms")),
    "lease": ("A renewal of a lease", ("consoleapi_ms", "real_hosts_ms", "workers_ms")),
    "unknown": ("A request for an unknown server", ("real_hosts_ms", "workers_ms", "per_s", "consoleauth_ms")),
    "list": ("A list of a project's servers", ("real_hosts_ms", "workers_ms", "per_s", "consoleauth_ms")),
}
"""The operations measured for each number of hosts: the title, and the columns that are left out."""

SESSIONS = {
    "page": ("A page of 1,000 sessions", ("real_hosts_ms", "per_s", "consoleauth_ms")),
    "show": ("One session", ("real_hosts_ms", "per_s", "consoleauth_ms")),
    "revoke": ("A revocation of a link", ("real_hosts_ms", "per_s")),
    "check with limits": ("A check with limits over all proxies", ("consoleapi_ms",)),
}
"""The operations measured for each number of sessions."""

FAILOVER = {
    "back_s": "until all hosts are announced, s",
    "first_link_s": "until the first link is made, s",
    "redis_cpu": "CPU of Redis meanwhile, %",
    "consoleauth_cpu": "CPU of consoleauth meanwhile, %",
    "consoleapi_cpu": "CPU of consoleapi meanwhile, %",
    "connections": "connections that Redis accepted",
    "peak": "busiest tenth of a second after that, times the average",
    "link_per_s": "links each second after that",
    "link_failed": "links that failed after that",
}

CLOUDS = ((1_000, 10_000, 10), (10_000, 100_000, 50), (20_000, 200_000, 100))
"""Hosts, live sessions and links per second of the extrapolated clouds."""

BUSY = 0.6
"""Share of a processor that a process may use; the rest is for peaks."""

TOKEN_LIFE = 660.0
"""Seconds for which Redis keeps a token that nobody uses: token_ttl and a lease."""

_PERCENT = {"redis_cpu", "consoleauth_cpu", "consoleapi_cpu"}


def text(record: Mapping[str, Any]) -> str:
    """Return the whole report."""
    machine, plan = record["machine"], record["plan"]
    result = record["result"]
    parts = [
        "## Machine",
        f"{machine['cpu']}, {machine['cpus']} CPUs, Linux {machine['kernel']}, Python {machine['python']}, "
        f"Redis {machine['redis']}; load average at the start {machine['load']:.1f}; {record['seconds']:.0f} s in all. "
        f"{plan['real']} hosts are real, the others idle; {plan['domains']} servers on each host; "
        f"{plan['at_once']} requests at a time.",
        "## Idle",
        _by_size(result["hosts"], "idle", IDLE, (), "compute hosts"),
        "## By the number of compute hosts",
        *_tables(result["hosts"], OPERATIONS, "compute hosts"),
        "## By the number of sessions",
        *_tables(result["sessions"], SESSIONS, "sessions"),
        "## Failover",
        _column(result["failover"], FAILOVER),
        "## Extrapolated",
        _extrapolated(result["hosts"]),
    ]
    return "\n\n".join(parts) + "\n"


def _extrapolated(steps: Mapping[str, Any]) -> str:
    """Extrapolate the needs of clouds of several sizes from the costs at the largest measured size."""
    # At sizes where operations failed, the costs are those of an overloaded system.
    whole = [
        size for size, step in steps.items() if not any(step[work]["failed"] for work in ("link", "check", "lease"))
    ]
    last = max(map(int, whole or steps))
    at = steps[str(last)]
    head = [f"from {last:,} hosts", *(f"{hosts:,} hosts, {sessions:,} sessions" for hosts, sessions, _ in CLOUDS)]
    rows: dict[str, list[str]] = {}
    for hosts, sessions, links in CLOUDS:
        for title, value in _needs(at, last, hosts, sessions, links).items():
            rows.setdefault(title, []).append(value)
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *(f"| {title} | {' | '.join(cells)} |" for title, cells in rows.items())])


def _needs(at: Mapping[str, Any], measured: int, hosts: int, sessions: int, links: int) -> dict[str, str]:
    """Return what one cloud needs.

    :param at: the values at the largest size, which is ``measured`` hosts.
    :param links: links made and used each second.
    """
    leases = sessions / SessionSettings().keep_interval
    # An update of a process's copy of the directory, every MAX_AGE seconds, costs in proportion to the hosts.
    look = hosts / measured / MAX_AGE / 1e3

    def load(name: str) -> float:
        each_link: float = sum(at[work].get(f"{name}_ms", 0.0) for work in ("link", "check"))
        each_lease: float = at["lease"].get(f"{name}_ms", 0.0)
        return (leases * each_lease + links * each_link) / 1e3

    consoleauth, consoleapi, update = load("consoleauth"), load("consoleapi"), look * at["unknown"]["consoleapi_ms"]
    processes = [max(2, ceil(cpu / (BUSY - update))) for cpu in (consoleauth, consoleapi)]
    redis = at["idle"]["redis_cpu_us"] * hosts / 1e6 + load("redis") + sum(processes) * look * at["unknown"]["redis_ms"]
    memory = at["idle"]["redis_kib"] * hosts + at["link"]["redis_kib"] * (sessions + links * TOKEN_LIFE)
    return {
        "links each second": f"{links}",
        "renewals of leases each second, if all sessions are older than ten minutes": f"{leases:,.0f}",
        "CPU of Redis, %": f"{100 * redis:.0f}",
        f"consoleauths, each at most {BUSY:.0%} busy": f"{processes[0]}",
        f"processes of consoleapi, each at most {BUSY:.0%} busy": f"{processes[1]}",
        "memory of Redis, MiB": f"{memory / 1024:,.0f}",
        "connections to Redis": f"{2 * hosts + 3 * ceil(sessions / 500) + 5 * sum(processes):,}",
    }


def _tables(steps: Mapping[str, Any], operations: Mapping[str, Any], title: str) -> list[str]:
    parts = []
    for name, (heading, without) in operations.items():
        parts += [f"### {heading}", _by_size(steps, name, COSTS, without, title)]
    return parts


def _by_size(
    steps: Mapping[str, Any], operation: str, titles: Mapping[str, str], without: Sequence[str], title: str
) -> str:
    columns = [name for name in titles if name not in without]
    extra = ["workers"] if any("workers" in step for step in steps.values()) else []
    head = [title, *extra, *(titles[name] for name in columns)]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for size, step in steps.items():
        values = step[operation]
        more = [f"{step['workers']['number']:,}"] if extra else []
        cells = [f"{int(size):,}", *more, *(_text(name, values[name]) for name in columns)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _column(values: Mapping[str, float], titles: Mapping[str, str]) -> str:
    rows = [f"| {title} | {_text(name, values[name])} |" for name, title in titles.items()]
    return "\n".join(["| | |", "|---|---|", *rows])


def _text(name: str, value: float) -> str:
    if name in _PERCENT:
        return f"{100 * value:.0f}"
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.3g}"
