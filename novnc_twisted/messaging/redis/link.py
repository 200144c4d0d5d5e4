"""A connection to Redis that is kept up."""

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
from novnc_twisted.messaging.redis.heartbeat import FROZEN, MAX_BACKOFF, PRESENCE, Heartbeat, milliseconds
from novnc_twisted.messaging.redis.login import eviction_policy, in_time, log_in
from novnc_twisted.messaging.redis.protocol import MAX_PENDING, ConnectionGone, RedisError, RedisProtocol
from novnc_twisted.messaging.redis.reasons import OUTAGES, TROUBLES, Frozen, TooLong, sentence
from novnc_twisted.messaging.redis.running import FRESH, Scripts
from novnc_twisted.messaging.redis.scripts import Script
from novnc_twisted.messaging.redis_url import RedisURL
from novnc_twisted.messaging.waiting import Late, ended, peek, sleep, within

FIRST_BACKOFF = 0.05
"""Seconds before the second attempt to connect; each further pause is twice as long, up to MAX_BACKOFF."""

_FACTORY = Factory.forProtocol(RedisProtocol)
_FACTORY.noisy = False


class Link:
    """One connection, made again whenever it is lost; commands on it have deadlines.

    :param reactor: the reactor.
    :param endpoint: where Redis is.
    :param address: how to log in.
    :param health: reports each loss and its end.
    :param purpose: what the connection is for, in the log.
    :param scripts: how scripts are run on it; None: none are, and nothing checks it by asking for the time each second,
        since its commands block.  Who blocks has to watch it.
    :param asks_policy: whether to ask what Redis does when its memory is full, and warn where it drops data.
    :param after: another link to the same Redis.  Attempts are made only while that one is connected, so that a Redis
        that is down is tried by one connection of a process alone.
    :param on_up: called each time that it is connected and logged in.
    :param max_pending: bytes that Redis may send without having finished one reply.
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
        scripts: Scripts | None = None,
        asks_policy: bool = False,
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
        self._scripts = scripts
        self._asks_policy = asks_policy
        self._after = after
        self._followers: set[Link] = set()
        self._on_up = on_up
        self._max_pending = max_pending
        self._seconds = seconds
        self._protocol: RedisProtocol | None = None
        self._waiting: set[Deferred[RedisProtocol]] = set()
        self._down_since = seconds()
        self._lost_before = False
        self._pulse = Heartbeat(seconds)
        if scripts is not None:
            scripts.on_found = lambda: self._pulse.doubt(FRESH)
        self._first: Deferred[None] = Deferred()
        self._stopped = True
        self._running: Deferred[None] | None = None

    def start(self) -> Deferred[None]:
        """Begin to connect; fires once the first attempt has succeeded or failed."""
        self._down_since = self._seconds()
        self._stopped = False
        self._running = Deferred.fromCoroutine(self._run())
        if self._after is not None:
            self._after._followers.add(self)
        return Deferred.fromCoroutine(peek(self._first))

    async def stop(self) -> None:
        """End the connection and do not make it again; what waits for it fails."""
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
    def doubtful(self) -> float:
        """Seconds for which missing signs of life mean nothing: their owners may still be on their way back."""
        return self._pulse.doubtful

    @property
    def waits_for_scripts(self) -> bool:
        """Whether Redis had none of our scripts when one was last run."""
        return self._scripts is not None and self._scripts.missing

    @property
    def _misses(self) -> int:
        return 0 if self._scripts is None else self._scripts.misses

    @property
    def local_address(self) -> str:
        """The address of this machine from which it is connected; empty where that says nothing."""
        host = self._protocol.transport.getHost() if self._protocol is not None else None
        return str(getattr(host, "host", ""))

    async def now(self) -> int:
        """Redis' time in milliseconds since 1970, estimated: never ahead of it, behind by one round trip at most."""
        await self.connected(FROZEN)
        return self._pulse.now()

    async def exact_now(self) -> int:
        """Redis' time in milliseconds since 1970, asked for: it was so at some moment of the call."""
        return milliseconds(await self.execute("TIME", deadline=FROZEN))

    async def connected(self, deadline: float) -> RedisProtocol:
        """The connection.  A short outage is waited out, in a longer one this fails at once.

        :raises ServiceUnavailable: there is none.
        """
        if self._protocol is not None:
            return self._protocol
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

    async def execute(self, *words: str | int, deadline: float) -> Any:
        """Send a command, once; its reply.

        :param deadline: seconds, waiting for a connection included.
        :raises ServiceUnavailable: there is no connection, no reply in time, or Redis answers with an error.
        """
        return await self._send(lambda protocol: protocol.command(*words), deadline)

    async def run(self, script: Script, keys: list[str], *arguments: str | int, deadline: float) -> Any:
        """Run a script; as :meth:`execute`."""
        scripts = self._scripts
        if scripts is None:
            raise RuntimeError(f"the connection for {self._purpose} runs no scripts")
        words = (len(keys), *keys, *arguments)
        reply = await self._send(
            lambda protocol: Deferred.fromCoroutine(scripts.run(protocol, script, *words)), deadline
        )
        if script.writes:
            self._health.no_trouble()
        return reply

    async def _send(self, send: Callable[[RedisProtocol], Deferred[Any]], deadline: float) -> Any:
        begun = self._seconds()
        protocol = await self.connected(deadline)
        sent = self._seconds()
        misses = self._misses
        try:
            return await within(send(protocol), deadline - (sent - begun), self._reactor)
        except Late:
            if self.waits_for_scripts:
                raise ServiceUnavailable("Redis has none of our scripts: no consoleauth has loaded them") from None
            raise ServiceUnavailable(f"Redis did not answer within {deadline:g} s") from None
        except ConnectionGone:
            raise ServiceUnavailable("Redis was lost before it answered") from None
        except RedisError as error:
            if error.code in OUTAGES:
                protocol.transport.abortConnection()
            elif error.code in TROUBLES:
                self._health.trouble(error.code)
            else:
                self._health.complain(f"answered {error.code} to a command: {sentence(error.code)}")
            raise ServiceUnavailable(f"Redis answered {error.code}") from None
        finally:
            if misses == self._misses:  # else the time went into waiting for scripts: Redis itself did not stall
                self._pulse.took(self._seconds() - sent)

    async def _run(self) -> None:
        attempt = 0
        lost: BaseException
        while True:
            if self._after is not None and not await self._after_is_up():
                continue
            begun = self._seconds()
            try:
                lost = await self._once()
                # One that comes and goes is not tried without a pause either.
                attempt = 0 if self._seconds() - begun > PRESENCE else min(attempt + 1, 3)
            except (CancelledError, GeneratorExit):
                raise
            except Exception as error:
                if self._stopped:
                    # Stopped: endpoints have exceptions of their own for a cancelled attempt.
                    return
                lost = error
                attempt += 1
            self._lost_before = True
            self._health.down(self._purpose, lost)
            self._tried()
            if isinstance(lost, Frozen):
                for other in list(self._followers):
                    other._drop()
            longest = min(MAX_BACKOFF, FIRST_BACKOFF * 2**attempt)
            await sleep(random.uniform(longest / 2, longest), self._reactor)  # noqa: S311

    async def _after_is_up(self) -> bool:
        """Wait for the other link; False where it was lost meanwhile."""
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
        """One connection from its making to its end; why it ended.  Raises what hindered it."""
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
            # It was given up here, before it was closed.
            return (await watching) or reason
        finally:
            if not protocol.lost.called:
                protocol.transport.abortConnection()
                await peek(protocol.lost)

    async def _watch(self, protocol: RedisProtocol) -> BaseException | None:
        """Watch a connection that answers; why it was given up."""
        if self._scripts is not None:
            try:
                await self._pulse.watch(protocol, self._reactor, self._health.clock)
            except Frozen as error:
                return error
        return None

    def _drop(self) -> None:
        """End the connection: another one to the same Redis has found that it no longer answers."""
        if self._protocol is not None:
            self._protocol.transport.abortConnection()

    async def _begin(self, protocol: RedisProtocol) -> None:
        await log_in(protocol, self._address)
        if self._scripts is not None:
            await self._scripts.begin(protocol)
            self._health.clock(await self._pulse.begin(protocol))
            if self._asks_policy:
                policy = await eviction_policy(protocol)
                # Redis logs each attempt of a user who may not.
                self._asks_policy = policy is not None
                self._health.eviction(policy or "noeviction")

    def _up(self, protocol: RedisProtocol) -> None:
        if self._lost_before:
            self._pulse.doubt()
        self._protocol = protocol
        self._health.up(self._purpose)
        self._on_up()
        self._tried()
        for waiting in list(self._waiting):
            if not waiting.called:
                waiting.callback(protocol)
