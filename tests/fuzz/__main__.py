"""``make fuzz``: run every target for its share of the time, on all cores, and print a table at the end.

Exit code 0 if each target ran and nothing was found.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from .stretch import in_time
from .table import CORPUS, module_of, targets
from .tools import Target

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".make" / "fuzz"
SLOWEST = 25
"""Limit of seconds for one input; only a cost that is quadratic in its length takes that long."""

MEMORY = 1024
"""Memory limit of a target's process, in MiB."""

KEPT, KEPT_LONGEST = 24, 640
"""Maximum number of inputs that fuzzing may add to the corpus of a target, and their maximum length."""

_running: set[subprocess.Popen[str]] = set()
_printing = threading.Lock()


@dataclass
class Outcome:
    """The result for one target."""

    target: Target
    executions: int = 0
    seconds: float = 0.0
    edges: str = "-"
    inputs: str = "-"
    failed: bool = False
    findings: list[Path] = field(default_factory=list)


def drive(target: Target, seconds: float, guided: bool) -> Outcome:
    """Run one target in its own process."""
    findings, grown = PLACE / "findings" / target.name, PLACE / "corpus" / target.name
    for folder in (findings, grown):
        folder.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    command = [sys.executable, "-m", f"tests.fuzz.{'guided' if guided else 'blind'}", module_of(target), target.name]
    if guided:
        words = PLACE / f"{target.name}.words"
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
        command += [
            f"-max_total_time={max(1, round(seconds))}",
            f"-max_len={target.longest}",
            f"-timeout={SLOWEST}",
            f"-rss_limit_mb={MEMORY}",
            f"-artifact_prefix={findings}/",
            f"-dict={words}",
            "-print_final_stats=1",
            str(grown),
        ]
        if (CORPUS / target.name).is_dir():
            command.append(str(CORPUS / target.name))
    else:
        command += [str(seconds), f"{findings}/"]
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    _running.add(process)
    output = process.communicate()[0]
    _running.discard(process)
    found = Outcome(target, seconds=time.monotonic() - began)
    counts = re.findall(r"number_of_executed_units: +(\d+)", output) or re.findall(r"^#(\d+)\s", output, re.M)
    found.executions = int(counts[-1]) if counts else 0
    found.edges = (re.findall(r"cov: (\d+)", output) or ["-"])[-1]
    found.inputs = (re.findall(r"corp: (\d+)", output) or ["-"])[-1]
    found.findings = sorted(set(findings.iterdir()) - before)
    found.failed = bool(process.returncode or found.findings or not found.executions)
    (PLACE / f"{target.name}.log").write_text(output)
    with _printing:
        print(f"{target.name}: {found.executions} executions in {found.seconds:.0f} s", flush=True)
        if found.failed:
            print(f"FOUND in {target.name} (exit code {process.returncode}):\n{_finding_in(output)}", flush=True)
            for path in found.findings:
                print(f"  {sys.executable} -m tests.fuzz --replay {path}", flush=True)
    return found


def _escaped(word: bytes) -> str:
    """A word in the form of libFuzzer's dictionaries."""
    return "".join(f"\\x{byte:02x}" for byte in word)


def _finding_in(output: str) -> str:
    """The part of the output that describes the finding."""
    begins = [output.find(what) for what in ("=== Uncaught Python exception", "Traceback (", "ERROR: libFuzzer")]
    begin = min((at for at in begins if at >= 0), default=0)
    return "\n".join(f"  | {line}" for line in output[begin:].splitlines()[:40])


def table(outcomes: list[Outcome], guided: bool, seconds: float) -> str:
    """The summary at the end."""
    rows = [("target", "executions", "per second", "edges", "corpus", "findings")]
    for one in sorted(outcomes, key=lambda outcome: outcome.target.name):
        speed = f"{one.executions / one.seconds:,.0f}" if one.seconds else "-"
        found = str(len(one.findings)) if one.findings or not one.failed else "did not run"
        rows.append((one.target.name, f"{one.executions:,}", speed, one.edges, one.inputs, found))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    count, failed = sum(one.executions for one in outcomes), sum(one.failed for one in outcomes)
    how = "led by coverage (atheris)" if guided else "without coverage (hypothesis)"
    total = f"{len(outcomes)} targets, {count:,} executions {how} in {seconds:.0f} s, {failed} failed"
    return "\n".join([*lines, "", total])


def keep(target: Target) -> int:
    """Add a few small inputs that reach more code to the corpus; return the exit code."""
    ours, grown = CORPUS / target.name, PLACE / "corpus" / target.name
    if not grown.is_dir():
        return 0
    command = [sys.executable, "-m", "tests.fuzz.keep", module_of(target), target.name, str(grown)]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    new = [path for path in map(Path, done.stdout.splitlines()) if path.stat().st_size <= KEPT_LONGEST]
    room = KEPT - sum(len(path.name) == 40 for path in ours.iterdir())  # files named by a hash come from libFuzzer
    for path in new[: max(0, room)]:
        shutil.copyfile(path, ours / path.name)
    print(f"{target.name}: {len(new)} of {len(list(grown.iterdir()))} inputs reach more", flush=True)
    return done.returncode


def replay(path: Path) -> int:
    """Run a target on one of its findings, to see the traceback; the finding's folder names the target."""
    name = path.resolve().parent.name
    found = targets()
    if name not in found:
        print(f"{path}: no target is called {name}, the name of its folder", file=sys.stderr)
        return 2
    in_time(found[name].run, path.read_bytes())
    print(f"{path}: nothing is wrong with it (any more)")
    return 0


def end(number: int, _frame: FrameType | None) -> None:
    """Handle SIGTERM and SIGINT: end the other processes as well."""
    for process in list(_running):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    os._exit(128 + number)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help="names of targets (all)")
    parser.add_argument("--seconds", type=float, default=600.0, help="for all targets together (600)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at a time (one for each core)")
    parser.add_argument("--blind", action="store_true", help="with hypothesis, without coverage")
    parser.add_argument("--replay", type=Path, help="a file with an input that failed")
    parser.add_argument("--keep", action="store_true", help="run nothing; add what runs have found to the corpus")
    options = parser.parse_args()
    if options.replay is not None:
        return replay(options.replay)
    found = targets()
    if unknown := set(options.targets) - set(found):
        parser.error(f"there are no targets {', '.join(sorted(unknown))}; there are: {', '.join(sorted(found))}")
    chosen = [found[name] for name in options.targets or found]
    if options.keep:
        return max(keep(target) for target in chosen)
    guided = not options.blind and find_spec("atheris") is not None
    if not guided:
        print("atheris is not installed (it has wheels for Linux on x86-64 alone): hypothesis fuzzes without coverage")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    PLACE.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    share = options.seconds * min(options.jobs, len(chosen)) / len(chosen)
    print(f"{len(chosen)} targets, {share:.0f} s each, {options.jobs} at a time", flush=True)
    with ThreadPoolExecutor(options.jobs) as lanes:
        outcomes = list(lanes.map(lambda target: drive(target, share, guided), chosen))
    print("\n" + table(outcomes, guided, time.monotonic() - began))
    return 1 if any(one.failed for one in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
