"""What the log says about Redis: one line when something is wrong, one when it is over, and no flood."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger, LogLevel

from novnc_twisted.messaging.redis.reasons import TooLong, loss, refusal, sentence

QUIET = 60.0
"""Seconds for which further complaints are counted instead of logged."""

MAX_LOSSES = 5
"""Outages that are logged within QUIET seconds."""

MAX_SKEW = 5.0
"""Seconds by which this machine's clock and Redis' may differ."""

_log = Logger()


class Health:
    """Logs the state of all connections of one transport.

    :param clock: IReactorTime.
    :param label: the address, without user and password.
    :param wall: this machine's Unix time in seconds.
    """

    def __init__(self, clock: Any, label: str, wall: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._wall = wall
        self._skewed = False
        self._policy = "noeviction"
        self._label = label
        self._down: set[str] = set()
        self._told = False
        self._refusals: set[str] = set()
        self._losses: deque[float] = deque(maxlen=MAX_LOSSES)
        self._troubles: set[str] = set()
        self._stopped = False
        self._quiet_until: dict[str, float] = {}
        self._swallowed = 0

    def up(self, connection: str) -> None:
        """A connection is logged in."""
        self._down.discard(connection)
        if self._down:
            return
        if self._told:
            self._say(LogLevel.info, "is back")
        self._told = False
        self._refusals.clear()

    def down(self, connection: str, reason: BaseException) -> None:
        """A connection was lost, or could not be made.

        :param connection: names it: what it is for.
        """
        if isinstance(reason, TooLong):
            # Somebody else's message: Redis itself is well.
            self.complain(
                f"a message among {connection} was {reason} and is dropped; have Redis refuse such ones by "
                "proto-max-bulk-len 4mb in redis.conf",
                connection,
            )
            return
        first = not self._down
        self._down.add(connection)
        words = refusal(reason)
        if words is None:
            if first and self._may_tell():
                self._say(LogLevel.warn, f"can't be reached ({loss(reason)}); trying again")
                self._told = True
        elif words not in self._refusals and (not first or self._may_tell()):
            self._refusals.add(words)
            self._say(LogLevel.error, f"refuses the connection for {connection}: {words}; trying again")
            self._told = True

    def trouble(self, code: str) -> None:
        """Redis refused a command with a code that stays until somebody does something."""
        if code not in self._troubles and self.problem(code, f"refuses commands: {sentence(code)}"):
            self._troubles.add(code)

    def no_trouble(self) -> None:
        """Redis has executed a command that writes."""
        if self._troubles:
            self._troubles.clear()
            self.solved("accepts commands again")

    def problem(self, kind: str, words: str) -> bool:
        """Log something that lasts, as an error; whether it was logged: then :meth:`solved` has to follow."""
        due = self._may_say(kind)
        if due:
            self._say(LogLevel.error, words)
        return due

    def solved(self, words: str) -> None:
        """Log the end of a :meth:`problem`."""
        self._say(LogLevel.info, words)

    def clock(self, now: float) -> None:
        """Redis has told its time (Unix time in seconds): one warning where this machine's clock is another one."""
        ahead = self._wall() - now
        if abs(ahead) <= MAX_SKEW:
            self._skewed = False
        elif not self._skewed:
            self._skewed = True
            self._say(
                LogLevel.warn,
                f"has another time: this machine's clock is {abs(ahead):.0f} s {'ahead' if ahead > 0 else 'behind'}; "
                "tokens expire by Redis' clock; set the clocks by NTP",
            )

    def eviction(self, policy: str) -> None:
        """Redis drops data when its memory is full: one warning, since tokens and their marks are lost then."""
        if policy != self._policy:
            self._policy = policy
            self._say(
                LogLevel.warn,
                f"has maxmemory-policy {policy}: when its memory is full, it drops tokens, and forgets that a one-time "
                "token was used; set maxmemory-policy noeviction in redis.conf",
            )

    def complain(self, what: str, kind: str = "") -> None:
        """Redis, or a peer by way of it, sent something unexpected.

        :param what: does not hold its content.
        :param kind: of the complaint: one line in QUIET seconds for each.
        """
        if self._down or not self._may_say(kind):
            self._swallowed += 1
            return
        more = f" (and {self._swallowed} more such lines)" if self._swallowed else ""
        self._swallowed = 0
        _log.warn("Redis at {label}: {what}{more}", label=self._label, what=what, more=more)

    def stop(self) -> None:
        """Log nothing more."""
        self._stopped = True

    def _may_say(self, kind: str) -> bool:
        """Whether lines of this kind are due again: one in QUIET seconds."""
        now = self._clock.seconds()
        if self._stopped or now < self._quiet_until.get(kind, now):
            return False
        self._quiet_until[kind] = now + QUIET
        return True

    def _may_tell(self) -> bool:
        """Whether one more outage is logged: a server that comes and goes must not fill the disk."""
        now = self._clock.seconds()
        if len(self._losses) == MAX_LOSSES and now - self._losses[0] <= QUIET:
            return False
        self._losses.append(now)
        return True

    def _say(self, level: Any, words: str) -> None:
        if not self._stopped:
            _log.emit(level, "Redis at {label} {words}", label=self._label, words=words)
