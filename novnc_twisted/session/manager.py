"""Serves the sessions of one worker of a proxy on the bus, as the topic ``proxy.HOST.WORKER``."""

import secrets
from collections.abc import Callable, Iterable
from heapq import nsmallest
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from novnc_twisted.contract import fields
from novnc_twisted.contract.mode import MODES
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.contract.topics import PROXY, SESSIONS_BINARY
from novnc_twisted.errors import Refusal, Revoked, ServiceUnavailable
from novnc_twisted.messaging.interfaces import ITransport
from novnc_twisted.messaging.wire import MAX_MESSAGE, encode_object

MAX_PAGE = 1000
"""Sessions in one answer, at most."""

_ROOM = MAX_MESSAGE - 1000


class ISession(Protocol):
    """What is asked of a session."""

    @property
    def id(self) -> str:
        """Its id, unique among the sessions of all proxies."""

    def to_wire(self) -> dict[str, Any]:
        """Its description as JSON."""

    def end(self, cause: Refusal) -> None:
        """End it."""

    def change_mode(self, mode: str) -> None:
        """Change what its viewer may do, at once."""


class IUncheckedSession(Protocol):
    """A session whose token is being checked."""

    def end_if(self, wanted: SessionFilter, cause: Refusal) -> None:
        """End it once its token has been checked, if it matches then."""


class ISessionRegistry(Protocol):
    """What is asked of the registry of sessions."""

    def find(self, wanted: SessionFilter) -> Iterable[ISession]:
        """Return the sessions that match, in any order."""

    def unchecked(self) -> Iterable[IUncheckedSession]:
        """Return the sessions whose token is being checked."""


class SessionManager:
    """Lists and ends the sessions of this worker for the API and for consoleauth.

    :param transport: the bus.
    :param sessions: the sessions of this worker.
    :param host: the ``host`` option.
    :ivar topic: ``proxy.HOST.WORKER``.  WORKER is new for each process and each proxy in it, so a restarted worker is
        never called for the sessions of its predecessor.
    """

    def __init__(self, transport: ITransport, sessions: ISessionRegistry, *, host: str) -> None:
        self._transport = transport
        self._sessions = sessions
        self._host = host
        self.topic = PROXY.of(host, secrets.token_hex(6))
        self._withdraw: Callable[[], Deferred[None]] | None = None

    async def start(self) -> None:
        """Serve the topic."""
        methods = {name: getattr(self, name) for name in PROXY.methods}
        self._withdraw = await self._transport.serve(
            self.topic, methods, binary=SESSIONS_BINARY, host=self._host, callers=PROXY.methods
        )

    async def stop(self) -> None:
        """Withdraw the topic; the sessions go on."""
        withdraw, self._withdraw = self._withdraw, None
        if withdraw is not None:
            await withdraw()

    async def get_sessions(self, *, limit: int = MAX_PAGE, marker: str = "", **wanted: Any) -> dict[str, Any]:
        """List sessions in the order of their ids.

        :param limit: how many, at most.
        :param marker: the id of the last session of the page before; empty for the first page.
        :param wanted: the fields of a :class:`SessionFilter`.
        :returns: ``sessions``, and ``more``: whether sessions follow that are not in this page.
        :raises ServiceUnavailable: an argument is invalid; the detail names it.
        """
        if not isinstance(limit, int) or isinstance(limit, bool) or not 0 < limit <= MAX_PAGE:
            raise ServiceUnavailable(f"limit is not a number from 1 to {MAX_PAGE}")
        if marker != "":
            fields.argument("marker", marker, fields.short_text)
        found = self._sessions.find(SessionFilter.from_arguments(wanted))
        page = nsmallest(limit + 1, (one for one in found if one.id > marker), key=lambda one: one.id)
        rows: list[dict[str, Any]] = []
        size = 0
        for session in page[:limit]:
            row = session.to_wire()
            size += len(encode_object(row)) + 1
            if size > _ROOM:
                break  # long names: the page ends early, so that the answer fits into a message
            rows.append(row)
        return {"sessions": rows, "more": len(rows) < len(page)}

    async def end_sessions(self, *, reason: str = "", **wanted: Any) -> dict[str, Any]:
        """End all sessions that match, with Revoked (4410).

        :param reason: why, for the log.
        :param wanted: the fields of a :class:`SessionFilter`, at least one of them.
        :returns: ``ended``, how many sessions that are.
        :raises ServiceUnavailable: an argument is invalid; the detail names it.
        """
        cause = Revoked(fields.argument("reason", reason, fields.text) if reason != "" else "")
        found = self._chosen(wanted)
        for session in found:
            session.end(cause)
        for unchecked in self._sessions.unchecked():
            unchecked.end_if(SessionFilter.from_arguments(wanted), cause)
        return {"ended": len(found)}

    async def set_mode(self, *, mode: str, **wanted: Any) -> dict[str, Any]:
        """Change what the viewers of all sessions that match may do, at once.

        :param mode: ``control`` or ``view``.
        :param wanted: the fields of a :class:`SessionFilter`, at least one of them.
        :returns: ``changed``, how many sessions that are.
        :raises ServiceUnavailable: an argument is invalid; the detail names it.
        """
        mode = fields.argument("mode", mode, fields.one_of(*MODES))
        found = self._chosen(wanted)
        for session in found:
            session.change_mode(mode)
        return {"changed": len(found)}

    async def count_sessions(self, **wanted: Any) -> dict[str, int]:
        """Count the sessions that match each field, by itself; those whose token was not checked yet do not count.

        :param wanted: fields of a :class:`SessionFilter`.
        :returns: for each field, how many sessions match it.
        :raises ServiceUnavailable: an argument is invalid; the detail names it.
        """
        SessionFilter.from_arguments(wanted)
        return {
            name: sum(1 for _ in self._sessions.find(SessionFilter.from_arguments({name: value})))
            for name, value in wanted.items()
            if value is not None
        }

    def _chosen(self, wanted: dict[str, Any]) -> list[ISession]:
        """Return the sessions that a call changes; without a filter, all would match by mistake."""
        chosen = SessionFilter.from_arguments(wanted)
        if chosen == SessionFilter():
            raise ServiceUnavailable("a filter of sessions is needed")
        return list(self._sessions.find(chosen))
