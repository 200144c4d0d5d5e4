"""The supervisor's reports about the sessions of workers that were killed.

Each worker writes its sessions to a table in memory (:class:`novnc_twisted.session.shared_table.SharedTable`), of which
the supervisor also has a descriptor.  A worker that ends in an orderly way leaves no live session in its table, but
perhaps sessions whose end consoleauth has not confirmed.
"""

import os
import time
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from novnc_twisted.contract.ended_session import EndedSession
from novnc_twisted.errors import WorkerLost
from novnc_twisted.session.closed_reports import ClosedReports
from novnc_twisted.session.shared_table import read_table

if TYPE_CHECKING:
    from novnc_twisted.audit import AuditTrail
    from novnc_twisted.events import Observer
    from novnc_twisted.messaging.interfaces import ITransport

VARIABLE: Final = "NOVNC_TWISTED_SESSION_TABLE"
"""The environment variable by which a worker gets the descriptor of its table.

The descriptor is not an argument of the command line: after an upgrade, a supervisor may start workers of another
version, which may not know the argument.
"""


class LostSessions:
    """Makes the tables of sessions, and reports the sessions in the table of a worker that has ended.

    :param reactor: the reactor.
    :param host: the ``host`` option.
    :param observer: called with an event for each session that was live.
    :param transport: the bus to consoleauth, which keeps the history.  It is started for the first report, because a
        supervisor has no other use for it.  None: there is no history.
    :param trail: the audit trail, to which ``observer`` writes.  It is needed here only because :meth:`stop` closes it.
    :ivar count: how many sessions have ended because their worker was killed or crashed.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        host: str,
        observer: "Observer",
        transport: "ITransport | None",
        trail: "AuditTrail | None" = None,
    ) -> None:
        self._reactor = reactor
        self._host = host
        self._observer = observer
        self._transport = transport
        self._trail = trail
        self._reports: ClosedReports | None = None
        self.count = 0

    def make_table(self) -> int | None:
        """Return the descriptor of a new table; None after an error.  A worker also works without a table."""
        try:
            return os.memfd_create("novnc sessions")
        except OSError as error:
            self.log.error(
                "can't make a table of sessions: {reason}; if the new worker is killed, the history and the audit "
                "trail will not show how its sessions ended",
                reason=error.strerror,
            )
            return None

    def report(self, table: int, worker: int, how: str) -> None:
        """Report the sessions of a worker that has ended, and close its table.

        :param how: how the worker has ended, such as ``by signal 9 (Killed)``.
        """
        try:
            rows = read_table(table)
        finally:
            os.close(table)
        now, detail = time.time(), f"worker {worker} ended {how}"
        for row in rows:
            # If the row has a cause, the session ended before its worker, but consoleauth has not confirmed the report.
            if not row.cause:
                self.count += 1
                self._observer(row.closed(WorkerLost, detail, now))
                row = row._replace(ended_at=now, cause=WorkerLost.__name__, detail=detail)
            self._keep(row.ended(self._host))

    def _keep(self, ended: EndedSession) -> None:
        if self._transport is None:
            return
        if self._reports is None:
            self._reports = ClosedReports(self._transport, self._reactor)
            failed = self.log.failure
            self._transport.start().addErrback(
                lambda failure: failed("the bus could not be started, so the history lacks these sessions", failure)
            )
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
            if self._trail is not None:
                self._trail.close()

    async def _stop_reports(self) -> None:
        if self._reports is not None and self._transport is not None:
            await self._reports.stop()
            await self._transport.stop()
