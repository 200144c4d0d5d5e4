"""Reports ended sessions to consoleauth, which counts the live sessions and may keep a history of the ended ones."""

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any, Final, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from novnc_twisted.contract.ended_session import EndedSession
from novnc_twisted.contract.topics import CONSOLEAUTH
from novnc_twisted.errors import Refusal
from novnc_twisted.messaging.interfaces import ITransport
from novnc_twisted.messaging.wire import MAX_MESSAGE, encode_object, size_of

T = TypeVar("T")

PAUSE: Final = 1.0
"""Seconds for which reports are collected.  Sessions that end together are then reported in one call."""

RETRY_PAUSE: Final = 5.0
"""Seconds until the next attempt after a failed one."""

MAX_IN_CALL: Final = 100
"""Maximum number of sessions in one call."""

_ROOM: Final = MAX_MESSAGE - 1000
"""Maximum number of bytes of the sessions in one call; 1000 bytes are left for the other fields of the message."""

MAX_WAITING: Final = 5000
"""If at least this number of reports wait during an outage, each further report replaces the oldest one.

Without an outage, there is no limit, because more reports than this may be added together: when a proxy stops, or when
the supervisor or the next start of a proxy reports the sessions of killed processes.
"""

_KNOWN: Final = ("server_name", "user_id", "project_id", "compute_host", "owners")
"""The fields of a session that are not reported.  consoleauth recorded them when it admitted the session."""

_log = Logger()


class ClosedReports:
    """Collects reports of ended sessions, and sends them to consoleauth in the order in which they were added.

    :param transport: the bus.
    :param clock: IReactorTime.
    :param on_done: called with the id of a session when consoleauth has confirmed its report, or when the report was
        dropped.
    """

    def __init__(
        self, transport: ITransport, clock: IReactorTime, on_done: Callable[[str], None] | None = None
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._on_done = on_done
        self._waiting: deque[EndedSession] = deque()
        self._dropped = 0
        self._failed = False  # whether the last call failed
        self._logged = False  # whether an unexpected error was logged since the last success
        self._stopped = False
        self._timer: IDelayedCall | None = None
        self._sending: Deferred[None] | None = None  # while calls are under way

    def add(self, ended: EndedSession) -> None:
        """Report a session that has ended."""
        if self._failed and len(self._waiting) >= MAX_WAITING:
            self._done(self._waiting.popleft())
            self._dropped += 1
        self._waiting.append(ended)
        if self._timer is None and self._sending is None and not self._stopped:
            self._timer = self._clock.callLater(PAUSE, self._begin)

    async def stop(self) -> None:
        """Send the waiting reports.  Give up when a call to consoleauth fails or has no answer within a second.

        A report that is added after the end of this method is sent only when the method is called again.

        The number of dropped reports is logged.  Without ``on_done``, the unsent reports are dropped here.  With
        ``on_done``, they are kept: the caller can find them, because ``on_done`` was not called for them.
        """
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._sending is not None:
            self._sending.cancel()
        try:
            while self._waiting and await self._send(deadline=1.0):
                pass
        finally:  # also if this coroutine is cancelled
            if self._on_done is None:
                self._dropped += len(self._waiting)
                self._waiting.clear()
            self._log_dropped()

    def _begin(self) -> None:
        self._timer = None
        sending = self._sending = Deferred.fromCoroutine(self._send_all())
        # The errback is for stop(), which cancels the Deferred.
        sending.addErrback(lambda failure: failure.trap(CancelledError)).addBoth(self._sent)

    def _sent(self, result: T) -> T:
        self._sending = None
        if self._waiting and not self._stopped:
            self._timer = self._clock.callLater(RETRY_PAUSE, self._begin)
        return result  # Twisted logs it if it is a Failure

    async def _send_all(self) -> None:
        while self._waiting and await self._send(deadline=5.0):
            pass

    async def _send(self, deadline: float) -> bool:
        """Send the oldest reports; return whether that succeeded.  After a failure, they wait for the next attempt."""
        try:
            sessions = self._oldest()
            if not sessions:
                return True
            rows = list(islice(self._waiting, len(sessions)))
            await self._transport.call(CONSOLEAUTH.name, "report_closed", deadline=deadline, sessions=sessions)
        except CancelledError:
            raise
        except Exception as error:
            self._failed = True
            if not self._logged and not isinstance(error, Refusal):
                self._logged = True
                _log.failure("ended sessions cannot be reported to consoleauth; this is tried again")
            return False
        self._failed = self._logged = False
        for row in rows:
            # During the call, add() may have dropped some of these reports.
            if self._waiting and self._waiting[0] is row:
                self._done(self._waiting.popleft())
        self._log_dropped()
        return True

    def _oldest(self) -> list[dict[str, Any]]:
        """Return the oldest reports that fit into one call; the first one in any case."""
        sessions: list[dict[str, Any]] = []
        size = 0
        for ended in islice(self._waiting, MAX_IN_CALL):
            session = report_of(ended)
            size += size_of(encode_object(session)) + 1
            if sessions and size > _ROOM:
                break
            sessions.append(session)
        return sessions

    def _log_dropped(self) -> None:
        if self._dropped:
            _log.warn(
                "ended sessions that are missing from the history, because consoleauth did not answer for too long: "
                "{count}",
                count=self._dropped,
            )
            self._dropped = 0

    def _done(self, ended: EndedSession) -> None:
        if self._on_done is not None:
            self._on_done(ended.session.id)


def report_of(ended: EndedSession) -> dict[str, Any]:
    """Return the JSON object that describes an ended session to consoleauth."""
    report = ended.to_wire()
    session = report["session"]
    for name in _KNOWN:
        session.pop(name, None)
    return report
