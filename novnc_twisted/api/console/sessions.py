"""``/sessions``: list, show, end and change sessions that are live or being set up."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from novnc_twisted.api import schema
from novnc_twisted.api.backends import IConsoleAuthAPI
from novnc_twisted.api.console.call import ConsoleCall, service_unavailable, unanswered
from novnc_twisted.api.console.session_view import view
from novnc_twisted.contract import fields
from novnc_twisted.contract.mode import MODES
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.contract.session_info import SessionInfo
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import Handler, Resource
from novnc_twisted.session.rpcapi import SessionsAPI

MAX_LIMIT: Final = 1000
"""Maximum number of rows in one answer, and the default of ``limit``."""

_ID = re.compile(r"[0-9a-f]{32}")


class Sessions(Resource):
    """Lists, shows, ends and changes the sessions that the caller may see: live ones, and those that are being set up.

    These are the sessions on servers of the caller's project; for an administrator, all sessions.
    """

    def __init__(self, sessions: SessionsAPI, consoleauth: IConsoleAuthAPI) -> None:
        self._sessions = sessions
        self._consoleauth = consoleauth

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """See Resource."""
        return [
            ("GET", "sessions", self._list),
            ("GET", "sessions/{}", self._show),
            ("DELETE", "sessions/{}", self._end),
            ("PATCH", "sessions/{}", self._change),
        ]

    async def _list(self, call: ConsoleCall) -> Response:
        wanted = filter_of(call)
        try:
            found, more = await self._sessions.page(
                wanted,
                limit=limit_of(call),
                marker=call.parameter("marker", _session_id) or "",
                proxy=call.parameter("proxy", fields.short_text),
            )
        except ServiceUnavailable as cause:
            raise service_unavailable(cause) from cause
        return Response(200, {"sessions": list(map(view, found)), "next": found[-1].id if more and found else None})

    async def _show(self, call: ConsoleCall, session_id: str) -> Response:
        return Response(200, {"session": view(await self._find(call, session_id))})

    async def _end(self, call: ConsoleCall, session_id: str) -> Response:
        """End a session and revoke its token, so that the viewer cannot connect again.

        This also ends all other sessions with the same token.  If a viewer made tokens for guests from this token, the
        sessions with the guests' tokens end, too.
        """
        reason = call.reason(call.parameter("reason"))
        session = await self._find(call, session_id)
        outcome = await self._consoleauth.revoke(SessionFilter(token_hash=session.token_hash), reason)
        if outcome.unanswered:
            raise unanswered(
                outcome.unanswered,
                "The token is revoked. When these proxies answer again, they end the sessions with this token.",
            )
        return Response(204)

    async def _change(self, call: ConsoleCall, session_id: str) -> Response:
        """Change the mode of a session's token, so that the mode stays changed when the viewer connects again.

        This also changes all other sessions with the same token.  If a viewer made tokens for guests from this token,
        the sessions with the guests' tokens may change, too.
        """
        mode = schema.properties(call.request.json(), {"mode": fields.one_of(*MODES)}, ["mode"])["mode"]
        session = await self._find(call, session_id)
        outcome = await self._consoleauth.set_mode(session.token_hash, mode)
        if outcome.unanswered:
            raise unanswered(
                outcome.unanswered,
                "The mode of the token is changed. When these proxies answer again, they change the sessions with this "
                "token.",
            )
        if not outcome.sessions:
            raise _not_found(session_id)
        return Response(200, {"session": view(replace(session, mode=mode))})

    async def _find(self, call: ConsoleCall, session_id: str) -> SessionInfo:
        """Return a session that the caller may see.

        :raises HTTPError: 403: the caller belongs to no project; 404: there is no such session, or the caller may
            not see it; 503: a proxy that may have the session does not answer.
        """
        if not _ID.fullmatch(session_id):
            raise _not_found(session_id)
        try:
            session = await self._sessions.find(SessionFilter(session_id=session_id, owner=call.owner))
        except ServiceUnavailable as cause:
            raise service_unavailable(cause) from cause
        if session is None:
            raise _not_found(session_id)
        return session


def filter_of(call: ConsoleCall) -> SessionFilter:
    """Return the filter that a request asks for, limited to what the caller may see.

    :raises HTTPError: 400: a parameter has a wrong value; 403: the caller belongs to no project.
    """
    return SessionFilter(
        server_id=call.parameter("server_id", fields.uuid),
        user_id=call.parameter("user_id"),
        project_id=call.parameter("project_id"),
        owner=call.owner,
    )


def limit_of(call: ConsoleCall) -> int:
    """Return how many rows a request asks for, at most :data:`MAX_LIMIT`.

    :raises HTTPError: 400: the limit is not a positive integer.
    """
    limit: int | None = call.parameter("limit", _positive)
    return MAX_LIMIT if limit is None else limit


def _positive(value: str) -> int:
    number = re.fullmatch(r"0*([1-9][0-9]*)", value, re.ASCII)
    if number is None:
        raise ValueError("not a positive number")
    return min(int(number[1][:9]), MAX_LIMIT)  # the first nine digits, because int() refuses very long numbers


def _session_id(value: str) -> str:
    if not _ID.fullmatch(value):
        raise ValueError("not the id of a session")
    return value


def _not_found(session_id: str) -> HTTPError:
    return HTTPError(404, f"Session {session_id[:100]} could not be found.")
