"""Long inputs: what costs the square of its length is found by a clock that counts our own CPU time alone."""

import signal
from collections.abc import Callable, Iterator
from types import FrameType

from .tools import broken

LENGTH = 60_000
"""Bytes of a stretched input: a little less than a peer may send ahead of its turn, where chunks begin to matter."""

SECONDS = 20.0
"""Of CPU: a hundred times what the slowest takes; the square of the length would take more."""

STRETCHING = 0.25
"""Part of a run's time for long inputs."""


def stretched(data: bytes) -> Iterator[bytes]:
    """The data with a piece of it repeated: all of it, its first, its middle and its last bytes."""
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
    """Run a target on one input; a finding where it takes more CPU than :data:`SECONDS`.  For the main thread."""

    def late(_number: int, _frame: FrameType | None) -> None:
        broken(f"takes more than {SECONDS} s of CPU for {len(data)} bytes", data[:50])

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        run(data)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
