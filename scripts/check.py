#!/usr/bin/env python3
"""What ``make test`` runs: lint, the page's tests, and trial on everything.  It prints the output of each step.

The exit code is 0 only if everything ran and passed and nothing was skipped.  The count is written to ``.make/count``.
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
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

# These import neither Twisted nor our package.
from scripts.run_again import REPEATS, Failures, failed_tests, unstable  # noqa: E402
from scripts.test_lists import FAULTS, ON_VALKEY, integration_names, quick_names, unit_names, web_names  # noqa: E402
from tests.support import handed_out  # noqa: E402
from tests.support.valkey import valkey_server  # noqa: E402

BIN = Path(sys.executable).parent
PATH = f"{BIN}:{os.environ['PATH']}:/usr/sbin:/sbin"
WEB = ROOT / "novnc_twisted" / "web"

PARTS = {
    "libvirtd": "libvirt-daemon libvirt-daemon-driver-qemu",
    "virsh": "libvirt-clients",
    "qemu-system-x86_64": "qemu-system-x86",
    "redis-server": "redis-server",
    "chromium": "chromium",
    "firefox-esr": "firefox-esr",
    "ip": "iproute2",
    "Xtigervnc": "tigervnc-standalone-server",
    "vncsnapshot": "vncsnapshot",
    "openssl": "openssl",
    "systemd-analyze": "systemd",
    "curl": "curl",
}
"""The programs that the tests run, and the Debian packages that contain them."""

FILES = {
    "/usr/share/X11/xkb/symbols/us": "xkb-data",
    "/usr/share/X11/locale/en_US.UTF-8/Compose": "libx11-data",
    "/usr/lib/*/libxkbcommon.so.0": "libxkbcommon0",
}
"""The files that the tests read, and the Debian packages that contain them."""

HANDED_OUT = ROOT / ".make" / "handed-out"
"""The folder in which the tests leave the tokens and passwords that they created, and the output of their services."""

STEP_LIMIT = 45 * 60
"""Maximum duration of a step in seconds."""

_running: list[subprocess.Popen[str]] = []


class Report:
    """The counts and the failures of a run."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0
        self.complaints: list[str] = []
        self.failures: list[Failures] = []
        self.unstable: list[str] = []

    def complain(self, text: str, count: int = 1) -> None:
        """Record ``count`` failures, in one line of text."""
        self.failed += count
        self.complaints.append(text)

    def run_again(self, limit: int = 3) -> None:
        """Run the failed tests again, as ``scripts/run_again.py`` describes, and record the result.

        :param limit: if more tests have failed, none runs again: so many do not fail by chance.
        """
        few = sum(one.count for one in self.failures) <= limit
        by_chance: set[str] = set()
        if few:
            by_chance = unstable(self.failures, lambda command: not run("again", command)[0])
        for one in self.failures:
            passed = by_chance & set(one.names)
            self.passed += len(passed)
            for name in sorted(passed):
                self.unstable.append(f"UNSTABLE: {name} failed, then passed {REPEATS} times by itself")
            if bad := one.count - len(passed):
                self.complain(one.summary, bad)
        self.failures.clear()

    def close(self) -> int:
        """Print and write the totals, and return the exit code."""
        if not self.passed:
            self.complain("no test ran")
        for text in self.unstable:
            print(text)
        for text in self.complaints:
            print(f"NOT PASSED: {text}")
        count = f"{self.passed} passed, {self.failed} failed"
        (ROOT / ".make").mkdir(exist_ok=True)
        (ROOT / ".make" / "count").write_text(count + "\n")
        print(count, flush=True)
        return 1 if self.failed else 0


