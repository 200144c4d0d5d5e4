"""Limits of the sessions of a user, a project, a client address and a server, counted over all proxies."""

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime

from novnc_twisted.access.failures import network_of
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.topics import PROXY
from novnc_twisted.errors import (
    Refusal,
    ServiceUnavailable,
    TooManyForProject,
    TooManyForServer,
    TooManyForUser,
    TooManyFromAddress,
)
from novnc_twisted.messaging.interfaces import ITransport

DEADLINE: Final = 1.0
"""Seconds for the answers of the proxies: finding the console takes up to 3.5 s of the 5 s that a proxy waits."""

SETTLE: Final = 0.02
"""Seconds from an answer until its proxy certainly counts the session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRules:
    """The options of ``[console]`` with these names; 0 is off.

    ``max_sessions_per_server`` is a limit of each process; over all proxies, it is counted only if another one is on.
    """

    max_sessions_per_user: int = 0
    max_sessions_per_project: int = 0
    max_sessions_per_address: int = 0
    max_sessions_per_server: int = 0

    @property
    def any(self) -> bool:
        """Whether the proxies have to be asked."""
        return bool(self.max_sessions_per_user or self.max_sessions_per_project or self.max_sessions_per_address)


class _Limit(NamedTuple):
    """A limit that applies to one session.

    :ivar field: the name of the filter by which the proxies count.
    """

    field: str
    value: str
    most: int
    option: str
    refusal: type[Refusal]


class SessionCounts:
    """Asks the proxies how many sessions they have, before another one begins.

    Checks of one user, project, address or server wait for each other, so that simultaneous links do not exceed a limit
    together.  Sessions that several consoleauths admit in the same instant may still exceed it.
    """

    def __init__(self, transport: ITransport, clock: IReactorTime, rules: SessionRules) -> None:
        self._transport = transport
        self._clock = clock
        self.rules = rules
        self._locks: dict[tuple[str, str], DeferredLock] = {}

    async def check(self, info: ConnectInfo, address: str) -> None:
        """Check that one more session may begin.

        :raises TooManySessions: a limit is reached; the class says which.
        :raises ServiceUnavailable: a proxy does not answer, so that its sessions are not known.
        """
        limits = list(self._limits(info, address)) if self.rules.any else []
        if not limits:
            return
        async with AsyncExitStack() as stack:
            # In one order, so that no two checks wait for each other.
            for limit in sorted(limits):
                await stack.enter_async_context(self._alone((limit.field, limit.value)))
            await self._count(limits)

    def _limits(self, info: ConnectInfo, address: str) -> Iterator[_Limit]:
        rules = self.rules
        for field, value, option, refusal in (
            ("user_id", info.user_id, "max_sessions_per_user", TooManyForUser),
            ("project_id", info.project_id, "max_sessions_per_project", TooManyForProject),
            ("client_network", network_of(address), "max_sessions_per_address", TooManyFromAddress),
            ("server_id", info.instance_uuid, "max_sessions_per_server", TooManyForServer),
        ):
            most = getattr(rules, option)
            if most and value:
                yield _Limit(field, value, most, option, refusal)

    async def _count(self, limits: Sequence[_Limit]) -> None:
        wanted = {limit.field: limit.value for limit in limits}
        answers = await self._transport.broadcast(PROXY.prefix, "count_sessions", deadline=DEADLINE, **wanted)
        silent = [answer.service.topic for answer in answers if answer.refusal is not None]
        if silent:
            raise ServiceUnavailable(f"the sessions cannot be counted: no answer of {', '.join(silent)}")
        for limit in limits:
            if sum(_number(answer.result, limit.field) for answer in answers) >= limit.most:
                raise limit.refusal(f"{limit.option} is {limit.most}")

    @asynccontextmanager
    async def _alone(self, key: tuple[str, str]) -> Any:
        """Wait for the other checks of a key.  After a success, the next one waits until the session is counted."""
        lock = self._locks.setdefault(key, DeferredLock())
        await lock.acquire()
        try:
            yield
        except BaseException:
            self._release(key)
            raise
        self._clock.callLater(SETTLE, self._release, key)

    def _release(self, key: tuple[str, str]) -> None:
        lock = self._locks[key]
        lock.release()
        # The release may have run a waiting check to its end.
        if not lock.locked:
            self._locks.pop(key, None)


def _number(result: Any, field: str) -> int:
    """Return a count from the answer of a proxy; a proxy may send anything."""
    value = result.get(field) if isinstance(result, dict) else None
    return value if type(value) is int and value > 0 else 0
