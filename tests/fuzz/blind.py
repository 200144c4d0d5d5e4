"""Fuzz one target without its coverage: ``python -m tests.fuzz.blind MODULE NAME SECONDS PREFIX``.

For machines without atheris.  hypothesis makes the inputs, and minimizes a failing one.  The output has libFuzzer's
form, as far as possible.
"""

import sys
import time
import traceback
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as hypothesis_seed

from .strategies import inputs
from .stretch import STRETCHING, in_time, stretched
from .table import corpus, targets
from .tools import Target

BATCH = 500


def drive(target: Target, seconds: float, prefix: str) -> int:
    """Run it for some seconds; return 0 if nothing was found."""
    count, last, until = 0, b"", time.monotonic() + seconds
    quiet = settings(
        max_examples=BATCH,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )

    def once(data: bytes) -> None:
        nonlocal count, last
        count, last = count + 1, data
        in_time(target.run, data)

    try:
        known = corpus(target.name)
        for data in known:
            once(data)
        for data in (data for seed in known for data in stretched(seed)):
            if time.monotonic() > until - (1 - STRETCHING) * seconds:
                break
            once(data)
        batch = 0
        while time.monotonic() < until:
            batch += 1
            hypothesis_seed(batch + time.time_ns())(quiet(given(inputs(target))(once)))()
    except Exception:
        traceback.print_exc()
        path = Path(f"{prefix}blind-{len(last)}")
        path.write_bytes(last)
        print(f"Test unit written to {path}", file=sys.stderr)
        return 77
    finally:
        print(f"stat::number_of_executed_units: {count}", file=sys.stderr)
    return 0


def main() -> int:
    _, module, name, seconds, prefix = sys.argv
    return drive(targets(module)[name], float(seconds), prefix)


if __name__ == "__main__":
    sys.exit(main())
