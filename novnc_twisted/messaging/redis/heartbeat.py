"""The heartbeat of a connection: an estimate of Redis' clock, and the grace period after an outage."""

import random
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.messaging.redis.protocol import ConnectionGone, RedisError, RedisProtocol
from novnc_twisted.messaging.redis.reasons import Frozen
from novnc_twisted.messaging.waiting import Late, sleep, within

PRESENCE = 3.0
"""Seconds from the last renewal of a presence entry until it expires.  Entries are renewed each second."""

BEAT = 1.0
"""Seconds between two heartbeats."""

FROZEN = 2.0
"""Seconds without an answer after which a connection counts as dead."""

STALL = 0.5
"""If an answer takes longer than this number of seconds, Redis has stalled.

During a stall, presence entries of live services may expire.
"""

MAX_BACKOFF = 1.0
"""Maximum number of seconds from the start of one connection attempt to the start of the next.

This maximum does not apply if an attempt, together with the connection that it made, lasted half a second or longer
(:mod:`.link`).
"""

GRACE_PERIOD = 4.0
"""Seconds within which all services reconnect after an outage of Redis, even if a packet is lost.

During this time, a missing presence entry does not prove that its service is gone.
"""


class Heartbeat:
    """Asks Redis for its time each second.

    The estimate of Redis' time uses the local monotonic clock and the fastest of the last answers.  So a step of the
    local wall clock does not change the estimate, and a slow answer changes it little.

    :param seconds: a monotonic clock in seconds.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._ahead: deque[float] = deque(maxlen=5)  # for each of the last answers, Redis' time minus the local clock
        self._grace_until = 0.0
        self._asked_at: float | None = None

    @property
    def is_late(self) -> bool:
        """Whether Redis has not answered the present heartbeat for STALL seconds."""
        return self._asked_at is not None and self._seconds() - self._asked_at >= STALL

    def now(self) -> int:
        """Return an estimate of Redis' time, in milliseconds since 1970.

        Unless Redis' clock jumps, the estimate is never ahead of Redis, and at most one round trip behind.
        """
        # The fastest answer has the largest difference, and is nearest to Redis' clock.
        return int((self._seconds() + max(self._ahead)) * 1000)

    @property
    def grace_period(self) -> float:
        """Remaining seconds of the grace period, in which a service without an entry may still be reconnecting."""
        return max(0.0, self._grace_until - self._seconds())

    def begin_grace_period(self, seconds: float = GRACE_PERIOD) -> None:
        """Begin a grace period of this many seconds; if the present one lasts longer, do nothing."""
        self._grace_until = max(self._grace_until, self._seconds() + seconds)

    def took(self, seconds: float, busy: float = 0.0) -> None:
        """Record how long Redis took to answer; a stall begins a grace period.

        :param busy: CPU seconds that this process used meanwhile.  They are subtracted, because the time for reading
            the entries of 10,000 hosts would otherwise look like a stall of Redis.
        """
        if seconds - busy > STALL:
            self.begin_grace_period()

    async def begin(self, protocol: RedisProtocol) -> float:
        """Start with a new connection, which may lead to another Redis; return the Unix time of Redis in seconds."""
        # After a failover, the new server may have another time.
        self._ahead.clear()
        return await self._ask(protocol)

    async def watch(
        self,
        protocol: RedisProtocol,
        reactor: Any,
        report: Callable[[float], None],
        before: Callable[[], None] = lambda: None,
    ) -> None:
        """Ask for the time each second until the connection ends.

        Close the connection if Redis does not answer, or answers with an error.

        :param report: called with each answer, Unix time in seconds.
        :param before: called just before each question.  Commands that ``before`` sends share the question's packet.
        :raises Frozen: there was no answer within :data:`FROZEN` seconds.
        """
        pause = first_pause()
        while True:
            await sleep(pause, reactor)
            pause = BEAT
            begun = self._asked_at = self._seconds()
            cpu_before = time.process_time()
            before()
            try:
                now = await within(Deferred.fromCoroutine(self._ask(protocol)), FROZEN, reactor)
            except Late:
                protocol.transport.abortConnection()
                raise Frozen from None
            except (ConnectionGone, RedisError):
                protocol.transport.abortConnection()
                return
            finally:
                self._asked_at = None
            self.took(self._seconds() - begun, time.process_time() - cpu_before)
            report(now)

    async def _ask(self, protocol: RedisProtocol) -> float:
        now = milliseconds(await protocol.command("TIME")) / 1000
        # The local clock is read after the answer, so that the estimate is never ahead of Redis.
        self._ahead.append(now - self._seconds())
        return now


def first_pause() -> float:
    """Return the seconds until the first heartbeat of a connection.

    The pause is random: after a failover, thousands of processes may connect at the same moment, and their heartbeats
    must not all come at the same moment.
    """
    return random.uniform(0, BEAT)  # noqa: S311


def milliseconds(reply: Any) -> int:
    """Return the time in a reply to TIME, in milliseconds."""
    seconds, microseconds = reply
    return int(seconds) * 1000 + int(microseconds) // 1000
