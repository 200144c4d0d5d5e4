"""Count what the process holds: descriptors, timers, readers, our objects; to assert that sessions leave nothing."""

import gc
import types
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet import reactor

import novnc_twisted
from novnc_twisted.relay.detached import Engine
from novnc_twisted.relay.timer_wheel import timer_wheel_of

_OURS = str(Path(novnc_twisted.__file__).parent)

LASTING = ("Engine", "TimerWheel")
"""Our classes whose objects live as long as the process."""


@dataclass(frozen=True)
class Ledger:
    """What is held at one moment; ``left_since`` compares it with an earlier moment."""

    descriptors: int
    timers: int
    readers: int
    writers: int
    watched: int  # sockets in the detached engine's epoll
    held: int  # bytes that the detached engine holds
    wheel_timers: int  # of the timer wheel
    objects: "Counter[str]"
    everything: int  # all objects that the garbage collector tracks
    resident: int  # bytes of memory

    @classmethod
    def now(cls) -> "Ledger":
        """Collect garbage, then count."""
        gc.collect()
        known = gc.get_objects()
        engines = [each for each in known if type(each) is Engine]
        return cls(
            descriptors=len(list(Path("/proc/self/fd").iterdir())),
            timers=len(reactor.getDelayedCalls()),
            readers=len(reactor.getReaders()),
            writers=len(reactor.getWriters()),
            watched=sum(map(len, engines)),
            held=sum(engine.held for engine in engines),
            wheel_timers=len(timer_wheel_of(reactor)),
            objects=Counter(name for each in known if (name := _name_of(each))),
            everything=len(known),
            resident=int(Path("/proc/self/statm").read_text().split()[1]) * 4096,
        )

    def left_since(self, before: "Ledger") -> dict[str, int]:
        """What was added since, by name; empty if nothing was added."""
        left = {
            name: count
            for name in ("descriptors", "timers", "readers", "writers", "watched", "held", "wheel_timers")
            if (count := getattr(self, name) - getattr(before, name)) > 0
        }
        return left | dict(self.objects - before.objects)


def _name_of(thing: Any) -> str:
    """The name of the object's class or function, if it is ours and not lasting; otherwise empty."""
    if isinstance(thing, types.CoroutineType):
        return thing.__qualname__ if thing.cr_code.co_filename.startswith(_OURS) else ""
    if isinstance(thing, types.GeneratorType):
        return thing.__qualname__ if thing.gi_code.co_filename.startswith(_OURS) else ""
    kind = type(thing)
    module = kind.__module__
    ours = isinstance(module, str) and module.startswith("novnc_twisted.")
    if not ours or isinstance(thing, type) or kind.__name__ in LASTING:
        return ""
    return kind.__name__
