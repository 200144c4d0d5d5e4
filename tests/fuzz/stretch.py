"""Long inputs, run with a limit of CPU time: they find costs that are quadratic in the length."""

import signal
from collections.abc import Callable, Iterator
from types import FrameType

from .tools import broken

LENGTH = 60_000
"""Bytes of a stretched input: slightly less than a peer may send early."""

SECONDS = 20.0
"""Limit of CPU time: a hundred times what the slowest target takes; a quadratic cost would take more."""

STRETCHING = 0.25
"""Fraction of a run's time that is used for long inputs."""


def stretched(data: bytes) -> Iterator[bytes]:
    """Yield the data with one piece repeated: all of it, or some of its first, middle or last bytes."""
    if not data:
        return
    pieces = {(0, len(data)), (1, len(data))}
    middle = len(data) // 2
    for width in (1, 2, 8, 32):
        pieces |= {(1, 1 + width), (middle, middle + width), (max(0, len(data) - width), len(data))}
    for begin, end in sorted(pieces):
        piece = data[begin:end]
        if piece:
            yield data[:begin] + piece * (LENGTH // len(piece)) + data[end:]


def in_time(run: Callable[[bytes], None], data: bytes) -> None:
    """Run a target on one input, in the main thread; more CPU time than :data:`SECONDS` is a finding."""

    def late(_number: int, _frame: FrameType | None) -> None:
        broken(f"takes more than {SECONDS} s of CPU for {len(data)} bytes", data[:50])

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        run(data)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
