"""Reports ended sessions: at the start those of killed processes, later those of this process."""

from collections.abc import Callable
from functools import partial

from novnc_twisted.contract.ended_session import EndedSession
from novnc_twisted.service.context import Context
from novnc_twisted.service.lost_sessions import ended_by_kill
from novnc_twisted.service.session_tables import KILLED
from novnc_twisted.service.shutdown import Phase
from novnc_twisted.session.closed_reports import ClosedReports
from novnc_twisted.session.registry import SessionRegistry


def report_ended(context: Context, registry: SessionRegistry, *, history: bool) -> Callable[[], None]:
    """Make a registry write its sessions to ``context.table``, and report ended sessions to consoleauth's history.

    If this process is killed, its supervisor or the next start of the proxy reports the sessions in the table as ended.

    :param history: whether to report ended sessions to consoleauth.  Even with ``history_retention`` 0, consoleauth
        needs the reports to count the live sessions.
    :return: a function to call before the first session.  In a process without a supervisor, the function makes the
        file of the table, and reports the sessions of killed processes.  For a worker, the supervisor has done both
        already.
    """
    table, reports = context.table, None
    if history:
        reports = ClosedReports(context.transport, context.reactor, table.forget if table is not None else None)
        registry.on_closed = reports.add
        context.shutdown.add(Phase.END_SESSIONS, partial(_last_reports, registry, reports))
        # _last_reports() waits until all sessions have ended.  If a session does not end in the phase END_SESSIONS,
        # this call in the phase STOP_SERVICES sends the reports about the others.
        context.shutdown.add(Phase.STOP_SERVICES, reports.stop)
    begin = partial(_begin, context, reports)
    if table is None:
        return begin

    def closed(ended: EndedSession) -> None:
        if reports is None:
            table.forget(ended.session.id)
        else:
            table.ended(ended)
            reports.add(ended)

    registry.on_opened, registry.on_closed = table.opened, closed
    context.shutdown.add(Phase.STOP_SERVICES, table.stop)
    return begin


def _begin(context: Context, reports: ClosedReports | None) -> None:
    table = context.table
    if table is not None and table.handle is None:
        table.handle = context.tables.make_if_possible()
        context.shutdown.add(Phase.DISCONNECT, partial(context.tables.leave, table))
    for rows, at in context.tables.left_behind():
        for event, ended in ended_by_kill(rows, KILLED, at, context.conf.host):
            if event is not None:
                context.observer(event)
            if reports is not None:
                if table is not None:
                    # The table keeps the session until consoleauth has confirmed the report.
                    table.ended(ended)
                reports.add(ended)


async def _last_reports(registry: SessionRegistry, reports: ClosedReports) -> None:
    """Report the sessions that the shutdown ends.

    This is done in END_SESSIONS, because a consoleauth in the same process stops in the next phase.
    """
    try:
        await registry.none_left()
    finally:  # also if this coroutine is cancelled
        await reports.stop()
