"""Logs the state of Redis: a line when a problem begins, and a line when it ends.  The number of lines is limited."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger, LogLevel

from novnc_twisted.messaging.redis.reasons import TooLong, loss, refusal, sentence

QUIET = 60.0
"""After a line was logged, further lines of the same kind are not logged for this number of seconds."""

MAX_LOSSES = 5
"""Maximum number of losses and refusals of connections that are logged within QUIET seconds."""

MAX_SKEW = 5.0
"""Seconds by which this machine's clock and the clock of Redis may differ without a warning."""

NO_EVICTION = "noeviction"
"""The eviction policy (``maxmemory-policy``) with which a full Redis refuses new data instead of dropping old data."""

_BUS = "transport_url"
"""The option with the address of the Redis that connects the services."""

_logger = Logger()


class Health:
    """Logs the state of all connections of this process to one Redis.

    :param clock: IReactorTime.
    :param label: the address, without user and password.
    :param wall: returns this machine's Unix time in seconds.
    :param option: the option with the address.
    """

    def __init__(self, clock: Any, label: str, wall: Callable[[], float] = time.time, option: str = _BUS) -> None:
        self._clock = clock
        self._wall = wall
        self._skewed = False
        self._policy = NO_EVICTION
        self._label = label
        self._option = option
        self._down: set[str] = set()
        self._reported_down = False
        self._refusals: set[str] = set()
        self._losses: deque[float] = deque(maxlen=MAX_LOSSES)
        self._troubles: set[str] = set()
        self._stopped = False
        self._quiet_until: dict[str, float] = {}
        self._suppressed = 0

    def up(self, connection: str) -> None:
        """Record that a connection is logged in, or is no longer needed."""
        # Log "is back" only when all connections are back: they return one by one.
        self._down.discard(connection)
        if self._down:
            return
        if self._reported_down:
            self._log(LogLevel.info, "is back")
        self._reported_down = False
        self._refusals.clear()

    def down(self, connection: str, reason: BaseException) -> None:
        """Record that a connection was lost, or could not be made.

        :param connection: the purpose of the connection, which also identifies the connection.
        """
        if isinstance(reason, TooLong):
            # The message came from another process; Redis itself works.
            what = f"a message on the connection for {connection} was {reason} and is dropped"
            if self._option == _BUS:
                what += "; set proto-max-bulk-len 4mb in redis.conf, so that Redis refuses such messages"
            self.complain(what, connection)
            return
        # All connections of a process are lost together, so one line is enough for a loss.  A refusal (here: a reason
        # that lasts until an administrator acts) is logged even if it follows a loss.  Until all connections are back,
        # the same refusal is logged only once.  If _loss_is_due() permits no line now, a later failed attempt logs it.
        self._down.add(connection)
        words = refusal(reason)
        if words is None:
            if not self._reported_down and self._loss_is_due():
                self._log(LogLevel.warn, f"cannot be reached ({loss(reason)}); trying again")
                self._reported_down = True
        elif words not in self._refusals and self._loss_is_due():
            self._refusals.add(words)
            self._log(LogLevel.error, f"refuses the connection for {connection}: {words}; trying again")
            self._reported_down = True

    def trouble(self, code: str) -> None:
        """Record that Redis refused a command, for a reason that lasts until an administrator acts."""
        if code not in self._troubles and self.problem(code, f"refuses commands: {sentence(code)}"):
            self._troubles.add(code)

    def no_trouble(self) -> None:
        """Record that Redis has executed a script that adds data."""
        if self._troubles:
            self._troubles.clear()
            self.solved("accepts commands again")

    def problem(self, kind: str, words: str) -> bool:
        """Log a lasting problem as an error, and return whether it was logged.

        If it was logged, the caller must call :meth:`solved` when the problem ends.
        """
        due = self._is_due(kind)
        if due:
            self._log(LogLevel.error, words)
        return due

    def solved(self, words: str) -> None:
        """Log the end of a :meth:`problem`."""
        self._log(LogLevel.info, words)

    def clock(self, now: float) -> None:
        """Compare Redis' Unix time with this machine's clock; warn once if they differ by more than MAX_SKEW."""
        ahead = self._wall() - now
        if abs(ahead) <= MAX_SKEW:
            self._skewed = False
        elif not self._skewed:
            self._skewed = True
            self._log(
                LogLevel.warn,
                f"has another time: this machine's clock is {abs(ahead):.0f} s {'ahead' if ahead > 0 else 'behind'}; "
                "tokens expire by Redis' clock; set the clocks by NTP",
            )

    def eviction(self, policy: str) -> None:
        """Check the eviction policy; warn once if a full Redis drops data, because that can lose tokens."""
        if policy == self._policy:
            return
        self._policy = policy
        if policy == NO_EVICTION:
            self.solved(f"has maxmemory-policy {policy} now")
        else:
            self._log(
                LogLevel.warn,
                f"has maxmemory-policy {policy}: when its memory is full, it drops tokens, and forgets that a one-time "
                f"token was used; set maxmemory-policy {NO_EVICTION} in redis.conf",
            )

    def complain(self, what: str, kind: str = "") -> None:
        """Log that Redis, or a peer, sent something unexpected.

        :param what: what happened; must not quote the received data.
        :param kind: the kind of line; within QUIET seconds, only one line of each kind is logged.
        """
        # While Redis is down, unexpected answers are only a consequence.
        if self._down or not self._is_due(kind):
            self._suppressed += 1
            return
        more = f" (and {self._suppressed} more such lines)" if self._suppressed else ""
        self._suppressed = 0
        _logger.warn("Redis at {label}: {what}{more}", label=self._label, what=self._named(what), more=more)

    def stop(self) -> None:
        """Log nothing from now on."""
        self._stopped = True

    def _is_due(self, kind: str) -> bool:
        """Return whether a line of this kind may be logged now: at most one within QUIET seconds."""
        now = self._clock.seconds()
        if self._stopped or now < self._quiet_until.get(kind, now):
            return False
        self._quiet_until[kind] = now + QUIET
        return True

    def _loss_is_due(self) -> bool:
        """Return whether one more loss or refusal may be logged: an unstable server must not fill the disk."""
        now = self._clock.seconds()
        if len(self._losses) == MAX_LOSSES and now - self._losses[0] <= QUIET:
            return False
        self._losses.append(now)
        return True

    def _log(self, level: Any, words: str) -> None:
        if not self._stopped:
            _logger.emit(level, "Redis at {label} {words}", label=self._label, words=self._named(words))

    def _named(self, words: str) -> str:
        """Replace ``transport_url``, the option in the sentences of :mod:`.reasons`, by the option of this Redis."""
        return words.replace(_BUS, self._option)
