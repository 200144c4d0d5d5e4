"""The methods of consoleauth for sessions: revocations, rights, and the history."""

from collections.abc import Coroutine, Iterable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.consoleauth import arguments
from novnc_twisted.consoleauth.history import MAX_PAGE, History
from novnc_twisted.consoleauth.live_sessions import LiveSessions, Outcome
from novnc_twisted.consoleauth.people import People
from novnc_twisted.consoleauth.policy import TokenPolicy
from novnc_twisted.consoleauth.token_events import TokenEvents
from novnc_twisted.contract import fields
from novnc_twisted.contract.history_query import HistoryQuery
from novnc_twisted.contract.mode import MODES
from novnc_twisted.contract.record import read
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.errors import Refusal, ServiceUnavailable
from novnc_twisted.messaging.fanout import gather
from novnc_twisted.messaging.wire import entry_id


class SessionMethods:
    """A part of what :class:`.manager.ConsoleAuthManager` serves on the bus."""

    def __init__(
        self, policy: TokenPolicy, sessions: LiveSessions, history: History, events: TokenEvents, people: People
    ) -> None:
        self._policy = policy
        self._people = people
        self._sessions = sessions
        self._history = history
        self._events = events

    async def revoke(self, *, reason: str = "", request: str = "", **wanted: Any) -> dict[str, Any]:
        """Revoke tokens, and end the sessions of a server, a user, a project or a token on all proxies.

        The revocation is stored first.  A proxy that does not answer is called again for two minutes.  After that, its
        sessions end when they call ``keep_token``.

        :param reason: why, for the log.
        :param request: a random id, the same in repeated calls: tokens that are made after the first of these calls
            are not revoked (for an exception, see :meth:`.TokenMarks.revoked_until`).  Empty: the call is not repeated.
        :param wanted: the fields of a SessionFilter: exactly one of token_hash, server_id, user_id and project_id.  The
            field ``owner`` is optional, and limits the revocation to the servers of a project.
        :returns: how many valid ``tokens`` were revoked, how many ``sessions`` were ended, and the topics of the
            proxies that did not answer (``unanswered``).  If ``wanted`` names a token, the numbers include the tokens
            that were shared from this token, and their sessions.
        :raises ServiceUnavailable: an argument is invalid, or the list of proxies cannot be read.
        """
        chosen = SessionFilter.from_arguments(wanted)
        reason = fields.argument("reason", reason, fields.text) if reason != "" else ""
        request = fields.argument("request", request, fields.request_id) if request != "" else ""
        tokens, made_until, repeated = await self._policy.revoke(chosen, reason, request)
        self._events.dropped(tokens, reason or "revoked", chosen)
        if chosen.token_hash is None:
            # The sessions of a server, a user or a project include those of guests.
            ending = [replace(chosen, made_until=made_until)]
        else:
            ending = [chosen, *map(_of_token, await self._policy.shared.of(chosen.token_hash))]
        own, *guests = await _side_by_side(self._sessions.end(one, reason, repeated) for one in ending)
        return {"tokens": tokens, **_reported(own.and_of(guests))}

    async def set_mode(self, *, token_hash: str, mode: str) -> dict[str, Any]:
        """Change what the viewers of a token may do: for live sessions at once, and also after a reconnection.

        :param mode: ``control`` or ``view``.
        :returns: how many ``sessions`` with this token were changed, and ``unanswered`` (see :meth:`revoke`).
        :raises ServiceUnavailable: an argument is invalid, or the list of proxies cannot be read.
        """
        token_hash = arguments.token_hash(token_hash)
        mode = fields.argument("mode", mode, fields.one_of(*MODES))
        return _reported(await self.change_mode(token_hash, mode))

    async def change_mode(self, token_hash: str, mode: str, by: str = "") -> Outcome:
        """Change what the viewers of a token, and of the tokens that were shared from it, may do.

        :param by: the SHA-256 of the token from which this token was shared, if the user who shared it makes this
            change; empty: an operator.
        :return: how many sessions of the token itself were changed, and the proxies that did not answer.  These include
            proxies that did not answer about a token that was shared from this one.
        """
        # The token is changed before its sessions: a viewer that reconnects meanwhile must not get its old rights.
        await self._policy.set_mode(token_hash, mode, by)
        # The mode of a shared token may stay limited by the token that it was shared from.
        modes = {token_hash: await self._policy.mode(token_hash) or mode, **await self._policy.shared.modes(token_hash)}
        own, *guests = await _side_by_side(self._sessions.set_mode(one, allowed) for one, allowed in modes.items())
        record = await self._policy.known(token_hash)
        if record is not None:
            # The change may have ended grants.  A grant is control that one session has handed over to another.  Update
            # the pages of this server, because they show who has control.
            self._people.changed(record.connect_info.instance_uuid)
        return replace(own.and_of(guests), sessions=own.sessions)

    async def report_closed(self, *, sessions: list[dict[str, Any]]) -> dict[str, Any]:
        """Add ended sessions of a proxy to the history, each an ``EndedSession``.

        A proxy can add only sessions that consoleauth has admitted, and each of them only once.  It cannot read, change
        or remove the sessions in the history.

        :returns: ``kept``, the number of added sessions.  If ``history_retention`` is 0, no session is added, and
            ``kept`` is the number of sessions that would otherwise be added.
        """
        kept = await self._history.add(sessions)
        await self._people.ended(filter(None, map(_server_and_id, sessions)))
        return {"kept": kept}

    async def get_history(self, *, limit: int, marker: str = "", **wanted: Any) -> dict[str, Any]:
        """Return ended sessions, newest first.

        :param limit: the maximum number of sessions, 1 to 1000.
        :param marker: the ``next`` of the page before; empty for the first page.
        :param wanted: the fields of a ``HistoryQuery``.
        :returns: ``sessions``, each an ``EndedSession``, and ``next``: the marker of the next page, or null.  A page
            may be empty although another one follows.
        :raises ServiceUnavailable: ``wanted`` has an unknown field, or an argument is invalid.
        """
        if unknown := wanted.keys() - set(HistoryQuery.wire_names()):
            raise ServiceUnavailable(f"a filter of the history has an unknown field: {min(unknown)}")
        if type(limit) is not int or not 0 < limit <= MAX_PAGE:
            raise ServiceUnavailable(f"limit is not a number from 1 to {MAX_PAGE}")
        if marker:
            fields.argument("marker", marker, entry_id)
        rows, following = await self._history.page(read(HistoryQuery, wanted, "the caller"), limit, marker)
        return {"sessions": rows, "next": following}


def _server_and_id(ended: Any) -> tuple[str, str] | None:
    """Return the server and the id of an ended session; None if the report is invalid."""
    session = ended.get("session") if isinstance(ended, dict) else None
    try:
        return (fields.uuid(session["server_id"]), fields.short_text(session["id"])) if session else None
    except (KeyError, TypeError, ValueError):
        return None


def _of_token(token_hash: str) -> SessionFilter:
    return SessionFilter(token_hash=token_hash)


async def _side_by_side(changes: Iterable[Coroutine[Any, Any, Outcome]]) -> list[Outcome]:
    """Apply changes of sessions at the same time.  One after the other, they would take longer than the caller waits.

    :raises Refusal: one of them failed.
    """
    outcomes = await gather(map(Deferred.fromCoroutine, changes))
    for outcome in outcomes:
        if isinstance(outcome, Refusal):
            raise outcome
    return [outcome for outcome in outcomes if isinstance(outcome, Outcome)]


def _reported(outcome: Outcome) -> dict[str, Any]:
    return {"sessions": outcome.sessions, "unanswered": list(outcome.unanswered)}
