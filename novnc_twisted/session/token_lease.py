"""Renews the lease of a live session's token, so that the viewer can reconnect after a network failure.

With a lease, the viewer can use the token for a while even after the token has expired.  The call ``keep_token``
renews the lease.  If the rules permit no reconnection, consoleauth grants no lease.  The proxy calls ``keep_token``
nevertheless, because the answers report changes of the token.
"""

from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from novnc_twisted.errors import ConsoleForbidden, Refusal, Revoked, ServiceUnavailable
from novnc_twisted.relay.timer_wheel import Timer, timer_wheel_of
from novnc_twisted.session.deadline import Deadline
from novnc_twisted.session.interfaces import IViewer
from novnc_twisted.session.services import KeepToken, SessionServices


class ILeased(Protocol):
    """The part of a session that :class:`TokenLease` uses."""

    services: SessionServices
    viewer: IViewer

    def end(self, cause: Refusal) -> None:
        """End the session."""

    def change_mode(self, mode: str) -> None:
        """Change what the viewer may do."""


class TokenLease:
    """Calls ``keep_token`` regularly while the session lives.  For the call at the session's end, see :meth:`last`.

    With consoleauth, the first call comes 60 to 90 s before the token expires.  Most sessions end before this call.  If
    the token had less than 90 s left when it was checked, or if it was shared for a guest, the first call comes as soon
    as the session is live.  If calls fail, only the first failure is logged, and the session goes on.

    The answers also report changes that the proxy may have missed.  If the token was revoked, or if the server has
    another project now, the session ends.  If the rights of the token were changed, the session gets the new rights.
    """

    log = Logger()

    __slots__ = ("_call_deadline", "_failed", "_keep_token", "_renewed", "_session", "_stopped", "_timer")

    def __init__(self, session: ILeased, keep_token: KeepToken) -> None:
        """Prepare; :meth:`start` begins.

        :param session: the session to end if its token is no longer valid, or to change if its rights have changed.
        """
        self._session = session
        self._keep_token = keep_token
        self._timer: Timer | None = None
        self._call_deadline: Deadline | None = None  # while a call is under way
        self._failed = False
        self._stopped = False
        self._renewed = False

    def start(self, after: float) -> None:
        """Make the first call.  Its answer may end the session.

        :param after: seconds until this call; 0: make it at once.
        """
        if after > 0:
            self._call_in(after)
        else:
            self._tick()

    def stop(self) -> None:
        """Make no more calls, and cancel a pending one."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._call_deadline is not None:
            self._call_deadline.end(ServiceUnavailable("the session ended"))

    def last(self, deadline: float) -> Deferred[None]:
        """Stop, and renew the lease a last time; fires when that has ended.

        If no call was due yet, do not renew the lease: the token itself is still valid for at least a minute.
        """
        # This cancels a call that is under way, so that the call below decides how long the lease lasts.
        self.stop()
        return Deferred.fromCoroutine(self._renew(deadline)) if self._renewed else succeed(None)

    def _call_in(self, seconds: float) -> None:
        self._timer = timer_wheel_of(self._session.services.reactor).callLater(seconds, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._renewed = True
        Deferred.fromCoroutine(self._renew_and_wait())

    async def _renew_and_wait(self) -> None:
        await self._renew(self._session.services.settings.token_deadline)
        if not self._stopped:
            self._call_in(self._session.services.settings.keep_interval)

    async def _renew(self, deadline: float) -> None:
        stopped = self._stopped
        viewer = self._session.viewer
        waiting = self._call_deadline = Deadline(self._session.services.reactor)
        try:
            kept = self._keep_token(viewer.token or "", viewer.address)
            mode = await waiting.wait(kept, deadline, ServiceUnavailable, f"no answer in {deadline:g} s")
            if mode is not None:
                self._session.change_mode(mode)
        except (Revoked, ConsoleForbidden) as cause:
            self._session.end(cause)
        except Exception as error:
            # A call that stop() has cancelled is not logged as a failure.
            if not self._failed and self._stopped == stopped:
                self._failed = True
                self.log.warn(
                    "the token lease of a live session could not be renewed; its viewer may be unable to reconnect: "
                    "{error}",
                    error=str(error)[:200],
                )
        finally:
            # last() may have begun another call while this one was being cancelled.
            if self._call_deadline is waiting:
                self._call_deadline = None
