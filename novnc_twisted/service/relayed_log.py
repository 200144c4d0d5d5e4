"""The log of a worker, put into the log of its supervisor."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from twisted.logger import ILogObserver, LogLevel, globalLogPublisher

LONGEST = 1 << 20
"""Bytes of a line; what is longer comes in pieces."""


class RelayedLog:
    """Turns what a worker writes into log events that bear its number."""

    def __init__(self, number: int, to: ILogObserver = globalLogPublisher) -> None:
        """Begin with nothing received.

        :param to: where the events go.
        """
        self.on_report: Callable[[Mapping[str, Any]], None] = lambda report: None
        self._number = number
        self._to = to
        self._buffers = {"out": b"", "err": b""}

    def received(self, data: bytes) -> bool:
        """Bytes of its standard output: JSON in lines; whether it says among them that it is ready."""
        ready = False
        for line in self._lines("out", data):
            ready = self._line(line) or ready
        return ready

    def raw(self, data: bytes) -> None:
        """Bytes of its standard error: text in lines."""
        for line in self._lines("err", data):
            self._text(line)

    def end(self) -> None:
        """No more comes: what is left is a line, too."""
        for name, left in self._buffers.items():
            self._buffers[name] = b""
            if left:
                self._text(left) if name == "err" else self._line(left)

    def _lines(self, name: str, data: bytes) -> list[bytes]:
        *lines, left = (self._buffers[name] + data).split(b"\n")
        if len(left) > LONGEST:
            lines.append(left)
            left = b""
        self._buffers[name] = left
        return lines

    def _line(self, line: bytes) -> bool:
        try:
            said = json.loads(line)
            if said.get("ready"):
                return True
            if "report" in said:
                self.on_report(said)
                return False
            level = LogLevel.lookupByName(said["level"])
            self._emit(float(said["time"]), level, said["system"], said["text"], said["fields"])
        except (ValueError, KeyError, TypeError, AttributeError, LookupError):
            self._text(line)
        return False

    def _text(self, line: bytes) -> None:
        if line.strip():
            self._emit(time.time(), LogLevel.warn, "stderr", line.decode("utf-8", "replace"))

    def _emit(self, when: float, level: Any, system: str, text: str, fields: Mapping[str, Any] | None = None) -> None:
        self._to(
            {
                **(fields or {}),
                "log_time": when,
                "log_level": level,
                "log_namespace": __name__,
                "log_system": f"worker {self._number} {system}#{level.name}",
                "log_format": "{log_text}",
                "log_text": text,
            }
        )
