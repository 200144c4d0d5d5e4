"""The log: the observer of events that is always there."""

from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel

from novnc_twisted.events.log_frames import FrameLog
from novnc_twisted.events.records import Event, FrameBlocked, RequestRefused, SessionClosed
from novnc_twisted.events.refusal_log import RefusalLog

_OUR_FAULT: Final = frozenset(("ConsoleUnreachable", "ServiceUnavailable"))
"""Causes for which an operator has something to repair: logged as warnings."""

# Of the module: a Logger that is an attribute of a class takes the name of the class, whatever its namespace says.
_log: Final = Logger(namespace="novnc_twisted.session")


class EventLog:
    """Logs refused requests and the end of each session.  An instance is an ``Observer``.

    A session leaves one line, at its end.  Refused requests are summarised:
    the first one of a cause and a client network at once, further ones as a count once a minute.  Events of tokens
    leave no line: they belong in an audit trail.
    """

    def __init__(self, clock: IReactorTime) -> None:
        """:param clock: for the time between two lines about the same kind of refusal."""
        self._refusals = RefusalLog(clock)
        self._frames = FrameLog(clock.seconds)

    def __call__(self, event: Event) -> None:
        """Log an event, if its kind leaves a line."""
        if isinstance(event, SessionClosed):
            log_session(event)
        elif isinstance(event, RequestRefused):
            self._refusals(event)
        elif isinstance(event, FrameBlocked):
            self._frames(event)

    def stop(self) -> None:
        """Log what was counted and not logged yet, and start no timer any more."""
        self._refusals.stop()


def log_session(event: SessionClosed) -> None:
    """Log the end of a session: a warning if our side failed, else information; never a traceback."""
    name, uuid = event.instance_name or "-", event.instance_uuid or "-"
    _log.emit(
        LogLevel.warn if event.cause in _OUR_FAULT else LogLevel.info,
        "{summary}",  # made here: if Twisted fills in ten fields, that takes a twentieth of a session's set-up
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
