"""Several calls at once, of which no one hides the others."""

from __future__ import annotations  # else those of inner functions are worked out at each call

from collections.abc import Callable, Iterable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from novnc_twisted.errors import Refusal, ServiceUnavailable

T = TypeVar("T")


async def gather(
    calls: Iterable[Deferred[T]], enough: Callable[[T], bool] = lambda _answer: False
) -> list[T | Refusal]:
    """The answers in the calls' order, refusals among them.

    :param enough: once an answer is so, the rest is not waited for: they are cancelled, and stand there as
        ServiceUnavailable.  Cancelling this cancels them all.
    """
    pending = list(calls)
    if not pending:
        return []
    answers: list[T | Refusal] = [ServiceUnavailable("not waited for") for _ in pending]
    done: Deferred[None] = Deferred()
    left = len(pending)

    def settle(answer: T | Refusal, place: int) -> None:
        nonlocal left
        left -= 1
        answers[place] = answer
        if not done.called and (left == 0 or (not isinstance(answer, Refusal) and enough(answer))):
            done.callback(None)

    def refused(failure: Failure, place: int) -> None:
        error = failure.value
        settle(error if isinstance(error, Refusal) else ServiceUnavailable(type(error).__name__), place)

    for place, call in enumerate(pending):
        call.addCallbacks(settle, refused, (place,), {}, (place,))
    try:
        await done
    finally:
        for call in pending:
            call.cancel()
    return answers
