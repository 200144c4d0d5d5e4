"""An estimate of Redis' clock, and the grace period in which missing presence entries mean nothing."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.messaging.redis.protocol import ConnectionGone, RedisError, RedisProtocol
from novnc_twisted.messaging.redis.reasons import Frozen
from novnc_twisted.messaging.waiting import Late, sleep, within

PRESENCE = 3.0
"""Seconds after which a presence entry expires; it is renewed each second."""

BEAT = 1.0
"""Seconds between two heartbeats."""

FROZEN = 2.0
"""Seconds without an answer after which a connection counts as dead."""

STALL = 0.5
"""Seconds after which an answer counts as a stall, in which presence entries may have expired without a reason."""

MAX_BACKOFF = 3.0
"""Maximum number of seconds between two attempts to connect."""

GRACE_PERIOD = MAX_BACKOFF + BEAT
"""Seconds after an outage within which other services reconnect."""


class Heartbeat:
    """Asks Redis for its time each second.

    The estimate of Redis' time uses the local monotonic clock and the fastest of the last answers, so that neither a
    step of the local clock nor a slow answer moves it far.

    :param seconds: a clock in seconds that does not step.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._ahead: deque[float] = deque(maxlen=5)
        self._grace_until = 0.0

    def now(self) -> int:
        """Return an estimate of Redis' time, in milliseconds since 1970: never ahead, at most one round trip behind."""
        # The largest difference belongs to the fastest answer, which is nearest to Redis' clock.
        return int((self._seconds() + max(self._ahead)) * 1000)

    @property
    def grace_period(self) -> float:
        """Seconds for which missing presence entries mean nothing yet: their services may still be reconnecting."""
        return max(0.0, self._grace_until - self._seconds())

    def begin_grace_period(self, seconds: float = GRACE_PERIOD) -> None:
        """Wait for so many seconds before missing presence entries count."""
        self._grace_until = max(self._grace_until, self._seconds() + seconds)

    def took(self, seconds: float) -> None:
        """Note how long Redis took to answer something."""
        if seconds > STALL:
            self.begin_grace_period()

    async def begin(self, protocol: RedisProtocol) -> float:
        """Start with a new connection, perhaps to another Redis; returns its Unix time in seconds."""
        # Another server, after a failover, may have another time.
        self._ahead.clear()
        return await self._ask(protocol)

    async def watch(self, protocol: RedisProtocol, reactor: Any, report: Callable[[float], None]) -> None:
        """Ask for the time each second until the connection ends; close it if Redis does not answer.

        :param report: called with each answer, Unix time in seconds.
        :raises Frozen: there was no answer in time.
        """
        while True:
            await sleep(BEAT, reactor)
            begun = self._seconds()
            try:
                now = await within(Deferred.fromCoroutine(self._ask(protocol)), FROZEN, reactor)
            except Late:
                protocol.transport.abortConnection()
                raise Frozen from None
            except (ConnectionGone, RedisError):
                protocol.transport.abortConnection()
                return
            self.took(self._seconds() - begun)
            report(now)

    async def _ask(self, protocol: RedisProtocol) -> float:
        now = milliseconds(await protocol.command("TIME")) / 1000
        # The local clock is read after the answer, so that the estimate is never ahead of Redis.
        self._ahead.append(now - self._seconds())
        return now


def milliseconds(reply: Any) -> int:
    """Convert an answer to TIME to milliseconds."""
    seconds, microseconds = reply
    return int(seconds) * 1000 + int(microseconds) // 1000
