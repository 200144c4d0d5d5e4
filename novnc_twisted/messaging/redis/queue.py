"""Takes messages from lists in Redis, with a connection of its own."""

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.redis.health import Health
from novnc_twisted.messaging.redis.heartbeat import FROZEN
from novnc_twisted.messaging.redis.link import Link
from novnc_twisted.messaging.redis.protocol import ConnectionGone, RedisError
from novnc_twisted.messaging.redis.reasons import TROUBLES, sentence
from novnc_twisted.messaging.waiting import Late, ended, settled, sleep, within

BLOCK = 2
"""Time-out of a BLPOP in seconds.

If Redis still has not answered when FROZEN more seconds have passed, the connection counts as frozen.
"""

LONG_BLOCK = 10
"""Time-out in seconds of a BLPOP for lists that only this process reads.

A dead connection can still get a message, which is lost, until its BLPOP times out.  If several processes read a list,
a short time-out matters, because another process could handle the message.  If only one process reads the list, a long
time-out saves commands: 10,000 idle compute hosts send 1,000 BLPOPs a second instead of 5,000.
"""

GLANCE = 0.05
"""Time-out in seconds of a BLPOP while a list has no free slot (its maximum number of messages is being handled).

This BLPOP leaves out such lists.  It must end soon, because one of their slots may become free meanwhile.
"""

MAX_PENDING = 4 << 20
"""Maximum number of bytes of one message, for the link of a queue.  A longer message closes the link's connection.

The longest valid message is the sealed form of a reply of :data:`.wire.MAX_MESSAGE` bytes.  The sealed form is about a
third longer.
"""


class Queue:
    """Takes messages from lists, each message once, and passes them to a function.

    BLPOP blocks its connection, so each queue has a connection of its own.  The lists take turns, and each list has its
    own slots: a sender that fills one list does not delay messages in another list.

    :param link: the connection; it must not be started yet, and is started and stopped with the queue.
    :param keys: the keys of the lists.
    :param take: called with the list's key and each message; must not raise.  With ``slots``, :meth:`release` must be
        called when a message has been handled.
    :param slots: maximum number of messages of each list that are handled at a time; None: no limit.
    :param alone: whether no other process reads these lists.
    :param health: notified when Redis refuses a command.
    :param purpose: the kind of messages, for log lines.
    """

    def __init__(
        self,
        reactor: Any,
        link: Link,
        keys: Iterable[str],
        take: Callable[[str, Any], None],
        *,
        slots: int | None = None,
        alone: bool = False,
        health: Health,
        purpose: str,
    ) -> None:
        self._reactor = reactor
        self._keys = list(keys)
        self._take = take
        self._slots = slots
        self._alone = alone
        self._health = health
        self._purpose = purpose
        self._link = link
        self._busy = dict.fromkeys(self._keys, 0)
        self._paused = False
        self._last = False  # whether to send no further BLPOP
        self._freed: Deferred[None] | None = None  # fires when _run() must check again whether to take messages
        self._running: Deferred[None] | None = None

    @property
    def keys(self) -> list[str]:
        """The keys of the lists."""
        return list(self._busy)

    def start(self) -> Deferred[None]:
        """Begin; fires when the first attempt to connect has succeeded or failed."""
        first = self._link.start()
        self._running = Deferred.fromCoroutine(self._run())
        return first

    async def stop(self, *, grace: float = 0.0, fed: bool = False) -> None:
        """Take no more messages, and close the connection.

        :param grace: maximum seconds to wait for the end of a pending BLPOP before the connection is closed.  Without
            this wait, Redis could send a message while the connection is being closed, and the message would be lost.
        :param fed: whether messages may still be put into the lists.  If True, the BLPOP is not interrupted during
            ``grace``, because the interruption could lose a message.
        """
        running, self._running = self._running, None
        if running is not None:
            if grace:
                self._last = True
                self._wake()
                if not fed:
                    self._link.finish()
                await settled(running, grace, self._reactor)
            await ended(running, self._reactor)
        await self._link.stop()

    def release(self, key: str) -> None:
        """Free a slot of this list: one of its messages has been handled."""
        self._busy[key] -= 1
        self._wake()

    def pause(self, paused: bool) -> None:
        """Take no more messages (True), or take them again (False).

        After a call with True, a pending BLPOP may still take one message.
        """
        self._paused = paused
        self._wake()

    def _wake(self) -> None:
        if self._freed is not None and not self._freed.called:
            self._freed.callback(None)

    async def _run(self) -> None:
        while not self._last:
            free = [key for key in self._keys if self._slots is None or self._busy[key] < self._slots]
            if not free or self._paused:
                self._freed = Deferred()
                await self._freed
                continue
            block = LONG_BLOCK if self._alone else BLOCK
            found = await self._pop(free, block if len(free) == len(self._keys) else GLANCE)
            if found is not None:
                key, message = found
                # BLPOP prefers the first of its keys, so rotate them: one busy list must not starve the others.
                self._rotate(key)
                self._busy[key] += 1
                self._take(key, message)

    def _rotate(self, key: str) -> None:
        """Put a list behind the others."""
        self._keys.remove(key)
        self._keys.append(key)

    async def _pop(self, keys: list[str], block: float) -> tuple[str, Any] | None:
        """Return the key of a list and one of its messages; None if there is no message for now."""
        try:
            protocol = await self._link.connected(BLOCK)
        except ServiceUnavailable:
            # Without this pause, a link that fails at once would cause a busy loop.
            await sleep(0.1, self._reactor)
            return None
        try:
            popping = protocol.command("BLPOP", *keys, f"{block:g}")
            reply: Any = await within(popping, block + FROZEN, self._reactor)
        except ConnectionGone:
            if protocol.too_long:
                # Redis has already removed the message that was too long.  The list may contain more such messages, so
                # begin with another list next time.
                self._rotate(keys[0])
            return None
        except Late:
            protocol.transport.abortConnection()
            return None
        except RedisError as error:
            # The error may concern one list only (WRONGTYPE).  Begin with another list next time, so that the others
            # are still served.
            self._rotate(keys[0])
            if error.code in TROUBLES:
                self._health.trouble(error.code)
                await sleep(1.0, self._reactor)
                return None
            self._health.complain(f"answered {error.code} to a BLPOP for {self._purpose}: {sentence(error.code)}")
            # Reconnect: if this server has become a replica (READONLY), the link asks the Sentinels for the primary.
            protocol.transport.abortConnection()
            await sleep(1.0, self._reactor)
            return None
        return None if reply is None else (reply[0], reply[1])
