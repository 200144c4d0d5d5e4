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

    :ivar on_report: called with each report of the worker, except ``ready``.  Log events are not reports.
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
            report = json.loads(line)
            if report.get("ready"):
                return True
            if "report" in report:
                self.on_report(report)
                return False
            level = LogLevel.lookupByName(report["level"])
            more = {f"log_{name}": report[name] for name in ("namespace", "pid", "exception") if report.get(name)}
            text = str(report["text"])
            self._emit(float(report["time"]), level, report["system"], text, {**report["fields"], **more})
        except (ValueError, TypeError, AttributeError, LookupError, OverflowError, RecursionError):
            # The line is neither a log event nor a report.  A library may have printed it to standard output.
            self._text(line)
        return False

    def _text(self, line: bytes) -> None:
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
