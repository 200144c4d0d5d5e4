"""Closes the connection to a primary that does not answer, as soon as the Sentinels name another primary."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from novnc_twisted.messaging.redis.protocol import RedisProtocol
from novnc_twisted.messaging.redis.reasons import Frozen
from novnc_twisted.messaging.waiting import ignore_cancellation, sleep

LOOK = 0.5
"""Seconds between two questions to the Sentinels while the server does not answer."""

T = TypeVar("T")


async def unless_moved(
    work: Deferred[T],
    protocol: RedisProtocol,
    moved: Callable[[RedisProtocol], Awaitable[bool]] | None,
    reactor: Any,
    late: Callable[[], bool] = lambda: True,
) -> T:
    """Return the result of work on a connection; while the work is late, ask the Sentinels about a failover.

    A hanging primary still accepts connections.  Without these questions, a log-in would wait for its whole deadline.
    After a failover, the connection is closed, which ends the work.

    :param work: must end when the connection is closed.
    :param moved: returns whether the Sentinels name another server than that of the connection; None: no Sentinels.
    :param late: returns whether the server is late with an answer now.  By default, the server always counts as late.
    :raises Frozen: there was a failover.
    """
    if moved is None:
        return await work
    found = False

    async def look() -> None:
        nonlocal found
        while not found:
            await sleep(LOOK, reactor)
            found = late() and await moved(protocol)
        protocol.transport.abortConnection()

    looking = Deferred.fromCoroutine(look())
    looking.addErrback(ignore_cancellation)
    try:
        result = await work
    except Exception:
        if found:
            raise Frozen from None
        raise
    finally:
        looking.cancel()
    if found:
        raise Frozen  # the work has ended without an error, although the connection was closed
    return result
