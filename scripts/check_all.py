#!/usr/bin/env python3
"""What ``make test-all`` runs: ``make test`` with each Python from 3.11 to 3.13 that is here; names the absent."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

VERSIONS = ("3.11", "3.12", "3.13")


def find(version: str) -> str | None:
    """The interpreter of a version: on PATH, or where pyenv keeps it.  It must be able to start."""
    home = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    on_path = shutil.which(f"python{version}")
    kept = sorted(home.glob(f"versions/{version}.*/bin/python{version}"))
    for candidate in ([on_path] if on_path else []) + [str(path) for path in reversed(kept)]:
        probe = subprocess.run(
            [candidate, "-c", "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"],
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


def main() -> int:
    """Run all; gives the exit code."""
    results = {}
    for version in VERSIONS:
        python = find(version)
        if python is None:
            results[version] = "absent"
            continue
        print(f"\n##### Python {version}: {python}", flush=True)
        command = ["make", "test", f"PYTHON={python}", f"VENV=.venv-{version}"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
            _pass_on(process)
            results[version] = "passed" if process.wait() == 0 else "FAILED"
    print()
    for version, result in results.items():
        print(f"Python {version}: {result}")
    return 0 if "FAILED" not in results.values() and "passed" in results.values() else 1


if __name__ == "__main__":
    sys.exit(main())
