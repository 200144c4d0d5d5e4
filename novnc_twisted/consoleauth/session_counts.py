"""Limits for the sessions of a user, a project, a client address and a server, counted over all proxies."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime

from novnc_twisted.access.failures import network_of
from novnc_twisted.access.tokens import link_id
from novnc_twisted.consoleauth.open_sessions import OpenSessions
from novnc_twisted.consoleauth.time_limit import TimeLimit
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
from novnc_twisted.messaging.interfaces import Answer, ITransport

DEADLINE: Final = 1.0
"""Maximum number of seconds for the answers of the proxies.

The wait is shorter if less time is left for the method of consoleauth that asks them (:class:`.TimeLimit`).
"""

ON_ITS_WAY: Final = 5.0
"""Seconds that a proxy waits for an answer about a token (its ``token_deadline``).

If the answer has not arrived after this time, the admitted session cannot begin any more.
"""

MAX_CHECKING: Final = 1000
"""Maximum number of link ids (:func:`.link_id`) in one call to a proxy."""

_SERVER: Final = "server_id"
"""The field of a :class:`.SessionFilter` by which the proxies count the sessions of a server."""

_Key = tuple[str, str]
"""What is counted: the name of a field of a SessionFilter, and its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRules:
    """The options of ``[console]`` with these names; 0 switches a limit off."""

    max_sessions_per_user: int = 0
    max_sessions_per_project: int = 0
    max_sessions_per_address: int = 0
    max_sessions_per_server: int = 0

    @property
    def counts(self) -> bool:
        """Whether the proxies are asked before each session.

        If max_sessions_per_server is the only limit, they are asked only for a server that may have reached it
        (:class:`.OpenSessions`).
        """
        return bool(self.max_sessions_per_user or self.max_sessions_per_project or self.max_sessions_per_address)


class _Limit(NamedTuple):
    """A limit that applies to one session.

    :ivar field: the name of the field of a SessionFilter by which the proxies count.
    :ivar value: the value of this field.
    :ivar most: the maximum number of sessions.
    :ivar option: the name of the option.
    :ivar refusal: the class of the refusal.
    """

    field: str
    value: str
    most: int
    option: str
    refusal: type[Refusal]

    @property
    def key(self) -> _Key:
        """The field and its value."""
        return self.field, self.value


class _Admission(NamedTuple):
    """An admitted session, which its proxy perhaps does not count yet.

    :ivar proxy: the topic of the proxy's worker process; empty: unknown.
    :ivar link_id: identifies its token without revealing the token's hash (:func:`.link_id`).  Somebody with a stolen
        proxy credential can read the calls to the workers, and consoleauth's methods accept the hash in place of the
        token.  So these calls contain the link id, and not the hash.
    :ivar session: the id of the admission, which is the same if the proxy repeats its call.
    :ivar at: when the session was admitted, in the clock's seconds.
    """

    proxy: str
    link_id: str
    session: str
    at: float


