"""Passes the log of a worker on to the log of its supervisor."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from twisted.logger import ILogObserver, LogLevel, globalLogPublisher

LONGEST = 1 << 20
"""Maximum number of bytes kept of a line whose end has not arrived.  A longer line is logged in pieces."""


class RelayedLog:
    """Makes log events from a worker's output.  Each event has the worker's number.

    The worker writes lines of JSON to its standard output.  Each line is a log event, or a report to the supervisor,
    such as ``ready``, ``alive`` or ``status``.

    :ivar on_report: called with each report of the worker, except ``ready``.
    """

    def __init__(self, number: int, to: ILogObserver = globalLogPublisher) -> None:
        """:param number: the number of the worker.
        :param to: the observer that gets the events.
        """
        self.on_report: Callable[[Mapping[str, Any]], None] = lambda report: None
        self._number = number
        self._to = to
        self._buffers = {"out": b"", "err": b""}

    def received(self, data: bytes) -> bool:
        """Take bytes of the worker's standard output (lines of JSON); return whether the worker reports ``ready``."""
        ready = False
        for line in self._lines("out", data):
            ready = self._line(line) or ready
        return ready

    def raw(self, data: bytes) -> None:
        """Take bytes of the worker's standard error (lines of text)."""
        for line in self._lines("err", data):
            self._text(line)

    def end(self) -> None:
        """Handle the last line of each stream if it has no line end.  No more bytes follow."""
        for name, left in self._buffers.items():
            self._buffers[name] = b""
            if left:
                self._text(left) if name == "err" else self._line(left)

    def _lines(self, name: str, data: bytes) -> list[bytes]:
        *lines, left = (self._buffers[name] + data).split(b"\n")
        # A worker that never ends its line must not fill the supervisor's memory.
        if len(left) > LONGEST:
            lines.append(left)
            left = b""
        self._buffers[name] = left
        return lines

    def _line(self, line: bytes) -> bool:
        try:
            found = json.loads(line)
            if found.get("ready"):
                return True
            if "report" in found:
                self.on_report(found)
                return False
            level = LogLevel.lookupByName(found["level"])
            more = {f"log_{name}": found[name] for name in ("namespace", "pid", "exception") if found.get(name)}
            text = str(found["text"])
            self._emit(float(found["time"]), level, found["system"], text, {**found["fields"], **more})
        except (ValueError, TypeError, AttributeError, LookupError, OverflowError, RecursionError):
            # The line is neither a log event nor a report.  A library may have printed it to standard output.
            self._text(line)
        return False

    def _text(self, line: bytes) -> None:
        """Log a line of text with ``stderr`` as its system, even if the line comes from the standard output."""
        if line.strip():
            self._emit(time.time(), LogLevel.warn, "stderr", line.decode("utf-8", "replace"))

    def _emit(self, when: float, level: Any, system: str, text: str, fields: Mapping[str, Any] | None = None) -> None:
        event = {"log_namespace": system, "log_exception": "", **(fields or {})}
        exception = event["log_exception"]
        event |= {
            "log_time": when,
            "log_level": level,
            "log_system": f"worker {self._number} {system}#{level.name}",
            "log_worker": self._number,
            "log_format": "{log_text}",
            "log_text": f"{text}\n{exception}" if exception else text,
            "log_message": text,
        }
        self._to(event)
