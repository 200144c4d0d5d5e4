"""Taking messages from lists in Redis, on a connection of its own."""

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.redis.link import Link
from novnc_twisted.messaging.redis.protocol import ConnectionGone, RedisError
from novnc_twisted.messaging.redis.pulse import FROZEN
from novnc_twisted.messaging.redis.waiting import Late, ended, sleep, within
from novnc_twisted.messaging.redis_url import RedisURL

BLOCK = 2
"""Seconds that Redis holds one BLPOP: with FROZEN, the time in which a frozen connection is found."""


GLANCE = 0.05
"""The same where one of the lists has no free slot: soon after it has one, it is looked at again."""


class Queue:
    """Takes messages one after another, each once, and hands them on.

    BLPOP holds its connection, so it has its own.  Where that is lost it is made again.  Lists take turns, and each has
    slots of its own: whoever fills one holds up nobody who waits in another.

    :param keys: of the lists.
    :param take: called with the list's key and each message, must not raise; where there are slots, :meth:`release` has
        to be called for it in the end.
    :param slots: how many of each list may be worked on at a time, None for any number.
    :param complain: called with a short text where Redis refuses.
    """

    def __init__(
        self,
        reactor: Any,
        endpoint: IStreamClientEndpoint,
        address: RedisURL,
        keys: Iterable[str],
        take: Callable[[str, Any], None],
        *,
        slots: int | None = None,
        complain: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._keys = list(keys)
        self._take = take
        self._slots = slots
        self._complain = complain
        self._link = Link(reactor, endpoint, address, beats=False)
        self._busy = dict.fromkeys(self._keys, 0)
        self._freed: Deferred[None] | None = None
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

    def release(self, key: str) -> None:
        """A message of this list was worked on."""
        self._busy[key] -= 1
        if self._freed is not None and not self._freed.called:
            self._freed.callback(None)

    async def _run(self) -> None:
        while True:
            free = [key for key in self._keys if self._slots is None or self._busy[key] < self._slots]
            if not free:
                self._freed = Deferred()
                await self._freed
                continue
            found = await self._pop(free, BLOCK if len(free) == len(self._keys) else GLANCE)
            if found is not None:
                key, message = found
                self._keys.remove(key)
                self._keys.append(key)  # the others come first, next time
                self._busy[key] += 1
                self._take(key, message)

    async def _pop(self, keys: list[str], block: float) -> tuple[str, Any] | None:
        """One message and its list's key, or None where there is none for now."""
        try:
            protocol = await self._link.connected(BLOCK)
        except ServiceUnavailable:
            await sleep(0.1, self._reactor)
            return None
        try:
            popping = protocol.command("BLPOP", *keys, f"{block:g}")
            reply: Any = await within(popping, block + FROZEN, self._reactor)
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
        return None if reply is None else (reply[0], reply[1])
