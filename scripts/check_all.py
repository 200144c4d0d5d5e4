#!/usr/bin/env python3
"""What ``make test-all`` runs: ``make test`` with each Python from 3.11 to 3.13, and the tests of the bus on Valkey.

Each version has its own environment, ``.venv-3.12`` for example.  Versions that the machine does not have are named at
the start and in the summary; they are not a failure.  ``--quick`` runs ``make quick`` instead, without Valkey.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

VERSIONS = ("3.11", "3.12", "3.13")
PLACES = "PATH, pyenv and uv"


def candidates(version: str) -> list[str]:
    """Interpreters that may have this version: on PATH, then those that pyenv and uv installed, newest first."""
    on_path = shutil.which(f"python{version}")
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR", Path.home() / ".local" / "share" / "uv" / "python"))
    kept = [
        *sorted(pyenv.glob(f"{version}.*/bin/python{version}"), key=_release, reverse=True),
        *sorted(uv.glob(f"cpython-{version}.*/bin/python{version}"), key=_release, reverse=True),
    ]
    return ([on_path] if on_path else []) + [str(path) for path in kept]


def _release(path: Path) -> tuple[list[int], bool, str]:
    """The sort key of an interpreter, from the name of its folder: 3.12.9 before 3.12.10, 3.13.0rc1 before 3.13.0."""
    name = path.parents[1].name
    numbers = [int(number) for number in re.findall(r"\d+", name)[:3]]
    return numbers, re.search(r"\d(a|b|rc)\d", name) is None, name


def find(version: str) -> str | None:
    """An interpreter of this version that starts and can make environments.  A shim of pyenv on PATH may not start."""
    for candidate in candidates(version):
        probe = subprocess.run(
            [candidate, "-c", "import sys, ssl, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
        )
        if probe.returncode == 0 and probe.stdout.strip() == version:
            return candidate
    return None


def _pass_on(process: subprocess.Popen[bytes]) -> None:
    """Pass SIGTERM and SIGINT on to the make that was started, and wait for it."""

    def end(number: int, _frame: FrameType | None) -> None:
        process.terminate()
        process.wait()
        os._exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


def run(title: str, command: list[str]) -> bool:
    """Run a command; return whether it passed."""
    print(f"\n##### {title}", flush=True)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        _pass_on(process)
        return process.wait() == 0


def main() -> int:
    """Run all versions; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="run make quick instead of make test")
    target = "quick" if parser.parse_args().quick else "test"
    found = {version: find(version) for version in VERSIONS}
    for version, python in found.items():
        print(f"Python {version}: {python or f'absent (looked for in {PLACES})'}", flush=True)
    results = {
        version: run(f"Python {version}: {python}", ["make", target, f"PYTHON={python}", f"VENV=.venv-{version}"])
        for version, python in found.items()
        if python is not None
    }
    on_valkey = target == "quick" or run("Valkey", [sys.executable, "scripts/check.py", "--only", "valkey"])
    print()
    for version in VERSIONS:
        print(f"Python {version}: " + {True: "passed", False: "FAILED", None: "absent"}[results.get(version)])
    if target == "test":
        print("The bus on Valkey: " + ("passed" if on_valkey else "FAILED"))
    return 0 if results and all(results.values()) and on_valkey else 1


if __name__ == "__main__":
    sys.exit(main())
