"""The methods of consoleauth about sessions: revocations, rights, and the history."""

from typing import Any

from novnc_twisted.consoleauth.history import MAX_PAGE, History
from novnc_twisted.consoleauth.live_sessions import LiveSessions, Outcome
from novnc_twisted.consoleauth.policy import TokenPolicy
from novnc_twisted.consoleauth.token_events import TokenEvents
from novnc_twisted.contract import fields
from novnc_twisted.contract.history_query import HistoryQuery
from novnc_twisted.contract.mode import MODES
from novnc_twisted.contract.record import read
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.wire import entry_id


class SessionMethods:
    """A part of what :class:`.manager.ConsoleAuthManager` serves on the bus."""

    def __init__(self, policy: TokenPolicy, sessions: LiveSessions, history: History, events: TokenEvents) -> None:
        self._policy = policy
        self._sessions = sessions
        self._history = history
        self._events = events

    async def revoke(self, *, reason: str = "", **wanted: Any) -> dict[str, Any]:
        """Revoke tokens, and end the sessions of a server, a user, a project or a token on all proxies.

        The revocation is registered first.  A proxy that does not answer ends its sessions as soon as it is back.

        :param reason: why, for the log.
        :param wanted: the fields of a SessionFilter: exactly one of token_hash, server_id, user_id and project_id, and
            ``owner``, which limits it to the servers of a project.
        :returns: how many valid ``tokens`` were revoked, how many ``sessions`` were ended, and the topics of the
            proxies that did not answer (``unanswered``).
        :raises ServiceUnavailable: an argument is invalid, or it is unknown which proxies there are.
        """
        chosen = SessionFilter.from_arguments(wanted)
        reason = fields.argument("reason", reason, fields.text) if reason != "" else ""
        tokens = await self._policy.revoke(chosen, reason)
        self._events.dropped(tokens, reason or "revoked", chosen)
        return {"tokens": tokens, **_reported(await self._sessions.end(chosen, reason))}

    async def set_mode(self, *, token_hash: str, mode: str) -> dict[str, Any]:
        """Change what the viewers of a token may do: those that are live, at once, and those that reconnect.

        :param mode: ``control`` or ``view``.
        :returns: as :meth:`revoke`, without ``tokens``.
        :raises ServiceUnavailable: an argument is invalid, or it is unknown which proxies there are.
        """
        token_hash = fields.argument("token_hash", token_hash, fields.token_hash)
        mode = fields.argument("mode", mode, fields.one_of(*MODES))
        # The token first: a viewer that reconnects meanwhile must not get more.
        await self._policy.set_mode(token_hash, mode)
        return _reported(await self._sessions.set_mode(SessionFilter(token_hash=token_hash), mode))

    async def report_closed(self, *, sessions: list[dict[str, Any]]) -> dict[str, Any]:
        """Keep sessions of a proxy that have ended, each an ``EndedSession``.

        A proxy can add sessions to the history; it can neither read, change nor remove any.

        :returns: how many were ``kept``.
        """
        return {"kept": await self._history.add(sessions)}

    async def get_history(self, *, limit: int, marker: str = "", **wanted: Any) -> dict[str, Any]:
        """Return ended sessions, newest first.

        :param limit: how many, at most.
        :param marker: the ``next`` of the page before; empty for the first page.
        :param wanted: the fields of a ``HistoryQuery``.
        :returns: ``sessions``, each an ``EndedSession``, and ``next``: the marker of the
            next page, or null.  A page may be empty although another one follows.
        :raises ServiceUnavailable: an argument is invalid; the detail names it.
        """
        if wanted.keys() - set(HistoryQuery.wire_names()):
            raise ServiceUnavailable("a filter of the history has an unknown field")
        if type(limit) is not int or not 0 < limit <= MAX_PAGE:
            raise ServiceUnavailable(f"limit is not a number from 1 to {MAX_PAGE}")
        if marker:
            fields.argument("marker", marker, entry_id)
        rows, following = await self._history.page(read(HistoryQuery, wanted, "the caller"), limit, marker)
        return {"sessions": rows, "next": following}


def _reported(outcome: Outcome) -> dict[str, Any]:
    return {"sessions": outcome.sessions, "unanswered": list(outcome.unanswered)}
