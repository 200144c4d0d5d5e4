"""Reports the sessions of this process that have ended."""

from functools import partial

from novnc_twisted.contract.ended_session import EndedSession
from novnc_twisted.service.context import Context
from novnc_twisted.service.shutdown import Phase
from novnc_twisted.session.closed_reports import ClosedReports
from novnc_twisted.session.registry import SessionRegistry


def report_ended(context: Context, registry: SessionRegistry, *, history: bool) -> None:
    """Report the sessions of this process to consoleauth, if it keeps a history, and to the supervisor.

    For the supervisor, a worker writes all of its sessions to ``context.table``.  If the worker is killed, the
    supervisor reports the sessions in the table as ended.

    :param history: whether consoleauth keeps a history of the sessions.
    """
    table, reports = context.table, None
    if history:
        reports = ClosedReports(context.transport, context.reactor, table.forget if table is not None else None)
        registry.on_closed = reports.add
        context.shutdown.add(Phase.END_SESSIONS, partial(_last_reports, registry, reports))
        # If a session does not end during END_SESSIONS, _last_reports() still waits for it in STOP_SERVICES.  The step
        # added here reports the sessions that have ended.
        context.shutdown.add(Phase.STOP_SERVICES, reports.stop)
    if table is None:
        return

    def closed(ended: EndedSession) -> None:
        if reports is None:
            table.forget(ended.session.id)
        else:
            table.ended(ended)
            reports.add(ended)

    registry.on_opened, registry.on_closed = table.opened, closed
    context.shutdown.add(Phase.STOP_SERVICES, table.stop)


async def _last_reports(registry: SessionRegistry, reports: ClosedReports) -> None:
    """Report the sessions that the shutdown ends.

    This is done in END_SESSIONS, because a consoleauth in the same process stops in the next phase.
    """
    try:
        await registry.none_left()
    finally:  # also if this coroutine is cancelled
        await reports.stop()
