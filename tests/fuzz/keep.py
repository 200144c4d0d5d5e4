"""Choose the inputs to keep: ``python -m tests.fuzz.keep MODULE NAME FOLDER`` prints their paths.

An input is kept if our code takes a jump, from one line to another, that no smaller input caused.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import novnc_twisted

from .table import corpus, targets

OURS = str(Path(novnc_twisted.__file__).parent)
Arc = tuple[CodeType, int, int]


def arcs(run: Callable[[bytes], None], data: bytes) -> set[Arc]:
    """The jumps of our code with this input: function, the line before, the line."""
    seen: set[Arc] = set()
    before: dict[FrameType, int] = {}

    def step(frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            seen.add((frame.f_code, before.get(frame, 0), frame.f_lineno))
            before[frame] = frame.f_lineno
        elif event == "return":
            before.pop(frame, None)
        return step

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        return step(frame, event, argument) if frame.f_code.co_filename.startswith(OURS) else None

    sys.settrace(enter)
    try:
        run(data)
    finally:
        sys.settrace(None)
    return seen


def worth_keeping(run: Callable[[bytes], None], known: list[bytes], found: list[bytes]) -> list[bytes]:
    """The found inputs that cause new jumps, the smallest first."""
    reached: set[Arc] = set()
    for data in known:
        reached |= arcs(run, data)
    kept = []
    for data in sorted(found, key=lambda one: (len(one), one)):
        new = arcs(run, data)
        if not new <= reached:
            reached |= new
            kept.append(data)
    return kept


def main() -> None:
    _, module, name, folder = sys.argv
    run = targets(module)[name].run
    paths = {path.read_bytes(): path for path in sorted(Path(folder).iterdir())}
    for data in worth_keeping(run, corpus(name), list(paths)):
        print(paths[data])


if __name__ == "__main__":
    main()
