"""Ends event streams whose log-in is no longer valid.

The log-in is checked every few seconds.  With ``auth_strategy = keystone``, a check may use an earlier, cached answer
of Keystone.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from novnc_twisted.errors import Refusal
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.identity.users import Caller

INTERVAL: Final = 5.0
"""Seconds between two checks of a log-in."""

_DENIED: Final = (401, 403)

_log = Logger()


class LogInCheck:
    """Checks credentials every :data:`INTERVAL` seconds, for all streams that were opened with these credentials.

    :param caller: the caller to whom the credentials belonged when the first stream was opened.
    :param again: repeats the authentication of the request that opened the first stream.
    :ivar ends: functions, each of which ends one stream.  All are called when the credentials are no longer valid,
        when they give other rights, or when they cannot be checked because of a lock-out or an unexpected error.
    """

    def __init__(self, clock: IReactorTime, caller: Caller, again: Callable[[], Awaitable[Caller]]) -> None:
        self._clock = clock
        self._caller = caller
        self._again = again
        self.ends: list[Callable[[], None]] = []
        self._work: Deferred[None] | None = None
        self._timer: IDelayedCall = clock.callLater(INTERVAL, self._begin)

    def stop(self) -> None:
        """Stop checking."""
        if self._timer.active():
            self._timer.cancel()
        work, self._work = self._work, None
        if work is not None:
            work.cancel()

    def _begin(self) -> None:
        self._work = work = Deferred.fromCoroutine(self._check())
        work.addErrback(lambda failure: failure.trap(CancelledError) and None)

    async def _check(self) -> None:
        if await self._is_valid():
            self._timer = self._clock.callLater(INTERVAL, self._begin)
        else:
            self._work = None  # ending the last stream calls stop(), which must not cancel this method
            for end in list(self.ends):
                end()

    async def _is_valid(self) -> bool:
        try:
            return await self._again() == self._caller
        except HTTPError as error:
            # After too many failed log-ins, the client is locked out: its passwords are not checked for some time.  A
            # changed password would not be noticed during this time.  Therefore a lock-out ends the streams, too.
            is_locked_out = error.reason is not None and error.reason.cause == "LockedOut"
            return error.status not in _DENIED and not is_locked_out
        except Refusal:
            return True  # the service that checks credentials does not answer, so they may still be valid
        except Exception:
            # Without streams, stop() has cancelled this check.
            if self.ends:
                _log.failure(
                    "the log-in of event streams could not be checked; they end, and their clients connect again"
                )
            return False
