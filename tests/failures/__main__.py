"""``make failures``: try every fault of every part, and write the table of the documents.

Each lane has a cloud of its own, and tries its faults one after the other.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.failures.table import CLOUDS, FILE, ROOT, faults
from tests.support.valkey import valkey_server

LANES = 2
SECONDS = 8.0
"""How long a fault lasts: longer than a presence entry lasts (3 s), every deadline of a call (5 s) and a failover."""

LIMIT = 60.0
"""Maximum number of seconds for one fault on a busy machine; a lane has three times as many for its start and end."""

_INIT = ("unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")


def lane(cloud: str, wanted: list[str], seconds: float, folder: Path) -> list[dict[str, Any]]:
    """Run faults one after the other in a cloud of this kind, in namespaces of its own; return what happened."""
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".json") as file:
        environment = dict(os.environ)
        if cloud == "valkey":
            environment["TEST_REDIS_SERVER"] = valkey_server()
        python = [sys.executable, "-u", "-m"]
        command = [*_INIT, *python, "tests.failures.init", *python, "tests.failures.lane"]
        done = subprocess.run(
            [*command, file.name, str(seconds), cloud, *wanted],
            cwd=ROOT,
            env=environment,
            timeout=LIMIT * (len(wanted) + 3),
        )
        outcomes = [json.loads(line) for line in Path(file.name).read_text().splitlines()]
    if done.returncode or len(outcomes) != len(wanted):
        raise SystemExit(f"a lane failed after {len(outcomes)} of {len(wanted)} faults: {' '.join(wanted)}")
    return outcomes


def lanes(wanted: dict[str, list[str]], count: int, seconds: float) -> dict[str, list[dict[str, Any]]]:
    """Run the faults of each kind of cloud; return their outcomes."""
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory(prefix="failures-", dir="/tmp") as folder, ThreadPoolExecutor(count) as pool:
        parts = {cloud: [names[start::count] for start in range(count)] for cloud, names in wanted.items()}
        work = {
            cloud: [pool.submit(lane, cloud, part, seconds, Path(folder)) for part in some if part]
            for cloud, some in parts.items()
        }
        for cloud, futures in work.items():
            outcomes = [outcome for future in futures for outcome in future.result()]
            order = {name: number for number, name in enumerate(wanted[cloud])}
            found[cloud] = sorted(outcomes, key=lambda one: order[one["part"] + ":" + one["fault"]])
    return found


def main() -> None:
    """Run all faults, or the chosen ones, and write the file of the table."""
    parser = argparse.ArgumentParser(prog="make failures", description=__doc__)
    parser.add_argument("faults", nargs="*", help="only these, such as primary:kill; nothing is written then")
    parser.add_argument("--cloud", choices=CLOUDS, help="only this kind of cloud")
    parser.add_argument("--lanes", type=int, default=LANES, help="how many clouds run at the same time")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long a fault lasts")
    chosen = parser.parse_args()
    if os.geteuid():
        raise SystemExit("make failures makes network namespaces, which only root can: sudo make failures")
    clouds = [chosen.cloud] if chosen.cloud else list(CLOUDS)
    wanted = {cloud: chosen.faults or faults(cloud) for cloud in clouds}
    if chosen.faults and not chosen.cloud:
        wanted = {clouds[0]: chosen.faults}
    began = time.monotonic()
    outcomes = lanes(wanted, chosen.lanes, chosen.seconds)
    print(f"{sum(map(len, outcomes.values()))} faults in {time.monotonic() - began:.0f} s")
    wrong = [one for some in outcomes.values() for one in some if "WRONG SCREEN" in json.dumps(one)]
    if not chosen.faults and not chosen.cloud:
        made = {
            "made": datetime.now(UTC).strftime("%Y-%m-%d"),
            "machine": f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}",
            "seconds": chosen.seconds,
            "clouds": outcomes,
        }
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(json.dumps(made, indent=1) + "\n")
        print(f"{FILE.relative_to(ROOT)} is written")
    if wrong:
        raise SystemExit(f"WRONG SCREEN: {wrong}")


if __name__ == "__main__":
    main()
