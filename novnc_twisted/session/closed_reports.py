"""Reports the sessions of this process that have ended to consoleauth, which keeps the history."""

from collections import deque
from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from novnc_twisted.contract.ended_session import EndedSession
from novnc_twisted.contract.topics import CONSOLEAUTH
from novnc_twisted.errors import Refusal
from novnc_twisted.messaging.interfaces import ITransport

PAUSE: Final = 1.0
"""Seconds for which reports are collected, so that many sessions that end together are one call."""

AGAIN: Final = 5.0
"""Seconds until the next attempt after a failed one."""

AT_ONCE: Final = 100
"""Sessions in one call."""

MAX_WAITING: Final = 5000
"""Sessions that wait for consoleauth; a further one drops the oldest."""

_log = Logger()


class ClosedReports:
    """Collects ended sessions, and sends them in the order of their ends.

    :param transport: the bus.
    :param clock: IReactorTime.
    """

    def __init__(self, transport: ITransport, clock: IReactorTime) -> None:
        self._transport = transport
        self._clock = clock
        self._waiting: deque[EndedSession] = deque()
        self._dropped = 0
        self._stopped = False
        self._timer: IDelayedCall | None = None
        self._sending: Deferred[None] | None = None  # while calls are under way

    def add(self, ended: EndedSession) -> None:
        """Report a session that has ended."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append(ended)
        if self._timer is None and self._sending is None and not self._stopped:
            self._timer = self._clock.callLater(PAUSE, self._begin)

    async def stop(self) -> None:
        """Send what waits, within a second; sessions that end later are not reported."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._sending is not None:
            self._sending.cancel()
        await self._send(deadline=1.0)

    def _begin(self) -> None:
        self._timer = None
        sending = self._sending = Deferred.fromCoroutine(self._send_all())
        # The errback is for stop(), which cancels it.  A bus in memory may have answered already.
        sending.addErrback(lambda failure: failure.trap(CancelledError)).addBoth(self._sent)

    def _sent(self, _result: object) -> None:
        self._sending = None
        if self._waiting and not self._stopped:
            self._timer = self._clock.callLater(AGAIN, self._begin)

    async def _send_all(self) -> None:
        while self._waiting and await self._send(deadline=5.0):
            pass

    async def _send(self, deadline: float) -> bool:
        """Send the oldest reports; return whether that succeeded.  What was not confirmed is sent again."""
        rows = [self._waiting[at] for at in range(min(AT_ONCE, len(self._waiting)))]
        if not rows:
            return True
        try:
            await self._transport.call(
                CONSOLEAUTH.name, "report_closed", deadline=deadline, sessions=[row.to_wire() for row in rows]
            )
        except Refusal:
            return False
        for row in rows:
            # The oldest may have been dropped meanwhile.
            if self._waiting and self._waiting[0] is row:
                self._waiting.popleft()
        if self._dropped:
            _log.warn(
                "{count} ended sessions are missing in the history: consoleauth did not answer", count=self._dropped
            )
            self._dropped = 0
        return True
