"""Fuzz one target, guided by its coverage: ``python -m tests.fuzz.guided MODULE NAME LIBFUZZER_ARGUMENTS...``.

atheris is libFuzzer for Python.  It has wheels only for Linux on x86-64; elsewhere :mod:`tests.fuzz.blind` is used.
"""

import hashlib
import sys
import time
from pathlib import Path

import atheris  # type: ignore[import-untyped]

from .stretch import STRETCHING, in_time, stretched
from .table import corpus, targets

BEGAN = time.monotonic()

INSTRUMENTED = ["novnc_twisted", "autobahn.websocket.protocol", "twisted.web.http", "oslo_config.iniparser"]
"""The packages whose branches count: ours, and the libraries that read data from outside."""


def main() -> None:
    """Run the target.  This never returns, because libFuzzer ends the process."""
    _, module, name, *arguments = sys.argv
    seconds = int(_value(arguments, "-max_total_time", "0"))
    with atheris.instrument_imports(include=INSTRUMENTED, enable_loader_override=False):
        target = targets(module)[name]
    for data in (data for seed in corpus(name) for data in stretched(seed)):
        if time.monotonic() - BEGAN > STRETCHING * seconds:
            break
        try:
            in_time(target.run, data)
        except BaseException:
            _save(_value(arguments, "-artifact_prefix", "./"), data)
            raise
    if seconds:
        arguments.append(f"-max_total_time={max(1, round(seconds + BEGAN - time.monotonic()))}")
    atheris.Setup([sys.argv[0], *arguments], target.run)
    atheris.Fuzz()


def _value(arguments: list[str], name: str, default: str) -> str:
    return next((one.partition("=")[2] for one in arguments if one.startswith(f"{name}=")), default)


def _save(prefix: str, data: bytes) -> None:
    """Write a finding as libFuzzer does."""
    path = Path(f"{prefix}stretched-{hashlib.sha1(data).hexdigest()}")
    path.write_bytes(data)
    print(f"Test unit written to {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
