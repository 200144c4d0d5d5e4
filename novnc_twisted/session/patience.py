"""Waiting as a session does: each wait has a deadline, and ends at once when the session does."""

from __future__ import annotations  # else those of inner functions are worked out at each call

from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from novnc_twisted.errors import Refusal

T = TypeVar("T")


class Patience:
    """One wait at a time.

    :ivar over: why waiting is over, once it is.
    """

    __slots__ = ("_clock", "_pending", "over")

    def __init__(self, clock: IReactorTime) -> None:
        self.over: Refusal | None = None
        self._clock = clock
        self._pending: Deferred[Any] | None = None

    def end(self, cause: Refusal) -> None:
        """The present wait, and every later one, raises this cause; the first one stays."""
        if self.over is not None:
            return
        self.over = cause
        if self._pending is not None and not self._pending.called:
            self._pending.errback(cause)

    async def wait(self, what: Awaitable[T], seconds: float | None = None, late: Refusal | None = None) -> T:
        """The result of a Deferred or coroutine.

        When the time or everything is over it is cancelled, and not waited for: something that does not heed its
        cancellation holds nobody up; what it gives then is dropped.

        :raises Refusal: ``late`` after so many seconds; the cause of :meth:`end`.
        """
        if self.over is not None:
            if isinstance(what, Coroutine):
                what.close()  # it shall not begin
            else:
                _drop(_deferred(what))
            raise self.over
        pending: Deferred[T] = Deferred()
        self._pending = pending  # before it begins: what it does first may end everything
        doing: Deferred[T] = _deferred(what)
        timer: IDelayedCall | None = None
        if seconds is not None and late is not None:
            timer = self._clock.callLater(max(0.0, seconds), pending.errback, late)

        def pass_on(result: T | Failure) -> None:
            if not pending.called:
                pending.callback(result)  # a Failure goes to the errbacks

        doing.addBoth(pass_on)
        try:
            return await pending
        finally:
            self._pending = None
            if timer is not None and timer.active():
                timer.cancel()
            _drop(doing)


def _deferred(what: Awaitable[T]) -> Deferred[T]:
    if isinstance(what, Deferred):
        return what
    if isinstance(what, Coroutine):
        return Deferred.fromCoroutine(what)

    async def await_it() -> T:
        return await what

    return Deferred.fromCoroutine(await_it())


def _drop(doing: Deferred[Any]) -> None:
    doing.addErrback(lambda _: None)
    doing.cancel()
