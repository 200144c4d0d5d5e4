"""Runs our scripts in Redis, and loads them if necessary."""

from collections.abc import Callable
from typing import Any

from novnc_twisted.messaging.redis.health import Health
from novnc_twisted.messaging.redis.protocol import RedisError, RedisProtocol
from novnc_twisted.messaging.redis.reasons import OUTAGES
from novnc_twisted.messaging.redis.scripts import ALL, Script
from novnc_twisted.messaging.waiting import sleep

RETRY = 0.2
"""Seconds between two attempts to run a script that Redis does not have yet."""

FRESH = 3 * RETRY
"""Length in seconds of the grace period that begins when Redis has got the scripts.

Services that waited for the scripts announce themselves within this time.  Until the period ends, a service without a
presence entry may still be alive.
"""

_WAYS: list[tuple[tuple[str, ...], tuple[int, ...]]] = [(("SCRIPT", "LOAD"), ()), (("EVAL",), (0,))]
"""Two commands that can load a script: the words before and after the script's text.

EVAL also runs the script, which does nothing without arguments.  EVAL is tried if SCRIPT LOAD is denied.  A denied
command is not tried again, since Redis records each attempt in ``ACL LOG``.
"""

REPORT_AFTER = 1.0
"""Seconds for which scripts may be missing before their absence is logged.

If all services start together, scripts are missing until consoleauth has loaded them.  This is normal.
"""


class Scripts:
    """Runs scripts by their SHA-1.  If Redis lacks them, loads them or waits until another service has loaded them.

    Redis keeps scripts in memory only: they are missing after a restart, a failover, and SCRIPT FLUSH.

    :param reactor: IReactorTime.
    :param may_load: whether to try to load scripts.  False for roles without this right, because Redis records each
        denied attempt in ``ACL LOG``.
    :param health: notified when scripts are missing.
    :ivar misses: number of attempts that failed because Redis did not have the script.
    """

    def __init__(self, reactor: Any, may_load: bool, health: Health) -> None:
        self._reactor = reactor
        self._ways = [*_WAYS] if may_load else []
        self._health = health
        self.misses = 0
        self._missing_since: float | None = None
        self._fresh = False  # whether a new connection found no scripts, and none has run since
        self._reported = False
        self.on_found: Callable[[], None] = lambda: None
        """Called when Redis has scripts that it did not have before."""

    @property
    def missing(self) -> bool:
        """Whether Redis did not have the script at the last attempt of :meth:`run`.

        A new connection resets this to False, unless the absence of the scripts has been logged.
        """
        return self._missing_since is not None

    async def begin(self, protocol: RedisProtocol) -> None:
        """Check on a new connection that Redis is ready to run scripts; load all scripts if this process may do so.

        :raises RedisError: Redis is not ready, or refuses.
        :raises ConnectionGone: the connection ended.
        """
        # A new connection may lead to another Redis.  So measure anew how long scripts are missing, unless their
        # absence has been logged already.
        if not self._reported:
            self._missing_since = None
        try:
            await protocol.command("EVALSHA", ALL[0].sha, 0)
        except RedisError as error:
            if error.code in OUTAGES:
                raise
            # NOSCRIPT: Redis has no scripts.  Other errors (a missing right) do not show whether Redis has them.
            self._fresh = error.code == "NOSCRIPT"
        await self._load(protocol)

    async def run(self, protocol: RedisProtocol, script: Script, *words: str | int) -> Any:
        """Run a script as soon as Redis has it; the caller sets the deadline.

        :raises RedisError: Redis refuses.
        :raises ConnectionGone: the connection ended.
        """
        loaded = False
        while True:
            try:
                reply = await protocol.command("EVALSHA", script.sha, 0, *words)
            except RedisError as error:
                if error.code != "NOSCRIPT":
                    raise
            else:
                self._found()
                return reply
            self._not_found()
            # If this process may load scripts, load them after the first failed attempt, wait after the second, load
            # after the third, and so on.  If it may not, wait after each.
            loaded = bool(self._ways) and not loaded
            if loaded:
                await self._load(protocol)
            else:
                await sleep(RETRY, self._reactor)

    async def _load(self, protocol: RedisProtocol) -> None:
        while self._ways:
            way = before, after = self._ways[0]
            try:
                for script in ALL:
                    await protocol.command(*before, script.text, *after)
            except RedisError as error:
                if error.code != "NOPERM":
                    raise
                if way in self._ways:  # else a concurrent call has removed it
                    self._ways.remove(way)
            else:
                return

    def _not_found(self) -> None:
        self.misses += 1
        now = self._reactor.seconds()
        if self._missing_since is None:
            self._missing_since = now
        elif not self._reported and now - self._missing_since >= REPORT_AFTER:
            self._reported = self._health.problem(
                "scripts",
                "has none of the scripts that the services run; a consoleauth loads them when it connects: is one "
                "running?",
            )

    def _found(self) -> None:
        if self._fresh or self.missing:
            self._fresh = False
            self.on_found()
        self._missing_since = None
        if self._reported:
            self._reported = False
            self._health.solved("has the scripts")
