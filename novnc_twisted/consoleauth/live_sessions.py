"""Ends and changes live sessions on the proxies, for consoleauth."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from novnc_twisted.access.tokens import link_id
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.contract.topics import PROXY
from novnc_twisted.errors import Refusal, ServiceUnavailable
from novnc_twisted.messaging.fanout import MAX_AT_ONCE, gather
from novnc_twisted.messaging.interfaces import ITransport
from novnc_twisted.messaging.waiting import sleep

DEADLINE: Final = 2.5
"""Seconds for the answers of the proxies.  The caller of consoleauth waits 5 s, so it still gets an answer."""

REPEATED: Final = 120.0
"""Seconds for which a change is repeated for proxies that did not answer or were not listed.

After that, such a proxy learns of a revocation or a changed mode only when it calls ``keep_token`` for a session.  (It
does this regularly, to renew the lease of the session's token.)
"""

PAUSE: Final = 3.0
"""Seconds between two attempts.

This is the lifetime of a presence entry.  So a proxy that has ended is usually no longer listed at the next attempt.
"""

MAX_PENDING: Final = 1000
"""Maximum number of changes that are repeated.

A further one drops the oldest, as if :data:`REPEATED` seconds had passed.
"""

_log = Logger()


@dataclass(slots=True)
class _Change:
    """A change of sessions.

    :ivar until: when the repetition ends, in the clock's seconds.
    :ivar token_hash: the SHA-256 of the token whose mode is changed; empty: sessions are ended.
    :ivar answered: the topics of the proxies that have applied the change.
    """

    method: str
    arguments: dict[str, Any]
    until: float
    token_hash: str = ""
    answered: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a change.

    :ivar sessions: the number of ended or changed sessions.
    :ivar unanswered: the topics of the proxies that did not answer; their sessions may go on as before.
    """

    sessions: int
    unanswered: tuple[str, ...]

    def and_of(self, others: Iterable["Outcome"]) -> "Outcome":
        """Return the outcome of this change and of others together."""
        every = [self, *others]
        unanswered = dict.fromkeys(topic for one in every for topic in one.unanswered)
        return Outcome(sum(one.sessions for one in every), tuple(unanswered))


class LiveSessions:
    """Ends and changes sessions on all proxies, and repeats the calls for proxies that were not reachable.

    :param mode_of: ``async (token_hash)`` -> what the viewers of a token may do now; None: the token was revoked or is
        unknown.
    """

    def __init__(
        self, transport: ITransport, clock: IReactorTime, mode_of: Callable[[str], Awaitable[str | None]]
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._mode_of = mode_of
        self._pending: list[_Change] = []
        self._repeating: Deferred[None] | None = None

    async def end(self, wanted: SessionFilter, reason: str, repeated: bool = False) -> Outcome:
        """End the sessions that match a filter, with the close code of Revoked (4410).

        :param wanted: the filter.  ``made_until`` spares sessions whose tokens were made later.  The first attempt
            ignores ``made_until``, unless ``repeated`` is True.
        :param repeated: whether an earlier call has begun the same change; users may have made tokens since then.
        :raises ServiceUnavailable: the list of proxies cannot be read.
        """
        return await self._apply("end_sessions", {**_set_fields(wanted), "reason": reason}, repeated=repeated)

    async def end_of_server(self, instance_uuid: str, made_until: float, reason: str) -> None:
        """End the sessions of a server whose tokens were dropped; log the proxies that do not answer.

        :param made_until: see :meth:`end`.
        """
        try:
            outcome = await self.end(SessionFilter(server_id=instance_uuid, made_until=made_until), reason)
        except ServiceUnavailable as error:
            _log.warn(
                "the tokens of server {uuid} were dropped, but its sessions may go on: {reason}",
                uuid=instance_uuid,
                reason=str(error),
            )
            return
        for topic in outcome.unanswered:
            _log.warn(
                "sessions of server {uuid} on {topic} may go on until this proxy answers, or asks to renew the leases "
                "of their tokens",
                uuid=instance_uuid,
                topic=topic,
            )

    async def set_mode(self, token_hash: str, mode: str) -> Outcome:
        """Change the mode of the sessions with a token.

        :raises ServiceUnavailable: the list of proxies cannot be read.
        """
        wanted = SessionFilter(token_hash=token_hash)
        return await self._apply("set_mode", {**_set_fields(wanted), "mode": mode}, token_hash)

    def stop(self) -> None:
        """Stop repeating changes."""
        self._pending.clear()
        repeating, self._repeating = self._repeating, None
        if repeating is not None:
            repeating.cancel()

    async def _apply(
        self, method: str, arguments: dict[str, Any], token_hash: str = "", repeated: bool = False
    ) -> Outcome:
        change = _Change(method, arguments, self._clock.seconds() + REPEATED, token_hash)
        # Added before the first attempt, so that the change is repeated even if this attempt fails.  The slice keeps
        # the newest MAX_PENDING - 1 changes.
        self._pending = [*self._pending[1 - MAX_PENDING :], change]
        if self._repeating is None:
            self._repeating = Deferred.fromCoroutine(self._repeat()).addErrback(lambda why: why.trap(CancelledError))
        # Leave made_until out of the first attempt: a proxy of an earlier version refuses calls with this field.  Only
        # a later attempt needs the field, because users may have made new tokens by then.
        first = {name: value for name, value in arguments.items() if name != "made_until" or repeated}
        answers = await self._transport.broadcast(PROXY.prefix, method, deadline=DEADLINE, **first)
        unanswered = tuple(answer.service.topic for answer in answers if answer.refusal is not None)
        change.answered.update(answer.service.topic for answer in answers if answer.refusal is None)
        results = [answer.result for answer in answers if answer.refusal is None]
        return Outcome(sum(map(_count, results)), unanswered)

    async def _repeat(self) -> None:
        """Repeat each change for :data:`REPEATED` seconds, on the proxies that have not applied it yet."""
        try:
            while self._pending:
                await sleep(PAUSE, self._clock)
                self._pending = [change for change in self._pending if change.until > self._clock.seconds()]
                try:
                    services = await self._transport.services(PROXY.prefix)
                except ServiceUnavailable:
                    continue  # the bus is down: try again after the pause
                topics = sorted({service.topic for service in services})
                slots = DeferredSemaphore(MAX_AT_ONCE)
                await gather(slots.run(self._turn, topic) for topic in topics)
        finally:
            self._repeating = None

    def _turn(self, topic: str) -> Deferred[None]:
        return Deferred.fromCoroutine(self._catch_up(topic))

    async def _catch_up(self, topic: str) -> None:
        """Repeat the changes that a proxy has not applied, in their order, for at most :data:`DEADLINE` seconds.

        So a proxy that does not answer does not delay the other proxies for longer.
        """
        until = self._clock.seconds() + DEADLINE
        for change in self._pending:
            left = until - self._clock.seconds()
            if left <= 0:
                return
            if topic not in change.answered:
                await self._again(change, topic, left)

    async def _again(self, change: _Change, topic: str, deadline: float) -> None:
        arguments = change.arguments
        try:
            if change.token_hash:
                # After this change, the mode may have been changed again, also by another consoleauth.
                arguments = {**arguments, "mode": await self._mode_of(change.token_hash) or arguments["mode"]}
            await self._transport.call(topic, change.method, deadline=deadline, **arguments)
        except Refusal:
            return  # the store or the proxy does not answer: try again after the pause
        change.answered.add(topic)


def _set_fields(wanted: SessionFilter) -> dict[str, Any]:
    """Return the filter for the proxies, with the link_id instead of the token's hash.

    The hash must not reach all proxies: consoleauth's methods accept it in place of the token.
    """
    if wanted.token_hash is not None:
        wanted = replace(wanted, token_hash=None, link_id=link_id(wanted.token_hash))
    return {name: value for name, value in wanted.to_wire().items() if value is not None}


def _count(result: Any) -> int:
    """Return the number of sessions in the answer of a proxy (``ended`` or ``changed``); 0 if the answer is invalid."""
    counts = (
        [value for value in result.values() if type(value) is int and value > 0] if isinstance(result, dict) else []
    )
    return counts[0] if counts else 0
