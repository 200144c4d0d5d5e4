"""Several calls side by side, of which none hides the others."""

from __future__ import annotations  # else those of inner functions are worked out at each call

from collections.abc import Callable, Iterable, Mapping
from math import ceil
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from novnc_twisted.errors import Refusal, ServiceUnavailable
from novnc_twisted.messaging.interfaces import Answer, ITransport, Service
from novnc_twisted.messaging.waiting import Late, within
from novnc_twisted.messaging.wire import encode_object

T = TypeVar("T")

MAX_AT_ONCE = 256
"""Calls of one broadcast that are under way at a time.  Each may bring an answer of up to 1 MiB."""


async def gather(
    calls: Iterable[Deferred[T]], enough: Callable[[T], bool] = lambda _answer: False
) -> list[T | Refusal]:
    """Return the answers in the order of the calls, refusals among them.

    Cancelling this cancels every call.

    :param enough: called with each answer.  Once it returns True, the calls that are still pending are cancelled, and
        their answer is a ServiceUnavailable.
    """
    # All calls are begun before the first is awaited.
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
        # The last ones first: calls that wait for a slot must not get that of a cancelled one.
        for call in reversed(pending):
            call.cancel()
    return answers


async def broadcast(
    transport: ITransport, clock: IReactorTime, prefix: str, method: str, deadline: float, arguments: Mapping[str, Any]
) -> list[Answer]:
    """Do what :meth:`.ITransport.broadcast` promises, by presence and calls.

    :raises TypeError: the arguments have no form in JSON.
    :raises ValueError: they are too long, or hold NaN.
    :raises ServiceUnavailable: the presence entries cannot be read within the deadline.
    """
    # Checked once, before the first look: otherwise each call would fail with the same mistake of the caller.
    encode_object(arguments)
    until = clock.seconds() + deadline
    try:
        services = await within(transport.services(prefix), deadline, clock)
    except Late:
        raise ServiceUnavailable(f"the bus named no servers within {deadline:g} s") from None
    servers: dict[str, Service] = {}
    for service in services:
        # Servers of one topic are interchangeable; calling each topic once keeps a method from running twice.
        servers.setdefault(service.topic, service)
    # Each round of calls gets its share of the time: so all servers are called, however many of them are dead.
    rounds = ceil(len(servers) / MAX_AT_ONCE)
    share = (until - clock.seconds()) / max(rounds, 1)
    slots = DeferredSemaphore(MAX_AT_ONCE)
    answers: list[Any] = await gather(
        slots.run(transport.call, topic, method, deadline=share, **arguments) for topic in servers
    )
    return [
        Answer(service, refusal=answer) if isinstance(answer, Refusal) else Answer(service, answer)
        for service, answer in zip(servers.values(), answers, strict=True)
    ]
