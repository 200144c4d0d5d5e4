"""Writes the log to standard output, which may go to systemd's journal.

A line for the journal begins with its priority as ``<N>`` (sd-daemon(3), ``SyslogLevelPrefix`` in systemd.exec(5)).
With ``log_format = text``, lines for the journal have no time stamps, because the journal adds its own.
"""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogFilterPredicate,
    ILogObserver,
    LogEvent,
    LogLevel,
    PredicateResult,
    eventAsText,
)
from zope.interface import implementer

from novnc_twisted.service.log_format import text_line

PRIORITIES = {
    LogLevel.debug: 7,
    LogLevel.info: 6,
    LogLevel.warn: 4,
    LogLevel.error: 3,
    LogLevel.critical: 2,
}
"""The priority of syslog(3) for each level."""


def connected_to_journal(stream: TextIO, environ: Mapping[str, str] | None = None) -> bool:
    """Return whether a stream goes to the journal, whose device and inode are in JOURNAL_STREAM (systemd.exec(5))."""
    environ = os.environ if environ is None else environ
    try:
        # The variable alone proves nothing: child processes inherit it even if their output goes elsewhere.
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def error_line(text: str, stream: TextIO | None = None) -> str:
    """Format an error for standard error, with a priority if standard error goes to the journal."""
    prefix = f"<{PRIORITIES[LogLevel.error]}>" if connected_to_journal(stream or sys.stderr) else ""
    return prefix + text


def log_observer(stream: TextIO, form: Callable[[LogEvent], str | None] | None = None) -> ILogObserver:
    """Return the observer that writes the log to a stream.

    :param form: formats an event; None: events are written as text.
    """
    to: ILogObserver
    if connected_to_journal(stream):
        to = JournalObserver(stream, form or _text_for_journal)
    else:
        to = FileLogObserver(stream, form or text_line)
    return FilteringLogObserver(to, [WithoutPluginCache()])


def _text_for_journal(event: LogEvent) -> str:
    return eventAsText(event, includeTimestamp=False)


@implementer(ILogObserver)
class JournalObserver:
    """Writes events for the journal, with a priority before each line, also before the lines of a traceback."""

    def __init__(self, stream: TextIO, form: Callable[[LogEvent], str | None]) -> None:
        """:param stream: the destination of the lines.
        :param form: returns the lines of an event.
        """
        self._stream = stream
        self._form = form

    def __call__(self, event: LogEvent) -> None:
        """See ILogObserver."""
        priority = PRIORITIES.get(event.get("log_level"), PRIORITIES[LogLevel.info])
        text = self._form(event) or ""
        self._stream.write("".join(f"<{priority}>{line}\n" for line in text.split("\n") if line))
        # A process that is killed loses the text in its buffer, and this text may show why it was killed.
        self._stream.flush()


@implementer(ILogFilterPredicate)
class WithoutPluginCache:
    """Drops Twisted's message that dropin.cache cannot be written.  A service does not need to write this file."""

    def __call__(self, event: LogEvent) -> Any:
        """See ILogFilterPredicate."""
        cache = str(event.get("format", "")).startswith("Unable to write to plugin cache")
        return PredicateResult.no if cache else PredicateResult.maybe
