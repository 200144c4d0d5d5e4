"""What the log is told of Redis: one line when it is lost, one when it is back, and no flood."""

from collections import deque
from typing import Any

from OpenSSL import SSL
from twisted.logger import Logger

from novnc_twisted.messaging.redis.endpoint import Untrusted
from novnc_twisted.messaging.redis.protocol import RedisError

QUIET = 60.0
"""Seconds for which further complaints are counted instead of logged."""

MAX_LOSSES = 5
"""Losses of Redis that are told within QUIET seconds."""

_log = Logger()


class Health:
    """Tells the log.

    :param clock: tells the time.
    :param label: the address, without user and password.
    """

    def __init__(self, clock: Any, label: str) -> None:
        self._clock = clock
        self._label = label
        self._down = False
        self._said = False
        self._losses: deque[float] = deque(maxlen=MAX_LOSSES)
        self._refused = False
        self._stopped = False
        self._quiet_until = 0.0
        self._swallowed = 0

    def up(self) -> None:
        """Redis answers."""
        if self._down and self._said and not self._stopped:
            _log.info("Redis at {label} is back", label=self._label)
        self._down = self._refused = False

    def down(self, reason: BaseException) -> None:
        """Redis was lost, or could not be reached."""
        if self._stopped:
            return
        refusal = _refusal(reason)
        if refusal is not None and not self._refused:
            self._refused = True
            _log.error("Redis at {label}: {refusal}; trying again", label=self._label, refusal=refusal)
            self._said = True
        elif not self._down:
            now = self._clock.seconds()
            # One that comes and goes fills no disk.
            self._said = len(self._losses) < MAX_LOSSES or now - self._losses[0] > QUIET
            if not self._said:
                self._down = True
                return
            self._losses.append(now)
            why = type(reason).__name__
            _log.warn("Redis at {label} can't be reached ({why}); trying again", label=self._label, why=why)
        self._down = True

    def complain(self, what: str) -> None:
        """Something came from Redis that should not; ``what`` does not hold its content."""
        now = self._clock.seconds()
        if now < self._quiet_until or self._down or self._stopped:
            self._swallowed += 1
            return
        more = f" (and {self._swallowed} more such lines)" if self._swallowed else ""
        self._quiet_until, self._swallowed = now + QUIET, 0
        _log.warn("Redis at {label}: {what}{more}", label=self._label, what=what, more=more)

    def stop(self) -> None:
        """Say nothing more."""
        self._stopped = True


def _refusal(reason: BaseException) -> str | None:
    """What trying again will not mend, in words."""
    if isinstance(reason, RedisError):
        if reason.code in ("WRONGPASS", "NOAUTH"):
            return f"it refuses user or password ({reason.code}), see transport_url"
        return f"it refuses us ({reason.code})"
    if isinstance(reason, Untrusted):
        return f"{reason}, see transport_url"
    if isinstance(reason, SSL.Error):
        words = sorted({str(part[-1]) for part in reason.args[0]}) if reason.args else []
        return f"no TLS with it ({', '.join(words) or 'no reason given'}), see transport_url"
    return None
