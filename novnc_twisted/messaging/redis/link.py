"""A connection to Redis that reconnects whenever it is lost."""

import random
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.redis.endpoint import ANSWER_TIMEOUT, CONNECT_TIMEOUT
from novnc_twisted.messaging.redis.failover import unless_moved
from novnc_twisted.messaging.redis.health import Health
from novnc_twisted.messaging.redis.heartbeat import MAX_BACKOFF, PRESENCE
from novnc_twisted.messaging.redis.login import in_time, log_in
from novnc_twisted.messaging.redis.protocol import MAX_PENDING, RedisProtocol
from novnc_twisted.messaging.redis.reasons import Frozen, TooLong
from novnc_twisted.messaging.redis_url import RedisURL
from novnc_twisted.messaging.waiting import Late, ended, ignore_cancellation, peek, sleep, within

FIRST_BACKOFF = 0.05
"""Minimum number of seconds between the end of a connection, or of a failed attempt, and the next attempt.

The time from the start of one attempt to the start of the next is random.  With each further failure it about doubles,
up to MAX_BACKOFF.  If an attempt and its connection together lasted ANSWER_TIMEOUT or longer, the next attempt follows
after one to three times this minimum.
"""

_FACTORY = Factory.forProtocol(RedisProtocol)
_FACTORY.noisy = False


