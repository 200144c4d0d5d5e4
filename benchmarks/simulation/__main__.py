"""``python -m benchmarks.simulation``: many compute hosts and sessions on a real Redis; print the report.

Exit code 0: everything was measured.  1: something failed.  2: nothing could be measured.
"""

import argparse
import dataclasses
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.load import CACHE, PUBLISHED, LoadFailed, Unavailable
from benchmarks.simulation.plan import FULL, QUICK, Plan, sized
from benchmarks.simulation.report import text
from benchmarks.simulation.run import Run
from benchmarks.simulation.system import System, check_limits


def main() -> int:
    """Run it, and return the exit code."""
    options = _options()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    plan = QUICK if options.quick else sized(options.hosts, options.sessions)
    try:
        record = simulate(plan)
    except Unavailable as trouble:
        print(f"simulation: {trouble}", file=sys.stderr)
        return 2
    except LoadFailed as trouble:
        print(f"simulation: {trouble}", file=sys.stderr)
        return 1
    report = text(record)
    print("\n" + report)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "scaling.json").write_text(json.dumps(record, indent=1) + "\n")
    (options.output / "scaling.md").write_text(report)
    if options.publish:
        (PUBLISHED / "scaling.md").write_text(report)
    print(f"{record['seconds']:.0f} s; written: scaling.json, scaling.md in {options.output}")
    return 0


def simulate(plan: Plan, say: Any = lambda line: print(line, flush=True)) -> dict[str, Any]:
    """Run a plan in a temporary folder, and return what was measured.

    :raises Unavailable: there is no Redis, or the limit of open files is too low.
    :raises LoadFailed: a process of the simulation failed.
    """
    check_limits()
    folder = Path(tempfile.mkdtemp(prefix="simulation-"))
    system = System(folder)
    load, began = os.getloadavg()[0], time.perf_counter()
    run = Run(plan, system, say)
    try:
        run.go()
        redis = system.info("server")["redis_version"]
    finally:
        system.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "machine": _machine() | {"load": load, "redis": redis},
        "plan": dataclasses.asdict(plan),
        "seconds": time.perf_counter() - began,
        "result": run.result,
    }


def _machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.machine(),
        "cpus": os.cpu_count() or 1,
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _end(number: int, _frame: FrameType | None) -> None:
    """Exit through the ``finally`` of :func:`simulate`, which ends the started processes."""
    sys.exit(128 + number)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__.split("\n")[0])
    parser.add_argument("--hosts", type=int, default=max(FULL.hosts), help="maximum number of compute hosts")
    parser.add_argument("--sessions", type=int, default=FULL.sessions[-1][0], help="maximum number of live sessions")
    parser.add_argument("--quick", action="store_true", help="1,000 hosts and 10,000 sessions, in two minutes")
    parser.add_argument("--output", type=Path, default=CACHE, help="folder for the results (.make/bench)")
    parser.add_argument("--publish", action="store_true", help="write the report to docs/performance as well")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
