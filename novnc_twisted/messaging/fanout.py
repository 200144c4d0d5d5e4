"""Concurrent calls: if one call fails, the others continue."""

from __future__ import annotations  # otherwise each call would evaluate the annotations of inner functions

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
"""Maximum number of concurrent calls of one broadcast, since each answer may have 1 MiB."""


async def gather(
    calls: Iterable[Deferred[T]], enough: Callable[[T], bool] = lambda _answer: False
) -> list[T | Refusal]:
    """Return the answer or the Refusal of each call, in the order of the calls.

    Any other error is returned as a ServiceUnavailable.  If the wait for the answers is cancelled, every call is
    cancelled.

    :param enough: called with each answer, but not with a Refusal.  Once it returns True, the calls that are still
        pending are cancelled, and a ServiceUnavailable is returned for each of them.
    """
    # ``calls`` may be a generator: list() begins all calls before the first is awaited.
    pending = list(calls)
    if not pending:
        return []
    answers: dict[int, T | Refusal] = {}
    done: Deferred[None] = Deferred()

    def settle(answer: T | Refusal, place: int) -> None:
        answers[place] = answer
        if not done.called and (len(answers) == len(pending) or (not isinstance(answer, Refusal) and enough(answer))):
            done.callback(None)

    def refused(failure: Failure, place: int) -> None:
        error = failure.value
        settle(error if isinstance(error, Refusal) else ServiceUnavailable(type(error).__name__), place)

    for place, call in enumerate(pending):
        call.addCallbacks(settle, refused, callbackArgs=(place,), errbackArgs=(place,))
    try:
        await done
    finally:
        # Cancel the last call first.  In broadcast(), the last calls wait for a slot of a semaphore.  If an earlier
        # call were cancelled first, a waiting call would get its slot and begin.
        for call in reversed(pending):
            call.cancel()
    places = range(len(pending))
    return [answers[place] if place in answers else ServiceUnavailable("not waited for") for place in places]


async def broadcast(
    transport: ITransport, clock: IReactorTime, prefix: str, method: str, deadline: float, arguments: Mapping[str, Any]
) -> list[Answer]:
    """Implement :meth:`.ITransport.broadcast` with presence entries and calls.

    :raises TypeError: the arguments cannot be converted to JSON.
    :raises ValueError: the arguments are too long.
    :raises ServiceUnavailable: the presence entries cannot be read within the deadline.
    """
    # Checked here, because gather() would turn the caller's mistake into a ServiceUnavailable of each server.
    encode_object(arguments)
    until = clock.seconds() + deadline
    try:
        services = await within(transport.services(prefix), deadline, clock)
    except Late:
        raise ServiceUnavailable(f"the bus did not list its servers within {deadline:.3g} s") from None
    servers: dict[str, Service] = {}
    for service in services:
        # Servers of one topic are interchangeable; calling each topic once keeps a method from running twice.
        servers.setdefault(service.topic, service)
    # Each round of calls gets its share of the time, so that all servers are called even if many of them are dead.
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
