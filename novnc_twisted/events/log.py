"""The log of events.  This observer is always active."""

from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel

from novnc_twisted.events.log_frames import FrameLog
from novnc_twisted.events.records import Event, SessionClosed
from novnc_twisted.events.refusal_log import RefusalLog
from novnc_twisted.events.refused import FrameBlocked, RequestRefused

_OUR_FAULT: Final = frozenset(("ConsoleUnreachable", "ServiceUnavailable", "WorkerLost"))
"""Causes that an operator has to repair.  They are logged as warnings."""

# Not a class attribute: there, Logger ignores ``namespace`` and uses the name of the class.
_log: Final = Logger(namespace="novnc_twisted.session")


class EventLog:
    """Logs refused requests, blocked frames (:class:`.FrameBlocked`) and the end of each session.

    An instance is an ``Observer``.

    Each session has one line, at its end.  Refused requests are summarized: the first one for each service, cause and
    client network is logged at once; further ones are counted, and their number is logged once a minute.  All other
    events, such as those about tokens, are not logged here.  The audit trail contains them, if it is on.
    """

    def __init__(self, clock: IReactorTime) -> None:
        """:param clock: measures the time between log lines about the same thing, to limit the number of lines."""
        self._refusals = RefusalLog(clock)
        self._frames = FrameLog(clock.seconds)

    def __call__(self, event: Event) -> None:
        """Log an event, if its type is one of those that are logged."""
        if isinstance(event, SessionClosed):
            log_session(event)
        elif isinstance(event, RequestRefused):
            self._refusals(event)
        elif isinstance(event, FrameBlocked):
            self._frames(event)

    def stop(self) -> None:
        """Log the numbers of refused requests that were not logged yet, and stop the timer."""
        self._refusals.stop()


def log_session(event: SessionClosed) -> None:
    """Log the end of a session, without a traceback.  The level is ``warn`` if an operator has something to repair."""
    name, uuid = event.instance_name or "-", event.instance_uuid or "-"
    # The text is made here, by an f-string.  If Twisted formatted the ten fields, this line would cost each session as
    # much CPU time as 5% of its set-up.
    _log.emit(
        LogLevel.warn if event.cause in _OUR_FAULT else LogLevel.info,
        "{summary}",
        summary=f"{event.console_type} console of {name} ({uuid}) for {event.address} ended in phase {event.phase} "
        f"after {event.seconds:.1f} s: {event.cause}{event.detail and f' ({event.detail})'}; "
        f"{event.bytes_in} bytes in, {event.bytes_out} out",
        event="session",
        session_id=event.session_id,
        cause=event.cause,
        close_code=event.close_code,
        detail=event.detail,
        phase=event.phase,
        seconds=event.seconds,
        console_type=event.console_type,
        peer=event.peer,
        address=event.address,
        user_id=event.user_id,
        project_id=event.project_id,
        instance_uuid=uuid,
        instance_name=name,
        bytes_in=event.bytes_in,
        bytes_out=event.bytes_out,
    )
