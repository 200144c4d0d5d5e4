"""``python -m benchmarks``: measure, print the report, and write it as JSON, Markdown and a picture.

Exit code 0: our proxy passed every byte unchanged; a missed goal is not a failure.  1: our proxy changed a byte, a
session through it failed, or ``--publish`` lacks a figure of the README.  2: nothing could be measured.
"""

import argparse
import dataclasses
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from benchmarks.load import CACHE, PUBLISHED, ROOT, Unavailable
from benchmarks.measure import FULL, QUICK, ROWS
from benchmarks.ours import beside
from benchmarks.picture import draw
from benchmarks.readme import missing, update
from benchmarks.report import text
from benchmarks.run import CLOUD, FILTERS, INSTRUCTIONS, PAGES, PROXIES, SESSIONS, Run

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Run the measurements, and return the exit code."""
    options = _options()
    for number in _ENDING:
        signal.signal(number, _end)
    plan = QUICK if options.quick else FULL
    if options.rounds:
        plan = dataclasses.replace(plan, rounds=options.rounds)
    run = Run(plan, lambda line: print(line, flush=True))
    try:
        run.go(options.only, options.rows, [beside(options.beside)] if options.beside else [])
    except Unavailable as trouble:
        print(f"benchmarks: {trouble}", file=sys.stderr)
        return 2
    record = run.record()
    names = subject_names()
    report = text(record, names)
    print("\n" + report)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "latest.json").write_text(json.dumps(record, indent=1) + "\n")
    caption = (
        f"{plan.rounds} rounds on {record['machine']['cpu']}, {record['machine']['cpus']} CPUs, "
        f"Python {record['machine']['python']}. haproxy is raw TCP: no HTTP, no WebSocket frames, no tokens."
    )
    wrong = any(what.startswith("ours") for what in run.wrong)
    leave(options.output, report, draw(record["values"], names, caption))
    whole = not options.only and not options.rows
    lacking = missing(report) if options.publish and whole else []
    if lacking:
        print(f"benchmarks: not published; the README needs {', '.join(lacking)}", file=sys.stderr)
    elif options.publish and not wrong:
        leave(PUBLISHED, report, draw(record["values"], names, caption))
        if whole:
            update(ROOT / "README.md", report)
    print(f"{run.seconds:.0f} s; written: latest.json, latest.md, latest.svg in {options.output}")
    return 1 if wrong or lacking else 0


def leave(folder: Path, report: str, picture: str) -> None:
    """Write the report and the picture into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest.md").write_text(report)
    (folder / "latest.svg").write_text(picture)


def _end(number: int, _frame: FrameType | None) -> None:
    """End the processes that were started, then exit; a second signal does not interrupt this."""
    for one in _ENDING:
        signal.signal(one, signal.SIG_IGN)
    sys.exit(128 + number)


def subject_names() -> list[str]:
    """The names of all subjects in the report's order: the fronts of one proxy are neighbours."""
    return [name for kind in PROXIES for name in (kind.name, f"{kind.name} (XVP)")] + ["beside", "beside (XVP)"]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="end within 3 minutes, with rougher results")
    parser.add_argument("--rounds", type=int, help=f"measurements of each row ({FULL.rounds}, quick {QUICK.rounds})")
    parser.add_argument(
        "--only", type=_list_of([kind.name for kind in PROXIES]), default=[], help="the proxies to measure, joined by +"
    )
    rows = [*ROWS, CLOUD, SESSIONS, FILTERS, PAGES, INSTRUCTIONS]
    parser.add_argument("--rows", type=_list_of(rows), default=[], help=f"the rows to measure, of {'+'.join(rows)}")
    parser.add_argument("--beside", type=Path, help="another checkout of this project, measured in the same run")
    parser.add_argument("--output", type=Path, default=CACHE, help="folder for the results (.make/bench)")
    parser.add_argument(
        "--publish", action="store_true", help="write report and picture to docs/performance, unless something failed"
    )
    return parser.parse_args()


def _list_of(known: list[str]) -> Callable[[str], list[str]]:
    def parse(given: str) -> list[str]:
        names = given.split("+")
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not one of {', '.join(known)}")
        return names

    return parse


if __name__ == "__main__":
    sys.exit(main())
