"""Waiting as a session does: each wait has a deadline, and ends at once when the session does."""

from collections.abc import Awaitable
from types import CoroutineType
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from novnc_twisted.errors import Refusal

T = TypeVar("T")


class Deadline:
    """One wait at a time.

    :ivar over: why waiting is over, once it is.
    """

    __slots__ = ("_clock", "_doing", "_pending", "_timer", "over")

    def __init__(self, clock: IReactorTime) -> None:
        self.over: Refusal | None = None
        self._clock = clock
        self._pending: Deferred[Any] | None = None  # the wait
        self._doing: Deferred[Any] | None = None  # what is waited for
        self._timer: IDelayedCall | None = None

    def end(self, cause: Refusal) -> None:
        """The present wait, and every later one, raises this cause; the first one stays."""
        if self.over is None:
            self.over = cause
            self._give_up(cause)

    def wait(self, what: Awaitable[T], seconds: float | None = None, late: Refusal | None = None) -> Deferred[T]:
        """The result of a Deferred or coroutine.

        When the time or everything is over it is cancelled, and not waited for: something that does not heed its
        cancellation holds nobody up; what it gives then is dropped.

        :raises Refusal: (by the Deferred) ``late`` after so many seconds; the cause of :meth:`end`.
        """
        if self.over is not None:
            if isinstance(what, CoroutineType):
                what.close()  # it must not begin
            else:
                _drop(_deferred(what))
            return fail(self.over)
        pending: Deferred[T] = Deferred(self._cancelled)
        self._pending = pending  # before it begins: what it does first may end everything
        if seconds is not None and late is not None:
            self._timer = self._clock.callLater(max(0.0, seconds), self._give_up, late)
        doing = _deferred(what)
        if self._pending is pending:
            self._doing = doing
            doing.addBoth(self._done, pending)
        else:
            _drop(doing)
        return pending

    def _done(self, result: Any, pending: Deferred[Any]) -> None:
        """With its result, or a Failure; nobody may wait for it any more."""
        if pending is self._pending:
            self._rest()
            pending.callback(result)

    def _give_up(self, cause: Refusal) -> None:
        pending, doing = self._pending, self._doing
        self._rest()
        if doing is not None:
            doing.cancel()
        if pending is not None:
            pending.errback(cause)

    def _cancelled(self, pending: Deferred[Any]) -> None:
        """Cancel the step, because its outer wait was cancelled."""
        if pending is self._pending:
            doing = self._doing
            self._rest()
            if doing is not None:
                doing.cancel()

    def _rest(self) -> None:
        self._pending = self._doing = None
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()


def _deferred(what: Awaitable[T]) -> Deferred[T]:
    if isinstance(what, Deferred):
        return what
    if isinstance(what, CoroutineType):
        return Deferred.fromCoroutine(what)

    async def await_it() -> T:
        return await what

    return Deferred.fromCoroutine(await_it())


def _drop(doing: Deferred[Any]) -> None:
    doing.addErrback(lambda _: None)
    doing.cancel()
