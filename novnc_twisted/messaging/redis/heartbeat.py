"""Redis' clock as seen from here, and whether missing signs of life can be believed."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.messaging.redis.protocol import ConnectionGone, RedisError, RedisProtocol
from novnc_twisted.messaging.redis.reasons import Frozen
from novnc_twisted.messaging.waiting import Late, sleep, within

PRESENCE = 3.0
"""Seconds for which a sign of life counts; it is renewed each second."""

BEAT = 1.0
"""Seconds between two looks at whether Redis still answers."""

FROZEN = 2.0
"""Seconds without an answer after which a connection is taken for dead."""

STALL = 0.5
"""Seconds after which an answer counts as a stall: signs of life may have expired meanwhile, unseen."""

MAX_BACKOFF = 3.0
"""Seconds between two attempts to connect, at most."""

GRACE_PERIOD = MAX_BACKOFF + BEAT
"""Seconds after an outage for which others may still be on their way back."""


class Heartbeat:
    """What the answers to TIME say.

    The estimate is made from the local monotonic clock and the quickest of the last answers, so that neither a step
    of the local clock nor a slow answer moves it far.

    :param seconds: a clock in seconds that does not step.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._ahead: deque[float] = deque(maxlen=5)
        self._doubt_until = 0.0

    def now(self) -> int:
        """Redis' time in milliseconds since 1970: never ahead of it, behind by one round trip at most."""
        return int((self._seconds() + max(self._ahead)) * 1000)

    @property
    def doubtful(self) -> float:
        """Seconds for which missing signs of life mean nothing: their owners may still be on their way back."""
        return max(0.0, self._doubt_until - self._seconds())

    def doubt(self, seconds: float = GRACE_PERIOD) -> None:
        """Believe for so many seconds that those who are not there may come back."""
        self._doubt_until = max(self._doubt_until, self._seconds() + seconds)

    def took(self, seconds: float) -> None:
        """So long it took to answer something."""
        if seconds > STALL:
            self.doubt()

    async def begin(self, protocol: RedisProtocol) -> float:
        """A new connection, perhaps to another Redis; gives its time, as Unix time."""
        self._ahead.clear()
        return await self._ask(protocol)

    async def watch(self, protocol: RedisProtocol, reactor: Any, report: Callable[[float], None]) -> None:
        """Ask for the time each second; end the connection where it does not answer.

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
        # Taken after the answer: so the estimate is never ahead of Redis.
        self._ahead.append(now - self._seconds())
        return now


def milliseconds(reply: Any) -> int:
    """An answer to TIME in milliseconds."""
    seconds, microseconds = reply
    return int(seconds) * 1000 + int(microseconds) // 1000