def run(title: str, command: list[str], folder: Path = ROOT, *, live: bool = True) -> tuple[int, str]:
    """Run a command, and return its exit code and its output.

    :param live: show the output while the command runs; otherwise at its end.
    """
    if live:
        print(f"\n=== {title}", flush=True)
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        env=os.environ | {"PATH": PATH, "PYTHONUNBUFFERED": "1"},
    )
    _running.append(process)
    limit = threading.Timer(STEP_LIMIT, _give_up, (title, process))
    limit.daemon = True
    limit.start()
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if live:
            sys.stdout.write(line)
            sys.stdout.flush()
    process.wait()
    limit.cancel()
    _running.remove(process)
    text = "".join(lines)
    shown = "" if live else f"\n=== {title}\n{text}"
    print(f"{shown}=== {title}: {time.monotonic() - began:.0f} s", flush=True)
    return process.returncode, text


def lint(report: Report) -> None:
    """Run ruff, mypy, codespell and the prose linter, in parallel."""
    commands = {
        "mypy": ["mypy"],
        "prose": ["python", "scripts/check_prose.py"],
        "ruff check": ["ruff", "check", "."],
        "ruff format": ["ruff", "format", "--check", "."],
        "codespell": ["codespell", "--quiet-level=2"],
    }
    with ThreadPoolExecutor(os.cpu_count()) as lanes:
        done = {
            title: lanes.submit(run, title, [str(BIN / command[0]), *command[1:]], live=False)
            for title, command in commands.items()
        }
    for title, one in done.items():
        if one.result()[0]:
            report.complain(title)


def page(report: Report) -> None:
    """Run the page's own tests with Node's test runner."""
    status, text = run("the page's tests", ["npm", "test"], WEB, live=False)
    numbers = {
        name: int(number) for name, number in re.findall(r"^\S+ (pass|fail|skipped|todo|cancelled) (\d+)$", text, re.M)
    }
    bad = sum(number for name, number in numbers.items() if name != "pass")
    report.passed += numbers.get("pass", 0)
    if bad:
        report.complain(f"the page's tests: {numbers}", bad)
    elif status or not numbers.get("pass"):
        report.complain("the page's tests did not run")


def parts(report: Report) -> None:
    """Check that the real programs and files are installed; each missing one is a failure with its name."""
    for name, package in PARTS.items():
        if shutil.which(name, path=PATH) is None:
            report.complain(f"{name} is missing (apt-get install {package})")
    for pattern, package in FILES.items():
        if not any(Path("/").glob(pattern.lstrip("/"))):
            report.complain(f"{pattern} is missing (apt-get install {package})")


def trial(report: Report, title: str, arguments: list[str], *, live: bool = True) -> None:
    """Run trial, and read its summary."""
    folder = f"_trial_temp_{title.replace(' ', '_')}"
    command = [str(BIN / "trial"), f"--temp-directory={folder}"]
    count(report, title, command, arguments, live=live)


