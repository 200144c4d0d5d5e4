"""A connection to Redis that is made again whenever it is lost."""

import random
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.redis.endpoint import CONNECT_TIMEOUT
from novnc_twisted.messaging.redis.health import Health
from novnc_twisted.messaging.redis.heartbeat import MAX_BACKOFF, PRESENCE
from novnc_twisted.messaging.redis.login import in_time, log_in
from novnc_twisted.messaging.redis.protocol import MAX_PENDING, RedisProtocol
from novnc_twisted.messaging.redis.reasons import Frozen, TooLong
from novnc_twisted.messaging.redis_url import RedisURL
from novnc_twisted.messaging.waiting import Late, ended, peek, sleep, within

FIRST_BACKOFF = 0.05
"""Seconds before the second attempt to connect; each further pause is twice as long, up to MAX_BACKOFF."""

_FACTORY = Factory.forProtocol(RedisProtocol)
_FACTORY.noisy = False


class Link:
    """One connection for blocking commands, made again whenever it is lost.

    Nothing checks it while it is blocked: its user has to notice when Redis no longer answers.

    :param reactor: the reactor.
    :param endpoint: where Redis is.
    :param address: how to log in.
    :param health: notified of each loss and recovery.
    :param purpose: what the connection is for, in the log.
    :param after: another link to the same Redis.  Attempts are made only while that one is connected, so that a process
        tries a Redis that is down on one connection only.
    :param on_up: called each time that it is connected and logged in.
    :param max_pending: maximum number of bytes of one reply.
    :param seconds: a clock in seconds that does not step.
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
    ) -> None:
        self._reactor = reactor
        self._endpoint = endpoint
        self._address = address
        self._health = health
        self._purpose = purpose
        self._after = after
        self._followers: set[Link] = set()
        self._on_up = on_up
        self._max_pending = max_pending
        self._seconds = seconds
        self._protocol: RedisProtocol | None = None
        self._waiting: set[Deferred[RedisProtocol]] = set()
        self._down_since = seconds()
        self._lost_before = False
        self._first: Deferred[None] = Deferred()
        self._stopped = True
        self._running: Deferred[None] | None = None

    def start(self) -> Deferred[None]:
        """Begin to connect; fires when the first attempt has succeeded or failed."""
        # Measured from the start: calls made at once wait for the first connection.
        self._down_since = self._seconds()
        self._stopped = False
        self._running = Deferred.fromCoroutine(self._run())
        if self._after is not None:
            self._after._followers.add(self)
        return Deferred.fromCoroutine(peek(self._first))

    async def stop(self) -> None:
        """Close the connection and make no further one; fail everything that waits for it."""
        self._stopped = True
        running, self._running = self._running, None
        if self._after is not None:
            self._after._followers.discard(self)
        if running is not None:
            await ended(running, self._reactor)
        self._tried()
        for waiting in list(self._waiting):
            if not waiting.called:
                waiting.errback(ServiceUnavailable("the transport was stopped"))

    @property
    def local_address(self) -> str:
        """The local IP address of the connection; empty without one, and on a unix socket."""
        host = self._protocol.transport.getHost() if self._protocol is not None else None
        return str(getattr(host, "host", ""))

    async def connected(self, deadline: float) -> RedisProtocol:
        """Return the connection.  A short outage is waited out; in a longer one this fails at once.

        :raises ServiceUnavailable: there is no connection.
        """
        if self._protocol is not None:
            return self._protocol
        # After PRESENCE seconds every presence entry has expired: the outage is no longer a short one.
        left = min(deadline, self._down_since + PRESENCE - self._seconds())
        if self._stopped or left <= 0:
            raise ServiceUnavailable("Redis can't be reached")
        waiting: Deferred[RedisProtocol] = Deferred()
        self._waiting.add(waiting)
        try:
            return await within(waiting, left, self._reactor)
        except Late:
            raise ServiceUnavailable("Redis can't be reached") from None
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
                # A connection that breaks soon after each success needs pauses between the attempts, too.
                attempt = 0 if self._seconds() - begun > PRESENCE else min(attempt + 1, 3)
            except (CancelledError, GeneratorExit):
                raise
            except Exception as error:
                if self._stopped:
                    # An endpoint may fail with an exception of its own when its attempt is cancelled.
                    return
                lost = error
                attempt += 1
            # Also after a failed first attempt: the services reconnect in any order.
            self._lost_before = True
            self._health.down(self._purpose, lost)
            self._tried()
            if isinstance(lost, Frozen):
                for other in list(self._followers):
                    # Their own BLPOP would notice only after its time-out that Redis is frozen.
                    other._drop()
            longest = min(MAX_BACKOFF, FIRST_BACKOFF * 2**attempt)
            # Random, so that all processes do not return in the same instant and overload a Redis that has just
            # started.
            await sleep(random.uniform(longest / 2, longest), self._reactor)  # noqa: S311

    async def _after_is_up(self) -> bool:
        """Wait until the other link is connected; False if it was lost meanwhile."""
        other = self._after
        if other is None:
            return True
        await peek(other._first)
        if other._protocol is None:
            self._tried()
            waiting: Deferred[RedisProtocol] = Deferred()
            other._waiting.add(waiting)
            try:
                await waiting
            except ServiceUnavailable:
                return False  # it was stopped
            finally:
                other._waiting.discard(waiting)
        return other._protocol is not None

    def _tried(self) -> None:
        if not self._first.called:
            self._first.callback(None)

    async def _once(self) -> BaseException:
        """Make one connection, wait for its end, and return why it ended.

        :raises Exception: the connection could not be made.
        """
        protocol: Any = await within(self._endpoint.connect(_FACTORY), 2 * CONNECT_TIMEOUT, self._reactor)
        protocol.max_pending = self._max_pending
        try:
            await in_time(self._begin(protocol), protocol, self._address, self._reactor)
            self._up(protocol)
            watching: Deferred[BaseException | None] = Deferred.fromCoroutine(self._watch(protocol))
            try:
                reason = await peek(protocol.lost)
            finally:
                self._protocol = None
                self._down_since = self._seconds()
                watching.addErrback(lambda failure: failure.trap(CancelledError) and None)
                watching.cancel()
            if protocol.too_long:
                return TooLong(f"longer than {self._max_pending >> 20} MiB")
            # If this side closed the connection, it knows the reason better.
            return (await watching) or reason
        finally:
            if not protocol.lost.called:
                protocol.transport.abortConnection()
                await peek(protocol.lost)

    async def _begin(self, protocol: RedisProtocol) -> None:
        """Send the first commands of a new connection."""
        await log_in(protocol, self._address)

    async def _watch(self, _protocol: RedisProtocol) -> BaseException | None:
        """Watch a connection that is up, and end it if need be; return why."""
        return None

    def _drop(self) -> None:
        """End the connection: another one to the same Redis has found that Redis no longer answers."""
        if self._protocol is not None:
            self._protocol.transport.abortConnection()

    def _up(self, protocol: RedisProtocol) -> None:
        self._protocol = protocol
        self._health.up(self._purpose)
        # Before the waiting calls: presence entries must be back before calls look for servers.
        self._on_up()
        self._tried()
        for waiting in list(self._waiting):
            if not waiting.called:
                waiting.callback(protocol)
