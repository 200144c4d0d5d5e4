"""The live sessions of the proxies, as far as consoleauth ends or changes them."""

from dataclasses import dataclass, field
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.contract.topics import PROXY
from novnc_twisted.errors import Refusal, ServiceUnavailable
from novnc_twisted.messaging.fanout import gather
from novnc_twisted.messaging.interfaces import ITransport
from novnc_twisted.messaging.waiting import sleep

DEADLINE: Final = 2.5
"""Seconds in which the proxies must answer, so that the caller of consoleauth (5 s) still gets an answer."""

REPEATED: Final = 120.0
"""Seconds for which a change is repeated for proxies that did not answer, or were not listed: two leases of a token."""

_PAUSE: Final = 3.0
"""Seconds between two attempts: the lifetime of a presence entry."""

MAX_PENDING: Final = 1000
"""Changes that are repeated at a time.  A further change drops the oldest one, which then only the leases apply."""

_log = Logger()


@dataclass(slots=True)
class _Change:
    """A change of sessions.

    :ivar until: when it is no longer repeated, in the clock's seconds.
    :ivar answered: the topics of the proxies that have applied it.
    """

    method: str
    arguments: dict[str, Any]
    until: float
    answered: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a change.

    :ivar sessions: how many sessions were ended or changed.
    :ivar unanswered: the topics of the proxies that did not answer; their sessions may go on.
    """

    sessions: int
    unanswered: tuple[str, ...]


class LiveSessions:
    """Ends and changes sessions on all proxies, and repeats that for proxies that were cut off."""

    def __init__(self, transport: ITransport, clock: IReactorTime) -> None:
        self._transport = transport
        self._clock = clock
        self._pending: list[_Change] = []
        self._repeating: Deferred[None] | None = None

    async def end(self, wanted: SessionFilter, reason: str) -> Outcome:
        """End the sessions that match a filter, with Revoked (4410).

        :raises ServiceUnavailable: it is unknown which proxies there are.
        """
        return await self._apply("end_sessions", {**_set_fields(wanted), "reason": reason})

    async def end_of_server(self, instance_uuid: str, reason: str) -> None:
        """End the sessions of a server that is gone; log the proxies that do not answer."""
        try:
            outcome = await self.end(SessionFilter(server_id=instance_uuid), reason)
        except ServiceUnavailable as error:
            _log.warn("sessions of server {uuid} may go on: {reason}", uuid=instance_uuid, reason=str(error))
            return
        for topic in outcome.unanswered:
            _log.warn("sessions of server {uuid} on {topic} may go on: no answer", uuid=instance_uuid, topic=topic)

    async def set_mode(self, wanted: SessionFilter, mode: str) -> Outcome:
        """Change what the viewers of the sessions that match may do.

        :raises ServiceUnavailable: it is unknown which proxies there are.
        """
        return await self._apply("set_mode", {**_set_fields(wanted), "mode": mode})

    def stop(self) -> None:
        """Repeat nothing any more."""
        self._pending.clear()
        repeating, self._repeating = self._repeating, None
        if repeating is not None:
            repeating.cancel()

    async def _apply(self, method: str, arguments: dict[str, Any]) -> Outcome:
        change = _Change(method, arguments, self._clock.seconds() + REPEATED)
        # Before the first attempt, which may fail as a whole.
        self._pending = [*self._pending[1 - MAX_PENDING :], change]
        if self._repeating is None:
            self._repeating = Deferred.fromCoroutine(self._repeat()).addErrback(lambda why: why.trap(CancelledError))
        answers = await self._transport.broadcast(PROXY.prefix, method, deadline=DEADLINE, **arguments)
        unanswered = tuple(answer.service.topic for answer in answers if answer.refusal is not None)
        change.answered.update(answer.service.topic for answer in answers if answer.refusal is None)
        results = [answer.result for answer in answers if answer.refusal is None]
        return Outcome(sum(map(_count, results)), unanswered)

    async def _repeat(self) -> None:
        """Apply the changes to proxies that have not answered yet, until each was repeated for long enough."""
        try:
            while self._pending:
                await sleep(_PAUSE, self._clock)
                self._pending = [change for change in self._pending if change.until > self._clock.seconds()]
                try:
                    services = await self._transport.services(PROXY.prefix)
                except ServiceUnavailable:
                    continue  # the bus is down: the leases cannot be renewed either
                topics = {service.topic for service in services}
                for change in self._pending:
                    await self._again(change, topics - change.answered)
        finally:
            self._repeating = None

    async def _again(self, change: _Change, topics: set[str]) -> None:
        ordered = sorted(topics)
        calls = (self._transport.call(at, change.method, deadline=DEADLINE, **change.arguments) for at in ordered)
        for topic, answer in zip(ordered, await gather(calls), strict=True):
            if not isinstance(answer, Refusal):
                change.answered.add(topic)


def _set_fields(wanted: SessionFilter) -> dict[str, Any]:
    return {name: value for name, value in wanted.to_wire().items() if value is not None}


def _count(result: Any) -> int:
    """Return the number of sessions in the answer of a proxy; a proxy may send anything."""
    counts = (
        [value for value in result.values() if type(value) is int and value > 0] if isinstance(result, dict) else []
    )
    return counts[0] if counts else 0
