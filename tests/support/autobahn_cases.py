"""Run the Autobahn WebSocket cases (kosoku's implementation) against one of our servers.

The cases send text messages, which our servers refuse.  They are therefore run twice: unchanged, and through
:class:`TextAsBinary`, which changes their text messages into binary ones and the echoes back into text.  It changes
nothing else: lengths, masks, fragments, reserved bits and opcodes, control frames arrive as sent.
"""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from twisted.internet.utils import getProcessOutputAndValue

KOSOKU = Path(sys.executable).with_name("kosoku")
GOOD = ("OK", "NON-STRICT", "INFORMATIONAL")


@dataclass(frozen=True)
class Verdict:
    """The result of a case: whether it passed, the report's text, and the code of the server's close frame."""

    passed: bool
    text: str
    code: int | None


async def run_cases(
    url: str, folder: Path, include: tuple[str, ...], exclude: tuple[str, ...] = ()
) -> dict[str, Verdict]:
    """Run cases, four at a time, and return the verdicts by name.

    :param folder: for the reports; it is created.
    :param include: names of cases, or globs of names; ``exclude``: likewise.
    """
    arguments = ["-m", "fuzzingclient", "-o", str(folder), "-p", "4", url]
    for case in include:
        arguments += ["-i", case]
    for case in exclude:
        arguments += ["-x", case]
    out, err, _ = await getProcessOutputAndValue(str(KOSOKU), arguments, env=os.environ)
    index = folder / "index.json"
    if not index.exists():
        raise RuntimeError((out + err).decode(errors="replace")[-2000:])
    (verdicts,) = json.loads(index.read_text()).values()
    return {
        case: Verdict(
            found["behavior"] in GOOD and found["behaviorClose"] in GOOD,
            f"{found['behavior']}, {found['behaviorClose']}",
            found["remoteCloseCode"],
        )
        for case, found in verdicts.items()
    }


def unexpected(verdicts: dict[str, Verdict], exceptions: dict[str, str], code: int | None = None) -> list[str]:
    """List what differs from the expectation: cases that fail, and exceptions that pass or match no case.

    :param exceptions: globs of names, each with the reason why its cases fail.
    :param code: the close code that the server has to send in an exceptional case; None: any.
    """
    found = []
    for case, verdict in verdicts.items():
        excepted = any(fnmatchcase(case, glob) for glob in exceptions)
        if excepted is verdict.passed or (excepted and code is not None and verdict.code != code):
            found.append(f"{case}: {verdict.text}, closed with {verdict.code}")
    found += [glob for glob in exceptions if not any(fnmatchcase(case, glob) for case in verdicts)]
    return found


class Frames:
    """Cut a stream of frames at their ends.  Invalid frames pass as well."""

    def __init__(self) -> None:
        self._held = b""
        self._left = 0  # bytes of the current frame that are still to come

    def cut(self, data: bytes) -> Iterator[tuple[bytes, bool, bool]]:
        """Yield pieces of at most one frame, each with two flags: whether it begins a frame, and whether it ends one.

        A header is held back until it is complete, so that the caller can change its first byte.
        """
        data, self._held = self._held + data, b""
        while data:
            begins = not self._left
            if begins:
                used = self._header(data)
                if used is None:
                    self._held = data
                    return
                self._left += used
            piece, data = data[: self._left], data[self._left :]
            self._left -= len(piece)
            yield piece, begins, not self._left

    @staticmethod
    def header(piece: bytes) -> int:
        """Return the length of the frame header at the start of a piece, including the mask."""
        return 2 + {126: 2, 127: 8}.get(piece[1] & 0x7F, 0) + (4 if piece[1] & 0x80 else 0)

    def _header(self, data: bytes) -> int | None:
        if len(data) < 2:
            return None
        length = data[1] & 0x7F
        wide = {126: 2, 127: 8}.get(length, 0)
        if len(data) < 2 + wide:
            return None
        if wide:
            length = int.from_bytes(data[2 : 2 + wide], "big")
        self._left = length
        return 2 + wide + (4 if data[1] & 0x80 else 0)


class TextAsBinary:
    """Changes text messages into binary ones, and remembers which were text."""

    def __init__(self) -> None:
        self.messages: list[bool] = []  # whether each was text
        self._frames = Frames()

    def changed(self, data: bytes) -> bytes:
        """Return the frames, with text messages as binary ones."""
        changed = b""
        for piece, begins, _ in self._frames.cut(data):
            opcode = piece[0] & 0x0F
            if begins and opcode in (1, 2):
                self.messages.append(opcode == 1)
                if opcode == 1:
                    piece = bytes((piece[0] & 0xF0 | 2,)) + piece[1:]
            changed += piece
        return changed