def count(report: Report, title: str, command: list[str], arguments: list[str], *, live: bool = True) -> None:
    """Run a command that runs trial, and read trial's summary.

    :param command: runs trial.  To run a failed test again, its name is appended to this command.
    :param arguments: selects all tests of the step.
    """
    status, text = run(title, [*command, *arguments], live=live)
    handed_out.output(title, text)
    ran = sum(int(number) for number in re.findall(r"^Ran (\d+) tests? in ", text, re.M))
    counts: Counter[str] = Counter()
    for summary in re.findall(r"^(?:PASSED|FAILED)(?: \((.*)\))?$", text, re.M):
        counts.update({name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", summary)})
    report.passed += counts.pop("successes", 0)
    bad = sum(counts.values())
    if bad:
        summary = f"{title}: " + ", ".join(f"{number} {name}" for name, number in counts.items())
        report.failures.append(Failures(summary, bad, failed_tests(text, bad), command))
    elif status or not ran:
        report.complain(f"{title} ended with {status} after {ran} tests")


def tests(report: Report) -> None:
    """Run trial: the page's tests in browsers, the unit tests and the integration tests, in parallel."""
    handed_out.begin(HANDED_OUT)
    units = {"unit tests": [f"-j{os.cpu_count() or 1}", *unit_names()]}
    integration = {f"integration {name}": [f"tests.integration.{name}"] for name in integration_names()}
    side_by_side(report, {"web": ["-j2", *web_names()], **units, **integration})
    report.run_again()
    search_for_secrets(report)


def faults(report: Report) -> None:
    """Run the tests that kill parts of clouds, and those with a real systemd."""
    handed_out.begin(HANDED_OUT)
    side_by_side(report, {name: [f"tests.{name}"] for name in FAULTS})
    report.run_again()
    search_for_secrets(report)


def side_by_side(report: Report, steps: dict[str, list[str]]) -> None:
    """Run trial once for each title, with its arguments, several at a time."""
    print(f"\n=== {len(steps)} steps beside each other; the output of each comes at its end", flush=True)
    # More threads than processors: most of these tests wait for deadlines and for services that start.
    with ThreadPoolExecutor((os.cpu_count() or 1) + 3) as lanes:
        done = [lanes.submit(trial, report, title, arguments, live=False) for title, arguments in steps.items()]
    for one in done:
        one.result()


def quick(report: Report) -> None:
    """Run trial on the short unit tests."""
    jobs = os.cpu_count() or 1
    trial(report, "quick tests", [*([f"-j{jobs}"] if jobs > 1 else []), *quick_names()])
    report.run_again(0)


def nova(report: Report) -> None:
    """Run the tests with a real nova, which is in .venv-nova."""
    count(report, "nova", [sys.executable, "-m", "tests.nova"], [])
    report.run_again()


def packages(report: Report) -> None:
    """Build the Debian package and the images, and test them and the Ansible role."""
    count(report, "packages", [sys.executable, "-m", "tests.packages"], [])
    report.run_again(0)  # each run would build everything again


def valkey(report: Report) -> None:
    """Run the tests of the bus on Valkey."""
    try:
        os.environ["TEST_REDIS_SERVER"] = valkey_server()
    except FileNotFoundError as error:
        report.complain(str(error))
        return
    trial(report, "the bus on Valkey", [f"tests.integration.{name}" for name in ON_VALKEY])
    report.run_again()


def search_for_secrets(report: Report) -> None:
    """Search all that this run logged and printed for its tokens and passwords.

    A search for a planted secret comes first, to check that the search finds something.
    """
    print("\n=== the search for secrets", flush=True)
    planted = handed_out.secret("planted-" + os.urandom(16).hex())
    control = HANDED_OUT / "control.log"
    control.write_text(f"a line with {planted} in it\n")
    if not handed_out.search(HANDED_OUT, [control])[0]:
        report.complain("the search for secrets does not find one that was planted")
    found, counts = handed_out.search(HANDED_OUT, sorted(ROOT.glob("_trial_temp_*/**/*.log")))
    print("searched: " + ", ".join(f"{count} {what}" for what, count in counts.items()), flush=True)
    for line in found:
        report.complain(f"a secret was disclosed: {line}")
    if counts["secrets"] < 50 or counts["files"] < 50:
        report.complain("the search for secrets had too little to search for")


def _give_up(title: str, process: subprocess.Popen[str]) -> None:
    print(f"NOT PASSED: {title} did not end within {STEP_LIMIT} s", flush=True)
    os.killpg(process.pid, signal.SIGKILL)


def _end(number: int, _frame: FrameType | None) -> None:
    for process in _running:
        try:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(10)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    os._exit(128 + number)


def main() -> int:
    """Run all steps, or some of them."""
    steps = {"lint": lint, "page": page, "parts": parts, "tests": tests, "quick": quick}
    steps |= {"faults": faults, "nova": nova, "packages": packages, "valkey": valkey}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=list(steps), help="run only this part (may be repeated)")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    report = Report()
    chosen = [name for name in steps if name in (options.only or ("lint", "page", "parts", "tests"))]
    with ThreadPoolExecutor() as beside:
        # In parallel with all others: mypy uses one processor for a long time.
        checked = beside.submit(lint, report) if "lint" in chosen else None
        for name in chosen:
            if name != "lint":
                steps[name](report)
        if checked is not None:
            checked.result()
    if options.only == ["lint"]:
        return 1 if report.failed else 0
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
