"""The connection to Redis for commands and scripts, with deadlines and a heartbeat."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, FirstError, gatherResults
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.redis.failover import unless_moved
from novnc_twisted.messaging.redis.health import Health
from novnc_twisted.messaging.redis.heartbeat import FROZEN, Heartbeat, milliseconds
from novnc_twisted.messaging.redis.link import Link
from novnc_twisted.messaging.redis.login import eviction_policy
from novnc_twisted.messaging.redis.protocol import ConnectionGone, RedisError, RedisProtocol
from novnc_twisted.messaging.redis.reasons import OUTAGES, TROUBLES, Frozen, sentence
from novnc_twisted.messaging.redis.running import FRESH, Scripts
from novnc_twisted.messaging.redis.scripts import Script
from novnc_twisted.messaging.redis_url import RedisURL
from novnc_twisted.messaging.waiting import Late, within


class CommandLink(Link):
    """A link for commands that do not block.  It asks Redis for the time each second, to notice that Redis is frozen.

    :param scripts: runs scripts on this link.
    :param asks_policy: whether to ask for Redis' eviction policy, and to warn if a full Redis drops data.
    :param options: further parameters of :class:`.Link`.
    :ivar on_beat: called each second while the link is connected, just before the link asks Redis for the time.
    """

    def __init__(
        self,
        reactor: Any,
        endpoint: IStreamClientEndpoint,
        address: RedisURL,
        health: Health,
        purpose: str,
        *,
        scripts: Scripts,
        asks_policy: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(reactor, endpoint, address, health, purpose, **options)
        self._scripts = scripts
        self._asks_policy = asks_policy
        self._heartbeat = Heartbeat(self._seconds)
        self._sending: set[Deferred[Any]] = set()  # commands and scripts without a reply yet
        self.on_beat: Callable[[], None] = lambda: None
        # Services cannot announce themselves before Redis has the scripts.  So when Redis has just got the scripts, a
        # missing presence entry does not prove that its service is gone.
        scripts.on_found = lambda: self._heartbeat.begin_grace_period(FRESH)

    async def stop(self) -> None:
        """See Link; also fails commands and scripts without a reply, such as a script that Redis does not have yet."""
        await super().stop()
        waiting, self._sending = self._sending, set()
        for sending in waiting:
            sending.cancel()

    @property
    def grace_period(self) -> float:
        """Remaining seconds of the grace period, in which a service without a presence entry may be reconnecting."""
        return self._heartbeat.grace_period

    @property
    def waits_for_scripts(self) -> bool:
        """Whether Redis lacked the script that this process last tried to run (see :attr:`.Scripts.missing`)."""
        return self._scripts.missing

    async def now(self) -> int:
        """Return an estimate of Redis' time, in milliseconds since 1970.

        Unless Redis' clock jumps, the estimate is never ahead of Redis, and at most one round trip behind.

        :raises ServiceUnavailable: there is no connection.
        """
        await self.connected(FROZEN)
        return self._heartbeat.now()

    async def exact_now(self) -> int:
        """Ask Redis for its time in milliseconds since 1970; raises ServiceUnavailable like :meth:`execute`."""
        return milliseconds(await self.execute("TIME", deadline=FROZEN))

    async def execute(self, *words: str | int, deadline: float) -> Any:
        """Send a command once, and return its reply.

        :param deadline: seconds, including the wait for a connection.
        :raises ServiceUnavailable: there is no connection, no reply in time, or Redis answers with an error.
        """
        return await self._send(lambda protocol: protocol.command(*words), deadline)

    async def pipeline(self, commands: Sequence[Sequence[str | int]], *, deadline: float) -> list[Any]:
        """Send several commands at once, and return their replies; otherwise like :meth:`execute`."""

        def send(protocol: RedisProtocol) -> Deferred[Any]:
            replies = gatherResults([protocol.command(*words) for words in commands], consumeErrors=True)
            return replies.addErrback(_first)

        replies: list[Any] = await self._send(send, deadline)
        return replies

    async def run(self, script: Script, keys: list[str], *arguments: str | int, deadline: float) -> Any:
        """Run a script as soon as Redis has it; the deadline and the errors are those of :meth:`execute`."""
        words = (len(keys), *keys, *arguments)
        reply = await self._send(
            lambda protocol: Deferred.fromCoroutine(self._scripts.run(protocol, script, *words)),
            deadline,
            needs_scripts=True,
        )
        # A full Redis still runs scripts that add nothing.  Only a script that adds data shows that Redis accepts data.
        if script.has_written(reply):
            self._health.no_trouble()
        return reply

    async def _send(
        self, send: Callable[[RedisProtocol], Deferred[Any]], deadline: float, *, needs_scripts: bool = False
    ) -> Any:
        begun = self._seconds()
        protocol = await self.connected(deadline)
        sent, cpu_before = self._seconds(), time.process_time()
        # If this number changes before the reply, the duration may include a wait for scripts, and is not recorded.
        misses = self._scripts.misses
        sending = send(protocol)
        self._sending.add(sending)
        try:
            return await within(sending, deadline - (sent - begun), self._reactor)
        except CancelledError:
            if sending in self._sending:  # cancelled by the caller, not by stop()
                raise
            raise ServiceUnavailable("the transport was stopped") from None
        except Late:
            if needs_scripts and self.waits_for_scripts:
                raise ServiceUnavailable("Redis has none of our scripts: no consoleauth has loaded them") from None
            raise ServiceUnavailable(f"Redis did not answer within {deadline:.3g} s") from None
        except ConnectionGone:
            raise ServiceUnavailable("the connection to Redis was lost before it answered") from None
        except RedisError as error:
            # OUTAGES: this server is not, or no longer, a usable primary.  A new connection asks the Sentinels again.
            if error.code in OUTAGES:
                protocol.transport.abortConnection()
            elif error.code in TROUBLES:
                self._health.trouble(error.code)
            else:
                self._health.complain(f"answered {error.code} to a command: {sentence(error.code)}")
            raise ServiceUnavailable(f"Redis answered {error.code}") from None
        finally:
            self._sending.discard(sending)
            # A wait for scripts is not a stall of Redis.
            if misses == self._scripts.misses:
                self._heartbeat.took(self._seconds() - sent, time.process_time() - cpu_before)

    async def _begin(self, protocol: RedisProtocol) -> None:
        await super()._begin(protocol)
        await self._scripts.begin(protocol)
        self._health.clock(await self._heartbeat.begin(protocol))
        if self._asks_policy:
            policy = await eviction_policy(protocol)
            # If the policy is None, never ask again: this user probably lacks the right, and Redis logs each denied
            # command.
            self._asks_policy = policy is not None
            if policy is not None:
                self._health.eviction(policy)

    async def _watch(self, protocol: RedisProtocol) -> BaseException | None:
        try:
            # The lambda reads on_beat at each heartbeat, because on_beat may be set later.
            beats = Deferred.fromCoroutine(
                self._heartbeat.watch(protocol, self._reactor, self._health.clock, lambda: self.on_beat())
            )
            await unless_moved(beats, protocol, self._moved, self._reactor, lambda: self._heartbeat.is_late)
        except Frozen as error:
            return error
        return None

    def _up(self, protocol: RedisProtocol) -> None:
        # After an outage, or a failed first attempt, other services may connect later than this one.
        if self._lost_before:
            self._heartbeat.begin_grace_period()
        super()._up(protocol)


def _first(failure: Failure) -> Failure:
    """Unwrap a FirstError to the failure of the command that failed first; return any other failure unchanged."""
    return failure.value.subFailure if isinstance(failure.value, FirstError) else failure
