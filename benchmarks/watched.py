"""``twistd``, which writes a census on SIGUSR1: ``python -P benchmarks/watched.py CENSUS ARGUMENTS OF TWISTD``.

It changes nothing in the relay.  On the signal it collects garbage, then writes to the file CENSUS, as JSON, how many
objects of each type the garbage collector tracks, and how many delayed calls of each function the reactor has.
"""

import gc
import json
import signal
import sys
from collections import Counter
from pathlib import Path


def tell(path: str) -> None:
    """Write the census atomically, so that a reader never sees half of it."""
    from twisted.internet import reactor

    gc.collect()
    types = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())
    calls = Counter(
        f"call of {getattr(getattr(one, 'func', one), '__qualname__', type(one).__qualname__)}"
        for one in reactor.getDelayedCalls()
    )
    types.update(calls)
    new = Path(f"{path}.new")
    new.write_text(json.dumps(types))
    new.replace(path)


if __name__ == "__main__":
    from twisted.scripts.twistd import run

    census = sys.argv.pop(1)
    signal.signal(signal.SIGUSR1, lambda *_: tell(census))
    run()
