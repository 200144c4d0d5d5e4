"""Reports the sessions of killed workers.  Their supervisor or the next start of the proxy makes these reports.

Each worker writes its sessions to a table (:class:`novnc_twisted.session.shared_table.SharedTable`).  The table is a
file in the RuntimeDirectory or in memory.  The supervisor also has a descriptor of this file.  A worker that ends in an
orderly way leaves no live session in its table, but perhaps sessions whose end consoleauth has not confirmed.
"""

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from novnc_twisted.contract.ended_session import EndedSession
from novnc_twisted.errors import WorkerLost
from novnc_twisted.service.session_tables import KILLED, SessionTables
from novnc_twisted.session.closed_reports import ClosedReports
from novnc_twisted.session.shared_table import SharedTable, read_table
from novnc_twisted.session.table_rows import Row

if TYPE_CHECKING:
    from novnc_twisted.audit import AuditTrail
    from novnc_twisted.events import Observer, SessionClosed
    from novnc_twisted.messaging.interfaces import ITransport

VARIABLE: Final = "NOVNC_TWISTED_SESSION_TABLE"
"""The environment variable by which a worker gets the descriptor of its table.

The descriptor is not an argument of the command line: after an upgrade, a supervisor may start workers of another
version, which may not know the argument.
"""


class LostSessions:
    """Makes the tables of sessions, and reports the sessions in the tables of processes that have ended.

    :param reactor: the reactor.
    :param host: the ``host`` option.
    :param observer: called with an event for each session that was live.
    :param transport: the bus to consoleauth, which keeps the history.  The bus is not started before the first
        report, because a supervisor has no other use for it.  None: there is no history.
    :param trail: the audit trail, to which ``observer`` writes.  It is needed here only because :meth:`stop` closes it.
    :param tables: makes the files of the tables; None: they are made in the RuntimeDirectory, or in memory if there
        is no such directory.
    :ivar count: the number of reported sessions that were live when their process was killed or crashed.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        host: str,
        observer: "Observer",
        transport: "ITransport | None",
        trail: "AuditTrail | None" = None,
        tables: SessionTables | None = None,
    ) -> None:
        self._reactor = reactor
        self._host = host
        self._observer = observer
        self._transport = transport
        self._trail = trail
        self._tables = SessionTables() if tables is None else tables
        # Contains the ended sessions whose reports consoleauth has not confirmed.  If some are left at the end of this
        # process, the next start of the proxy reports them.
        self._table = SharedTable(None, reactor) if self._tables.folder else None
        self._reports: ClosedReports | None = None
        self.count = 0

    def make_table(self) -> int | None:
        """Return the descriptor of a new table; None after an error, which is logged."""
        return self._tables.make_if_possible()

    def report(self, table: int, worker: int, how: str) -> None:
        """Report the sessions of a worker that has ended, and close its table.

        :param table: the descriptor of the table.
        :param worker: the number of the worker.
        :param how: how the worker has ended, such as ``by signal 9 (Killed)``.
        """
        try:
            rows = read_table(table)
        finally:
            self._tables.remove(table)
        self._report(ended_by_kill(rows, f"worker {worker} ended {how}", time.time(), self._host))

    def report_left_behind(self) -> None:
        """Report the sessions in the tables of earlier processes, usually of a proxy that was killed as a whole."""
        for rows, at in self._tables.left_behind():
            self._report(ended_by_kill(rows, KILLED, at, self._host))

    def _report(self, sessions: "Iterable[tuple[SessionClosed | None, EndedSession]]") -> None:
        for event, ended in sessions:
            if event is not None:
                self.count += 1
                self._observer(event)
            self._keep(ended)

    def _keep(self, ended: EndedSession) -> None:
        if self._transport is None:
            return
        table = self._table
        if self._reports is None:
            self._reports = ClosedReports(self._transport, self._reactor, table.forget if table is not None else None)
            if table is not None:
                table.handle = self.make_table()
            failed = self.log.failure
            self._transport.start().addErrback(
                lambda failure: failed("the bus did not start, so consoleauth's history lacks ended sessions", failure)
            )
        if table is not None:
            table.ended(ended)
        self._reports.add(ended)

    async def stop(self, seconds: float) -> None:
        """Send the remaining reports within this number of seconds, and close the audit trail."""
        last = Deferred.fromCoroutine(self._stop_reports())
        timer = self._reactor.callLater(max(0.0, seconds), last.cancel)
        try:
            await last
        except CancelledError:
            pass
        finally:
            if timer.active():
                timer.cancel()
            if self._table is not None:
                self._tables.leave(self._table)
            if self._trail is not None:
                self._trail.close()

    async def _stop_reports(self) -> None:
        if self._reports is not None and self._transport is not None:
            await self._reports.stop()
            await self._transport.stop()


def ended_by_kill(
    rows: Iterable[Row], detail: str, at: float, host: str
) -> "Iterator[tuple[SessionClosed | None, EndedSession]]":
    """Yield the event and the entry in the history for each session in the table of a process that has ended.

    The event is None if the session had ended before the process ended.  Such a session is still in the table, because
    consoleauth has not confirmed its report.

    :param detail: what the log says besides the cause.
    :param at: Unix time in seconds at which the process ended.
    :param host: the ``host`` option.
    """
    for row in rows:
        if row.cause:
            yield None, row.ended(host)
            continue
        lost = row._replace(ended_at=max(at, row.started_at), cause=WorkerLost.__name__, detail=detail)
        yield row.closed(WorkerLost, detail, at), lost.ended(host)
