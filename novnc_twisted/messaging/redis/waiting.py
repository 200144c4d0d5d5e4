"""Waiting with an end: deadlines and pauses on a clock."""

from __future__ import annotations  # else those of inner functions are worked out at each call

from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

T = TypeVar("T")


class Late(Exception):
    """The deadline passed."""


def within(work: Deferred[T], seconds: float, clock: IReactorTime) -> Deferred[T]:
    """The result of ``work``, or Late after so many seconds; then the work is cancelled."""
    late = False

    def expire() -> None:
        nonlocal late
        late = True
        work.cancel()

    timer = clock.callLater(max(0.0, seconds), expire)

    def done(result: T | Failure) -> T | Failure:
        if timer.active():
            timer.cancel()
        if late and isinstance(result, Failure) and result.check(CancelledError):
            raise Late from None
        return result

    return work.addBoth(done)


async def ended(running: Deferred[None], clock: IReactorTime) -> None:
    """End a loop, and wait until it is over.

    Not before the next turn: who ends it may well be called, in the end, by the loop itself.
    """
    await sleep(0, clock)
    running.addErrback(lambda failure: failure.trap(CancelledError))
    running.cancel()
    await running


def sleep(seconds: float, clock: IReactorTime) -> Deferred[None]:
    """Fires after so many seconds."""
    pause: Deferred[None] = Deferred(lambda _: timer.cancel())
    timer = clock.callLater(seconds, pause.callback, None)
    return pause


async def peek(fired: Deferred[T]) -> T:
    """The result of a Deferred, for any number of callers who ask."""
    seen: Deferred[T] = Deferred()

    def see(result: T) -> T:
        if not seen.called:
            seen.callback(result)
        return result

    fired.addCallback(see)
    return await seen
