"""A connection to Redis that is kept up."""

import random
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.redis.endpoint import CONNECT_TIMEOUT, NoPrimary
from novnc_twisted.messaging.redis.protocol import ConnectionGone, RedisError, RedisProtocol
from novnc_twisted.messaging.redis.pulse import FROZEN, PRESENCE, Pulse, milliseconds
from novnc_twisted.messaging.redis.scripts import ALL, Script
from novnc_twisted.messaging.redis.waiting import Late, ended, sleep, within
from novnc_twisted.messaging.redis_url import RedisURL

MAX_BACKOFF = 1.0
"""Seconds between two attempts to connect, at most: well below PRESENCE, so that servers are back in time."""

SCRIPTS_RETRY = 0.1
"""Seconds between two looks whether Redis knows the scripts, where only others may put them there."""

_FACTORY = Factory.forProtocol(RedisProtocol)
_FACTORY.noisy = False
_AWAY = ("READONLY", "MASTERDOWN", "LOADING")
"""Errors that say: this is not the Redis that it was, or not yet."""


class Link:
    """One connection, made again whenever it is lost; commands on it have deadlines.

    :param reactor: the reactor.
    :param endpoint: where Redis is.
    :param address: how to log in.
    :param beats: whether to watch it by asking for the time each second.  Not where commands block: there the one who
        blocks watches.
    :param loads: whether to put the scripts into Redis each time, for those who may only call them.
    :param on_up: called each time that it is connected and logged in.
    :param complain: called with a short text where Redis refuses a command.
    :param on_down: called with the reason (an exception) each time that it is lost or could not be made.
    """

    def __init__(
        self,
        reactor: Any,
        endpoint: IStreamClientEndpoint,
        address: RedisURL,
        *,
        beats: bool = True,
        loads: bool = False,
        on_up: Callable[[], None] = lambda: None,
        on_down: Callable[[BaseException], None] = lambda reason: None,
        complain: Callable[[str], None] = lambda what: None,
    ) -> None:
        self._reactor = reactor
        self._endpoint = endpoint
        self._address = address
        self._beats = beats
        self._loads = loads
        self._may_eval = True
        self._on_up = on_up
        self._on_down = on_down
        self._complain = complain
        self._protocol: RedisProtocol | None = None
        self._waiting: set[Deferred[RedisProtocol]] = set()
        self._down_since = time.monotonic()
        self._failed = False
        self._pulse = Pulse()
        self._first: Deferred[None] = Deferred()
        self._running: Deferred[None] | None = None

    def start(self) -> Deferred[None]:
        """Begin to connect; fires once the first attempt has succeeded or failed."""
        self._down_since = time.monotonic()
        self._running = Deferred.fromCoroutine(self._run())
        return self._first

    async def stop(self) -> None:
        """End the connection and do not make it again; what waits for it fails."""
        running, self._running = self._running, None
        if running is not None:
            await ended(running, self._reactor)
        if not self._first.called:
            self._first.callback(None)
        self._fail_waiting("the transport was stopped")

    @property
    def doubtful(self) -> float:
        """Seconds for which missing signs of life mean nothing: their owners may still be on their way back."""
        return self._pulse.doubtful

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
        patience = min(deadline, self._down_since + PRESENCE - time.monotonic())
        if self._running is None or patience <= 0:
            raise ServiceUnavailable("Redis can't be reached")
        waiting: Deferred[RedisProtocol] = Deferred()
        self._waiting.add(waiting)
        try:
            return await within(waiting, patience, self._reactor)
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
        words = (0, len(keys), *keys, *arguments)

        async def send(protocol: RedisProtocol) -> Any:
            while True:
                try:
                    return await protocol.command("EVALSHA", script.sha, *words)
                except RedisError as error:
                    if error.code != "NOSCRIPT":
                        raise
                if self._may_eval:
                    try:
                        return await protocol.command("EVAL", script.text, *words)
                    except RedisError as error:
                        if error.code != "NOPERM":
                            raise
                    self._may_eval = False
                    if not self._loads:
                        self._complain("it was not given our scripts yet, as a consoleauth does when it is connected")
                if self._loads:
                    await self._load(protocol)  # somebody had Redis forget them
                # Redis was just started, say: consoleauth puts them there as soon as it is connected.
                await sleep(SCRIPTS_RETRY, self._reactor)

        return await self._send(lambda protocol: Deferred.fromCoroutine(send(protocol)), deadline)

    async def _send(self, send: Callable[[RedisProtocol], Deferred[Any]], deadline: float) -> Any:
        begun = time.monotonic()
        protocol = await self.connected(deadline)
        sent = time.monotonic()
        try:
            return await within(send(protocol), deadline - (sent - begun), self._reactor)
        except Late:
            raise ServiceUnavailable(f"Redis did not answer within {deadline:g} s") from None
        except ConnectionGone:
            raise ServiceUnavailable("Redis was lost before it answered") from None
        except RedisError as error:
            if error.code in _AWAY:
                protocol.transport.abortConnection()
            else:
                self._complain(f"it answered {error.code} to a command")
            raise ServiceUnavailable(f"Redis answered {error.code}") from None
        finally:
            self._pulse.took(time.monotonic() - sent)

    async def _run(self) -> None:
        attempt = 0
        lost: BaseException
        while True:
            try:
                lost = await self._once()
                attempt = 0
            except (CancelledError, GeneratorExit):
                raise
            except Exception as error:
                if self._running is None:
                    # Stopped: endpoints have exceptions of their own for a cancelled attempt.
                    return
                lost = error
                attempt += 1
            self._failed = True
            self._on_down(lost)
            if not self._first.called:
                self._first.callback(None)
            await sleep(min(MAX_BACKOFF, 0.05 * 2**attempt) * random.uniform(0.8, 1.0), self._reactor)  # noqa: S311

    async def _once(self) -> BaseException:
        """One connection from its making to its end; why it ended.  Raises what hindered it."""
        protocol: Any = await within(self._endpoint.connect(_FACTORY), 2 * CONNECT_TIMEOUT, self._reactor)
        try:
            await within(Deferred.fromCoroutine(self._log_in(protocol)), CONNECT_TIMEOUT, self._reactor)
            self._up(protocol)
            beating = Deferred.fromCoroutine(self._pulse.watch(protocol, self._reactor)) if self._beats else None
            try:
                reason = await _peek(protocol.lost)
            finally:
                self._protocol = None
                self._down_since = time.monotonic()
                if beating is not None:
                    beating.addErrback(lambda failure: failure.trap(CancelledError))
                    beating.cancel()
            return reason
        except ConnectionGone:
            raise await _peek(protocol.lost) from None
        finally:
            if not protocol.lost.called:
                protocol.transport.abortConnection()
                await _peek(protocol.lost)

    async def _log_in(self, protocol: RedisProtocol) -> None:
        address = self._address
        if address.password is not None:
            user = [address.username] if address.username is not None else []
            await protocol.command("AUTH", *user, address.password)
        if address.db:
            await protocol.command("SELECT", address.db)
        if address.sentinels and (await protocol.command("ROLE"))[0] != "master":  # type: ignore[index]
            raise NoPrimary(f"{address.service}: what Sentinel named is a replica")
        if self._loads:
            await self._load(protocol)
        self._may_eval = True
        await self._pulse.begin(protocol)

    async def _load(self, protocol: RedisProtocol) -> None:
        """Put the scripts into Redis: it forgets them when it is restarted, and another primary has none."""
        for script in ALL:
            try:
                await protocol.command("SCRIPT", "LOAD", script.text)
            except RedisError as error:
                if error.code != "NOPERM":
                    raise
                return  # a user of the operator's own making: then everybody may use EVAL

    def _up(self, protocol: RedisProtocol) -> None:
        if self._failed:
            self._pulse.doubt()
        self._protocol = protocol
        self._on_up()
        if not self._first.called:
            self._first.callback(None)
        for waiting in list(self._waiting):
            if not waiting.called:
                waiting.callback(protocol)

    def _fail_waiting(self, detail: str) -> None:
        for waiting in list(self._waiting):
            if not waiting.called:
                waiting.errback(ServiceUnavailable(detail))


async def _peek(lost: Deferred[BaseException]) -> BaseException:
    """Why a connection was lost, for any number who ask."""
    seen: Deferred[BaseException] = Deferred()

    def see(reason: BaseException) -> BaseException:
        if not seen.called:
            seen.callback(reason)
        return reason

    lost.addCallback(see)
    return await seen
