"""Deadlines and pauses, by a given clock."""

from __future__ import annotations  # so that no call evaluates the annotations of the inner functions

from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

T = TypeVar("T")


class Late(Exception):
    """The deadline passed."""


def within(work: Deferred[T], seconds: float, clock: IReactorTime) -> Deferred[T]:
    """Return the result of ``work``; after this many seconds, cancel it and fail with :class:`Late`.

    If ``work`` ignores the cancellation, wait for its result, and return the result.
    """
    late = False

    def expire() -> None:
        nonlocal late
        late = True
        work.cancel()

    timer = clock.callLater(max(0.0, seconds), expire)

    def done(result: T | Failure) -> T | Failure:
        if timer.active():
            timer.cancel()
        # If the caller cancelled the wait, the failure stays a CancelledError.
        if late and isinstance(result, Failure) and result.check(CancelledError):
            raise Late from None
        return result

    return work.addBoth(done)


async def ended(running: Deferred[None], clock: IReactorTime) -> None:
    """Cancel a loop, and wait until it has ended.

    The code of the loop may call this function, but must not wait for the result.  A coroutine cannot be cancelled
    while its code runs, so this function cancels the loop in the next reactor iteration.

    :param running: the Deferred of the loop's coroutine.
    """
    await sleep(0, clock)
    running.addErrback(ignore_cancellation)
    running.cancel()
    await running


def ignore_cancellation(failure: Failure) -> None:
    """Handle the cancellation of a Deferred; pass on every other failure."""
    failure.trap(CancelledError)


async def settled(running: Deferred[Any], seconds: float, clock: IReactorTime) -> None:
    """Wait at most this many seconds until a Deferred has fired; its result stays available."""
    over: Deferred[None] = Deferred()

    def end(result: Any = None) -> Any:
        if not over.called:
            over.callback(None)
        return result

    timer = clock.callLater(seconds, end)
    running.addBoth(end)
    try:
        await over
    finally:
        if timer.active():
            timer.cancel()


def sleep(seconds: float, clock: IReactorTime) -> Deferred[None]:
    """Return a Deferred that fires after this many seconds."""
    pause: Deferred[None] = Deferred(lambda _: timer.cancel())
    timer = clock.callLater(seconds, pause.callback, None)
    return pause


async def peek(fired: Deferred[T]) -> T:
    """Wait until a Deferred has fired, and return its result; other callers can still get the result.

    The Deferred must not fail: this function would then wait for ever.
    """
    seen: Deferred[T] = Deferred()

    def see(result: T) -> T:
        if not seen.called:
            seen.callback(result)
        return result

    fired.addCallback(see)
    return await seen