class SessionCounts:
    """Asks the proxies for their numbers of sessions before another session begins.

    Checks for the same user, project, address or server run one after the other, and an admitted session counts at
    once.  Until consoleauth's answer to ``check_token`` has arrived at the proxy, the proxy reports that it is checking
    the token, and this class adds the session to the proxy's number.  After that, the proxy counts the session.  So
    simultaneous sessions usually cannot exceed a limit together.  But sessions that another consoleauth admits, and
    sessions without a known proxy, count only after the answer has arrived at the proxy.

    :param opened: the records of admitted sessions.  A server usually has at least as many records as sessions.
    """

    def __init__(self, transport: ITransport, clock: IReactorTime, rules: SessionRules, opened: OpenSessions) -> None:
        self._transport = transport
        self._clock = clock
        self.rules = rules
        self._open = opened
        self._locks: dict[_Key, DeferredLock] = {}
        # The admissions of each key, and the keys of each admission, oldest first.
        self._admitted: dict[_Key, deque[_Admission]] = {}
        self._keys: deque[tuple[float, Sequence[_Key]]] = deque()

    async def check(
        self, info: ConnectInfo, address: str, token_hash: str, session: str, proxy: str, time: TimeLimit
    ) -> None:
        """Check that one more session may begin; it counts from now on.

        :param session: the id of the session's admission.  If the session is checked again with the same id, it is not
            counted twice.
        :param proxy: the topic of the proxy's worker process; empty: unknown.
        :param time: the limit of the method that admits the session.
        :raises TooManySessions: a limit is reached; the subclass says which.
        :raises ServiceUnavailable: a proxy does not answer, so that its sessions are unknown.
        """
        limits = list(self._limits(info, address))
        if not limits:
            return
        async with AsyncExitStack() as stack:
            # Sorted, so that two checks take their locks in the same order and cannot block each other.
            for limit in sorted(limits):
                await stack.enter_async_context(self._alone(limit.key))
            await self._check(limits, session, time)
            admission = _Admission(proxy, link_id(token_hash), session, self._clock.seconds())
            self._admit(admission, [limit.key for limit in limits])
            if self.rules.max_sessions_per_server:
                await self._open.add(info.instance_uuid)

    async def ended(self, servers: Iterable[str]) -> None:
        """Record that sessions have ended.

        :param servers: the server of each ended session.  A server occurs several times if several of its sessions have
            ended.
        """
        if self.rules.max_sessions_per_server:
            for server, count in Counter(servers).items():
                await self._open.remove(server, count)

    async def _check(self, limits: Sequence[_Limit], session: str, time: TimeLimit) -> None:
        """Ask the proxies whether a limit is reached.

        If the server's limit is the only one, ask them only if the number of the server's records in OpenSessions has
        reached this limit.
        """
        server = next((limit for limit in limits if limit.field == _SERVER), None)
        records = await self._open.of(server.value) if server is not None else []
        reached = server is not None and len(records) >= server.most
        if not self.rules.counts and not reached:
            return
        counted = await self._count(limits, session, time.left(DEADLINE))
        if server is not None and reached:
            # The server may have fewer sessions than records, for example because a proxy has lost its report of an
            # ended session.
            await self._open.drop_surplus(records, counted[server])

    def _limits(self, info: ConnectInfo, address: str) -> Iterator[_Limit]:
        rules = self.rules
        for field, value, option, refusal in (
            ("user_id", info.user_id, "max_sessions_per_user", TooManyForUser),
            ("project_id", info.project_id, "max_sessions_per_project", TooManyForProject),
            ("client_network", network_of(address), "max_sessions_per_address", TooManyFromAddress),
            (_SERVER, info.instance_uuid, "max_sessions_per_server", TooManyForServer),
        ):
            most = getattr(rules, option)
            if most and value:
                yield _Limit(field, value, most, option, refusal)

    async def _count(self, limits: Sequence[_Limit], session: str, deadline: float) -> dict[_Limit, int]:
        """Return how many sessions count for each limit.

        :param deadline: seconds for the answers of the proxies.
        :raises TooManySessions: a limit is reached.
        """
        wanted: dict[str, Any] = {limit.field: limit.value for limit in limits}
        waiting = {limit: self._recent(limit.key, session) for limit in limits}
        checking = sorted({one.link_id for admitted in waiting.values() for one in admitted})[:MAX_CHECKING]
        if checking:
            wanted["checking"] = checking
        answers = await self._transport.broadcast(PROXY.prefix, "count_sessions", deadline=deadline, **wanted)
        silent = [answer.service.topic for answer in answers if answer.refusal is not None]
        if silent:
            raise ServiceUnavailable(f"the sessions cannot be counted: no answer from {', '.join(silent)}")
        counted: dict[_Limit, int] = {}
        for limit, admitted in waiting.items():
            counted[limit] = sum(
                _number(answer.result, limit.field) + _on_their_way(answer, admitted) for answer in answers
            )
            if counted[limit] >= limit.most:
                raise limit.refusal(f"{limit.option} is {limit.most}")
        return counted

    def _recent(self, key: _Key, session: str) -> Sequence[_Admission]:
        """Return a key's admissions of the last ON_ITS_WAY seconds: one for each session except ``session``."""
        since = self._clock.seconds() - ON_ITS_WAY
        found = {one.session: one for one in self._admitted.get(key, ()) if one.at > since}
        found.pop(session, None)
        return list(found.values())

    def _admit(self, admission: _Admission, keys: Sequence[_Key]) -> None:
        """Remember an admission under its keys, and forget admissions that are too old to become sessions."""
        for key in keys:
            self._admitted.setdefault(key, deque()).append(admission)
        self._keys.append((admission.at, keys))
        while self._keys[0][0] + ON_ITS_WAY <= admission.at:
            for key in self._keys.popleft()[1]:
                self._admitted[key].popleft()
                if not self._admitted[key]:
                    del self._admitted[key]

    @asynccontextmanager
    async def _alone(self, key: _Key) -> Any:
        """Run one check of a key at a time."""
        lock = self._locks.setdefault(key, DeferredLock())
        await lock.acquire()
        try:
            yield
        finally:
            lock.release()
            # If another check was waiting, release() may have run that check to its end.  Then that check has already
            # removed the lock, and a third check may have begun with a lock of its own.
            if not lock.locked and self._locks.get(key) is lock:
                del self._locks[key]


def _number(result: Any, field: str) -> int:
    """Return a count from the answer of a proxy; 0 if it is invalid."""
    value = result.get(field) if isinstance(result, dict) else None
    return value if type(value) is int and value > 0 else 0


def _on_their_way(answer: Answer, admitted: Sequence[_Admission]) -> int:
    """Return the number of admitted sessions that a proxy does not count yet.

    The proxy still waits for consoleauth's answers about the tokens of these sessions.
    """
    checking = answer.result.get("checking") if isinstance(answer.result, dict) else None
    if not isinstance(checking, dict):
        return 0
    known = Counter(one.link_id for one in admitted if one.proxy == answer.service.topic)
    # A viewer may open the same link several times, so the proxy may report more checks than sessions were admitted.
    return sum(min(count, _number(checking, link)) for link, count in known.items())
