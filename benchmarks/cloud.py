"""The costs of a link, a check and a list in clouds of 1, 10, 100 and 1,000 compute hosts, over a real Redis."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.load import LOOPBACK, ROOT, LoadFailed, Unavailable, free_port, wait_for_port
from benchmarks.proxies import installed
from demo.guardian import die_with_parent

DOMAINS = 20
"""Servers of each host."""

METRICS: Mapping[str, str] = {
    "calls": "bus calls",
    "reads": "store commands",
    "cpu_ms": "CPU ms",
    "ms": "ms",
}
"""What is measured of each operation, with its title in the report."""

Cloud = Mapping[str, Mapping[str, float]]
"""The values of one cloud: for each operation, its :data:`METRICS`."""

_LONGEST = 3600.0
"""Seconds after which a load that does not end is given up."""


def measure(hosts: int, seconds: float, folder: Path) -> Cloud:
    """Measure a cloud with this many hosts.

    :param seconds: how long each operation is repeated.
    :raises Unavailable: there is no Redis, or the hosts did not start.
    :raises LoadFailed: an operation failed.
    """
    with _redis(folder) as port, _hosts(port, hosts):
        return _load(port, hosts, seconds)


def table(clouds: Mapping[str, Cloud]) -> str:
    """Return the values as Markdown tables, one for each operation."""
    lines: list[str] = []
    for operation in dict.fromkeys(name for cloud in clouds.values() for name in cloud):
        lines += ["", f"### {operation}", f"| hosts | {' | '.join(METRICS.values())} |"]
        lines.append("|---|" + "---|" * len(METRICS))
        for hosts, cloud in clouds.items():
            values = cloud.get(operation)
            if values is not None:
                lines.append(f"| {int(hosts):,} | {' | '.join(f'{_text(values[name])}' for name in METRICS)} |")
    return "\n".join(lines).strip()


def _text(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


@contextmanager
def _redis(folder: Path) -> Iterator[int]:
    server, port = installed("redis-server", "redis-server"), free_port()
    folder.mkdir(parents=True, exist_ok=True)
    command = [server, "--bind", LOOPBACK, "--port", str(port), "--save", "", "--dir", str(folder)]
    with _process(command) as process:
        wait_for_port(port, process)
        yield port


@contextmanager
def _hosts(port: int, hosts: int) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.cloud_hosts", str(port), str(hosts), str(DOMAINS)]
    with _process(command) as process:
        if process.stdout is None or process.stdout.readline() != b"ready\n":
            raise Unavailable(f"{hosts} compute hosts did not start")
        yield


def _load(port: int, hosts: int, seconds: float) -> Cloud:
    words = [str(port), str(hosts), str(DOMAINS), f"{seconds:g}"]
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "benchmarks.cloud_load", *words],
            cwd=ROOT,
            capture_output=True,
            timeout=_LONGEST + 10 * seconds,
            check=True,
        )
        found: Cloud = json.loads(ran.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        raise LoadFailed(f"the load with {hosts} compute hosts failed: {type(error).__name__}") from None
    return found


@contextmanager
def _process(command: Sequence[str]) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, preexec_fn=die_with_parent)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
