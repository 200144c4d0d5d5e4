"""Taking messages from a list in Redis, on a connection of its own."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.interfaces import IStreamClientEndpoint

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.redis.link import Link
from novnc_twisted.messaging.redis.protocol import ConnectionGone, RedisError
from novnc_twisted.messaging.redis.pulse import FROZEN
from novnc_twisted.messaging.redis.waiting import Late, ended, sleep, within
from novnc_twisted.messaging.redis_url import RedisURL

BLOCK = 2
"""Seconds that Redis holds one BLPOP: with FROZEN, the time in which a frozen connection is found."""


class Queue:
    """Takes messages one after another, each once, and hands them on.

    BLPOP holds its connection, so it has its own.  Where that is lost it is made again.

    :param key: of the list.
    :param take: called with each message and, where there are slots, has to release one; must not raise.
    :param slots: how many may be worked on at a time, None for any number.
    :param complain: called with a short text where Redis refuses.
    """

    def __init__(
        self,
        reactor: Any,
        endpoint: IStreamClientEndpoint,
        address: RedisURL,
        key: str,
        take: Callable[[Any], None],
        *,
        slots: DeferredSemaphore | None = None,
        complain: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._key = key
        self._take = take
        self._slots = slots
        self._complain = complain
        self._link = Link(reactor, endpoint, address, beats=False)
        self._running: Deferred[None] | None = None

    def start(self) -> Deferred[None]:
        """Begin; fires once the first attempt to connect has succeeded or failed."""
        first = self._link.start()
        self._running = Deferred.fromCoroutine(self._run())
        return first

    async def stop(self) -> None:
        """Take no more, and close the connection."""
        running, self._running = self._running, None
        if running is not None:
            await ended(running, self._reactor)
        await self._link.stop()

    async def _run(self) -> None:
        while True:
            if self._slots is not None:
                await self._slots.acquire()
            taken = False
            try:
                message = await self._pop()
                if message is not None:
                    taken = True
                    self._take(message)
            finally:
                if self._slots is not None and not taken:
                    self._slots.release()

    async def _pop(self) -> Any:
        """One message, or None where there is none for now."""
        try:
            protocol = await self._link.connected(BLOCK)
        except ServiceUnavailable:
            await sleep(0.1, self._reactor)
            return None
        try:
            reply: Any = await within(protocol.command("BLPOP", self._key, BLOCK), BLOCK + FROZEN, self._reactor)
        except ConnectionGone:
            return None
        except Late:
            protocol.transport.abortConnection()
            return None
        except RedisError as error:
            self._complain(f"it answered {error.code} to BLPOP")
            protocol.transport.abortConnection()
            await sleep(1.0, self._reactor)
            return None
        return None if reply is None else reply[1]
