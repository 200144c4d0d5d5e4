"""The audit trail: an observer that writes an entry for each event about a token, a session or a server."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from novnc_twisted.audit.entries import Entry, entry_of, make
from novnc_twisted.audit.file import AuditFile
from novnc_twisted.audit.syslog import Syslog
from novnc_twisted.events.records import Event

_log = Logger(namespace="novnc_twisted.audit")

INTERVAL: Final = 60.0
"""Minimum number of seconds between two logged errors of the same target."""


class AuditTrail:
    """Writes entries to a file, to syslog, or to both.  An instance is an ``Observer``.

    If a target cannot be written, sessions continue.  The entries for this target are lost, and an error is logged at
    most once a minute.  When the target can be written again, it gets an entry ``audit.gap`` with the number of lost
    entries.

    :param clock: measures the time between two logged errors (:data:`INTERVAL`).
    :param file: the file; None: entries go to no file.
    :param syslog: the connection to syslog; None: entries do not go to syslog.
    :param origin: fields of each entry that name this process.
    :param now: returns the Unix time in seconds.
    """

    def __init__(
        self,
        clock: IReactorTime,
        *,
        file: AuditFile | None = None,
        syslog: Syslog | None = None,
        origin: Mapping[str, str],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._origin = origin
        self._now = now
        self._targets: list[_Target] = []
        if file is not None:
            self._targets.append(_Target(clock, file, lambda entry: file.write(entry.line())))
        if syslog is not None:
            self._targets.append(_Target(clock, syslog, lambda entry: _send(syslog, entry)))

    def __call__(self, event: Event) -> None:
        """Write the entry for an event, if its type has one."""
        entry = entry_of(event, self._uid(), self._now(), self._origin)
        if entry is None:
            return
        for target in self._targets:
            # If the gap entry cannot be written, _write_gap() has counted ``entry`` as lost.
            if not target.lost or self._write_gap(target):
                target.write(entry)

    def _write_gap(self, target: "_Target") -> bool:
        """Write the gap entry, with the number of lost entries; return whether it was written.

        A failure increases the number of lost entries by 1, for the entry that :meth:`__call__` would have written
        after the gap entry.  The gap entry itself does not count as lost.
        """
        gap = make("audit.gap", self._uid(), self._now(), self._origin, {"entries": target.lost})
        if not target.write(gap):
            return False
        target.recovered()
        return True

    def open(self) -> None:
        """Open the file, and connect to syslog.  If syslog does not answer, a log line says so.

        :raises OSError: the file cannot be opened.
        """
        for target in self._targets:
            if isinstance(target.to, AuditFile):
                target.to.open()
            else:
                target.reopen()

    def reopen(self) -> None:
        """Open the file again, and connect to syslog again (SIGHUP)."""
        for target in self._targets:
            target.reopen()

    def close(self) -> None:
        """Close the file and the connection.

        If a target has lost entries, first write their number to this target; if this fails, log the number.
        """
        for target in self._targets:
            lost = target.lost  # read now: a failed _write_gap() adds 1, although no entry follows here
            if lost and not self._write_gap(target):
                target.given_up(lost)
            target.to.close()

    @staticmethod
    def _uid() -> str:
        return os.urandom(16).hex()


class _Target:
    """A target of entries: the file or syslog.

    :ivar lost: number of entries lost since an entry was last written.
    """

    def __init__(self, clock: IReactorTime, to: AuditFile | Syslog, write: Callable[[Entry], None]) -> None:
        self.to = to
        self.lost = 0
        self._clock = clock
        self._write = write
        self._logged_at: float | None = None

    def write(self, entry: Entry) -> bool:
        """Write an entry, or count it as lost; return whether it was written."""
        try:
            self._write(entry)
        except OSError as error:
            self.lost += 1
            self._failed(error)
            return False
        return True

    def recovered(self) -> None:
        """Log that the target can be written again, and reset the number of lost entries."""
        _log.info("the audit trail is written to {name} again; entries lost: {lost}", name=self.to.name, lost=self.lost)
        self.lost = 0

    def given_up(self, lost: int) -> None:
        """Log that the process ends before the target could be written again."""
        self.lost = 0
        _log.error(
            "the process ends, and {name} still can't be written; entries missing in the audit trail: {lost}",
            name=self.to.name,
            lost=lost,
        )

    def reopen(self) -> None:
        """Open the target, or open it again; log an error if this fails."""
        try:
            self.to.open()
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        now = self._clock.seconds()
        if self._logged_at is not None and now - self._logged_at < INTERVAL:
            return
        self._logged_at = now
        _log.error(
            "the audit trail can't be written to {name}: {reason}; entries lost so far: {lost}; sessions go on "
            "(logged at most once a minute; see [audit])",
            name=self.to.name,
            reason=error.strerror or type(error).__name__,
            lost=self.lost,
        )


def _send(syslog: Syslog, entry: Entry) -> None:
    fields = entry.fields
    syslog.send(fields["time"], fields["code"], entry.line().rstrip(), warning=entry.refused)