class Link:
    """One connection.  It reconnects whenever it is lost.

    A link has no heartbeat, so that it can be used for blocking commands.  The code that uses the link has to notice
    when Redis hangs.  The subclass :class:`.CommandLink` has a heartbeat.

    :param reactor: the reactor.
    :param endpoint: where Redis is.
    :param address: how to log in.
    :param health: notified of each loss and recovery.
    :param purpose: the purpose of the connection, for log lines.
    :param after: another link to the same Redis.  This link connects only while the other one is connected, so that a
        process tries a dead Redis with one connection only.
    :param on_up: called after each connection and log-in.
    :param max_pending: maximum number of bytes of one reply.
    :param seconds: a monotonic clock in seconds.
    :param uniform: returns a random number between its two arguments.
    """

    def __init__(
        self,
        reactor: Any,
        endpoint: IStreamClientEndpoint,
        address: RedisURL,
        health: Health,
        purpose: str,
        *,
        after: "Link | None" = None,
        on_up: Callable[[], None] = lambda: None,
        max_pending: int = MAX_PENDING,
        seconds: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._reactor = reactor
        self._endpoint = endpoint
        # Asks the Sentinels whether another server is now the primary.  Only endpoints with Sentinels have this method.
        self._moved = getattr(endpoint, "moved", None)
        self._address = address
        self._health = health
        self._purpose = purpose
        self._after = after
        self._followers: set[Link] = set()
        self._on_up = on_up
        self._max_pending = max_pending
        self._seconds = seconds
        self._uniform = uniform
        self._protocol: RedisProtocol | None = None
        self._waiting: set[Deferred[RedisProtocol]] = set()
        self._down_since = seconds()
        self._lost_before = False
        self._first: Deferred[None] = Deferred()  # fires after the first attempt
        self._stopped = True
        self._finishing = False  # whether finish() was called
        self._running: Deferred[None] | None = None

    def start(self) -> Deferred[None]:
        """Begin to connect; fires when the first attempt has succeeded or failed."""
        # The time without a connection begins here, so that calls right after start() wait for the first connection.
        self._down_since = self._seconds()
        self._stopped = False
        self._running = Deferred.fromCoroutine(self._run())
        if self._after is not None:
            self._after._followers.add(self)
        return Deferred.fromCoroutine(peek(self._first))

    async def stop(self) -> None:
        """Close the connection, do not reconnect, and fail everything that waits for it."""
        self._stopped = True
        running, self._running = self._running, None
        if self._after is not None:
            self._after._followers.discard(self)
        if running is not None:
            await ended(running, self._reactor)
        # Without this call, Health would wait for this connection before it logs "is back".
        self._health.up(self._purpose)
        self._tried()
        for waiting in list(self._waiting):
            if not waiting.called:
                waiting.errback(ServiceUnavailable("the transport was stopped"))

    def finish(self) -> None:
        """Close the sending side of the connection, and do not reconnect.

        Redis then ends a blocked command.  Redis drops a reply that it has not sent yet, so a message that Redis takes
        from a list at this moment can be lost.  Without a connection, this method does nothing.
        """
        if self._protocol is not None:
            self._finishing = True
            self._protocol.transport.loseWriteConnection()

    @property
    def local_address(self) -> str:
        """The local IP address of the connection; empty on a unix socket, or if there is no connection."""
        host = self._protocol.transport.getHost() if self._protocol is not None else None
        return str(getattr(host, "host", ""))

    async def connected(self, deadline: float) -> RedisProtocol:
        """Return the connection.  Wait for it during the first PRESENCE seconds of an outage; later, fail at once.

        :param deadline: maximum number of seconds to wait.
        :raises ServiceUnavailable: there is no connection.
        """
        if self._protocol is not None:
            return self._protocol
        # A wait is for a short outage only.  After PRESENCE seconds, all presence entries have expired: even when Redis
        # is back, a call finds no server until one has announced itself again.
        left = min(deadline, self._down_since + PRESENCE - self._seconds())
        if self._stopped or left <= 0:
            raise ServiceUnavailable("Redis cannot be reached")
        waiting: Deferred[RedisProtocol] = Deferred()
        self._waiting.add(waiting)
        try:
            return await within(waiting, left, self._reactor)
        except Late:
            raise ServiceUnavailable("Redis cannot be reached") from None
        finally:
            self._waiting.discard(waiting)

    async def _run(self) -> None:
        attempt = 0
        lost: BaseException
        while True:
            if self._after is not None and not await self._after_is_up():
                continue
            begun = self._seconds()
            try:
                lost = await self._once()
                # If connections break soon after they were made, the pauses between the attempts also become longer.
                attempt = 0 if self._seconds() - begun > PRESENCE else min(attempt + 1, 3)
                if self._finishing:
                    return
            except (CancelledError, GeneratorExit):
                raise
            except Exception as error:
                if self._stopped:
                    # A cancelled endpoint may fail with another exception than CancelledError.
                    return
                lost = error
                attempt += 1
            # If this flag is set, CommandLink begins a grace period when it connects: for some seconds, a missing
            # presence entry does not prove that its service is gone.  A failed first attempt counts as a loss too: when
            # Redis appears, other services may connect later than this one.
            self._lost_before = True
            self._health.down(self._purpose, lost)
            self._tried()
            if isinstance(lost, Frozen):
                # Close the connections of the followers (links whose ``after`` is this link).  Without this, a follower
                # would notice the frozen Redis only after the time-out of its BLPOP.
                for other in list(self._followers):
                    other._drop()
            await sleep(self._pause(attempt, self._seconds() - begun), self._reactor)

    def _pause(self, attempt: int, waited: float) -> float:
        """Return the seconds until the next attempt.

        :param waited: seconds since the start of the last attempt, including the time for which its connection lasted.
        """
        # All pauses are random, so that the processes do not reconnect all at once and overload Redis.
        #
        # After an attempt that took ANSWER_TIMEOUT or longer, the next one follows soon: attempts that take so long are
        # too rare to burden a Redis that has just started.  The next attempt also follows soon after a connection that
        # lasted so long, because the outage may be short.
        if waited >= ANSWER_TIMEOUT:
            return self._uniform(FIRST_BACKOFF, 3 * FIRST_BACKOFF)
        longest = min(MAX_BACKOFF, FIRST_BACKOFF * 2**attempt)
        return max(FIRST_BACKOFF, self._uniform(longest / 2, longest) - waited)

    async def _after_is_up(self) -> bool:
        """Wait until the link ``after`` is connected; return False if that link was lost or stopped meanwhile."""
        other = self._after
        if other is None:
            return True
        await peek(other._first)
        if other._protocol is None:
            # The other link's failed attempt counts as the first attempt of this one, so that start() can fire.
            self._tried()
            waiting: Deferred[RedisProtocol] = Deferred()
            other._waiting.add(waiting)
            try:
                await waiting
            except ServiceUnavailable:
                return False  # the other link was stopped
            finally:
                other._waiting.discard(waiting)
        return other._protocol is not None

    def _tried(self) -> None:
        if not self._first.called:
            self._first.callback(None)

    async def _once(self) -> BaseException:
        """Make one connection, wait for its end, and return why it ended.

        :raises Exception: the connection could not be made, or the first commands on it failed.
        """
        protocol: Any = await within(self._endpoint.connect(_FACTORY), 2 * CONNECT_TIMEOUT, self._reactor)
        protocol.max_pending = self._max_pending
        try:
            began = Deferred.fromCoroutine(in_time(self._begin(protocol), protocol, self._address, self._reactor))
            await unless_moved(began, protocol, self._moved, self._reactor)
            self._up(protocol)
            watching: Deferred[BaseException | None] = Deferred.fromCoroutine(self._watch(protocol))
            try:
                reason = await peek(protocol.lost)
            finally:
                self._protocol = None
                self._down_since = self._seconds()
                watching.addErrback(ignore_cancellation)
                watching.cancel()
            if protocol.too_long:
                limit = self._max_pending >> 10
                return TooLong(f"longer than {limit} KiB" if limit < 1024 else f"longer than {limit >> 10} MiB")
            # If _watch() closed the connection, it returns the cause; the transport's reason then explains nothing.
            return (await watching) or reason
        finally:
            if not protocol.lost.called:
                protocol.transport.abortConnection()
                await peek(protocol.lost)

    async def _begin(self, protocol: RedisProtocol) -> None:
        """Send the first commands of a new connection."""
        await log_in(protocol, self._address)

    async def _watch(self, _protocol: RedisProtocol) -> BaseException | None:
        """Do nothing.  A subclass may close the connection, and then returns why; else it returns None."""
        return None

    def _drop(self) -> None:
        """Close the connection, because another connection has found that the same Redis no longer answers."""
        if self._protocol is not None:
            self._protocol.transport.abortConnection()

    def _up(self, protocol: RedisProtocol) -> None:
        self._protocol = protocol
        self._health.up(self._purpose)
        # Call on_up before the waiting calls continue: presence entries must be back when calls look for servers.
        self._on_up()
        self._tried()
        for waiting in list(self._waiting):
            if not waiting.called:
                waiting.callback(protocol)
