"""``twistd``, which tells on SIGUSR2 what it holds: ``python -P benchmarks/watched.py CENSUS ARGUMENTS OF TWISTD``.

Nothing of it is on the way of a byte.  On the signal everything unreachable is collected first, then CENSUS gets, as
JSON, how many objects of each type the garbage collector knows, and how many calls of what wait in the reactor.
"""

import gc
import json
import signal
import sys
from collections import Counter
from pathlib import Path


def tell(path: str) -> None:
    """Write the census; in place at once, so that whoever waits for it reads all of it."""
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
    signal.signal(signal.SIGUSR2, lambda *_: tell(census))
    run()
