"""Cancellable waits: each wait may have a deadline, and ends at once when the session ends."""

from collections.abc import Awaitable
from types import CoroutineType
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from novnc_twisted.errors import Refusal, ServiceUnavailable

T = TypeVar("T")


class Deadline:
    """Waits for one result at a time.

    :ivar over: the cause with which :meth:`end` was called; None until then.
    """

    __slots__ = ("_clock", "_doing", "_pending", "_timer", "over")

    def __init__(self, clock: IReactorTime) -> None:
        self.over: Refusal | None = None
        self._clock = clock
        self._pending: Deferred[Any] | None = None  # what wait() returned
        self._doing: Deferred[Any] | None = None  # what is waited for
        self._timer: IDelayedCall | None = None

    def end(self, cause: Refusal) -> None:
        """Make the present wait and all later waits fail with this cause.  Later calls of this method do nothing."""
        if self.over is None:
            self.over = cause
            self._give_up(cause)

    def wait(
        self,
        what: Awaitable[T],
        seconds: float | None = None,
        late: type[Refusal] = ServiceUnavailable,
        detail: str = "",
    ) -> Deferred[T]:
        """Wait for the result of a Deferred or coroutine.

        When the time is over, or when :meth:`end` is called, the Deferred or coroutine is cancelled.  If it ignores the
        cancellation, its later result is dropped.

        :param seconds: the time limit; None: there is no limit.
        :param late: the class of the error after ``seconds``.  The error is made only then, because most waits end in
            time.
        :param detail: the detail of this error.
        :return: fires with the result; fails with the error of ``what``, with ``late(detail)``, or with the cause of
            :meth:`end`.
        """
        if self.over is not None:
            if isinstance(what, CoroutineType):
                what.close()  # the coroutine must not begin
            else:
                _drop(_deferred(what))
            return fail(self.over)
        pending: Deferred[T] = Deferred(self._cancelled)
        self._pending = pending  # before the coroutine begins, since its first step may call end()
        doing = _deferred(what)
        # The first step of the coroutine may have called end(), which has already made this wait fail.
        if self._pending is not pending:
            _drop(doing)
            return pending
        self._doing = doing
        doing.addBoth(self._done, pending)
        # The timer is started last, because a Deferred that has already fired needs none.
        if self._doing is doing and seconds is not None:
            self._timer = self._clock.callLater(max(0.0, seconds), self._late, late, detail)
        return pending

    def _done(self, result: Any, pending: Deferred[Any]) -> None:
        """Pass on the result, or a Failure, unless the wait is over."""
        if pending is self._pending:
            self._rest()
            pending.callback(result)

    def _late(self, late: type[Refusal], detail: str) -> None:
        self._give_up(late(detail))

    def _give_up(self, cause: Refusal) -> None:
        pending, doing = self._pending, self._doing
        # Reset before anything is cancelled: the callbacks of a cancelled Deferred may start the next wait at once.
        self._rest()
        if doing is not None:
            doing.cancel()
        if pending is not None:
            pending.errback(cause)

    def _cancelled(self, pending: Deferred[Any]) -> None:
        """Cancel what a wait waits for, because the wait itself is cancelled.

        For example, another Deadline cancels the coroutine that called :meth:`wait`.
        """
        if pending is self._pending:
            doing = self._doing
            self._rest()
            if doing is not None:
                doing.cancel()

    def _rest(self) -> None:
        """Forget the present wait, so that the next one can begin."""
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
    # No one waits for the result, so an error must not be logged as unhandled.
    doing.addErrback(lambda _: None)
    doing.cancel()
