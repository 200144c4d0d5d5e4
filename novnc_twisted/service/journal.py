"""The log on standard output: text with time stamps, or the form of systemd's journal.

The journal adds a time stamp to each line.  A line for it has none, and begins with its priority as ``<N>``
(sd-daemon(3), ``SyslogLevelPrefix`` in systemd.exec(5)).
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
    textFileLogObserver,
)
from zope.interface import implementer

PRIORITIES = {
    LogLevel.debug: 7,
    LogLevel.info: 6,
    LogLevel.warn: 4,
    LogLevel.error: 3,
    LogLevel.critical: 2,
}
"""Priorities of syslog(3)."""


def connected_to_journal(stream: TextIO, environ: Mapping[str, str] | None = None) -> bool:
    """Whether a stream goes to the journal: JOURNAL_STREAM names its device and inode (systemd.exec(5))."""
    environ = os.environ if environ is None else environ
    try:
        # The variable is inherited by children whose output goes elsewhere, so device and inode are compared.
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def error_line(text: str, stream: TextIO | None = None) -> str:
    """Format an error for standard error, with a priority if that goes to the journal."""
    prefix = f"<{PRIORITIES[LogLevel.error]}>" if connected_to_journal(stream or sys.stderr) else ""
    return prefix + text


def log_observer(stream: TextIO, form: Callable[[LogEvent], str | None] | None = None) -> ILogObserver:
    """The observer that writes the log to a stream.

    :param form: returns the line of an event; None for text.
    """
    to: ILogObserver
    if connected_to_journal(stream):
        to = JournalObserver(stream, form or _text_for_journal)
    else:
        to = textFileLogObserver(stream) if form is None else FileLogObserver(stream, form)
    return FilteringLogObserver(to, [WithoutPluginCache()])


def _text_for_journal(event: LogEvent) -> str:
    return eventAsText(event, includeTimestamp=False)


@implementer(ILogObserver)
class JournalObserver:
    """Writes events for the journal; each line of a traceback has its priority."""

    def __init__(self, stream: TextIO, form: Callable[[LogEvent], str | None]) -> None:
        """:param stream: where the lines go.
        :param form: returns the lines of an event.
        """
        self._stream = stream
        self._form = form

    def __call__(self, event: LogEvent) -> None:
        """See ILogObserver."""
        priority = PRIORITIES.get(event.get("log_level"), PRIORITIES[LogLevel.info])
        text = self._form(event) or ""
        self._stream.write("".join(f"<{priority}>{line}\n" for line in text.split("\n") if line))
        # At once: a process that is killed would lose what is in the buffer, the reason among it.
        self._stream.flush()


@implementer(ILogFilterPredicate)
class WithoutPluginCache:
    """Drops Twisted's message that a service cannot write dropin.cache: it has no right to, and needs none."""

    def __call__(self, event: LogEvent) -> Any:
        """See ILogFilterPredicate."""
        cache = str(event.get("format", "")).startswith("Unable to write to plugin cache")
        return PredicateResult.no if cache else PredicateResult.maybe
