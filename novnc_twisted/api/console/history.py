"""``/history``: the sessions that have ended."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from novnc_twisted.api.backends import IConsoleAuthAPI
from novnc_twisted.api.console.call import ConsoleCall, service_unavailable
from novnc_twisted.api.console.session_view import time_text, view
from novnc_twisted.api.console.sessions import limit_of
from novnc_twisted.contract import fields
from novnc_twisted.contract.ended_session import EndedSession
from novnc_twisted.contract.history_query import HistoryQuery
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import Handler, Resource
from novnc_twisted.messaging.wire import entry_id


class History(Resource):
    """Lists the ended sessions that the caller may see.

    These are the sessions on servers of the caller's project; for an administrator, all ended sessions.
    """

    def __init__(self, consoleauth: IConsoleAuthAPI) -> None:
        self._consoleauth = consoleauth

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """See Resource."""
        return [("GET", "history", self._list)]

    async def _list(self, call: ConsoleCall) -> Response:
        wanted = HistoryQuery(
            server_id=call.parameter("server_id", fields.uuid),
            user_id=call.parameter("user_id"),
            project_id=call.parameter("project_id"),
            proxy=call.parameter("proxy", fields.short_text),
            since=call.parameter("since", _time),
            until=call.parameter("until", _time),
            owner=call.owner,
        )
        marker = call.parameter("marker", _marker) or ""
        try:
            found, following = await self._consoleauth.history(wanted, limit=limit_of(call), marker=marker)
        except ServiceUnavailable as cause:
            raise service_unavailable(cause) from cause
        rows = [_view(ended, with_detail=call.caller.is_admin) for ended in found]
        return Response(200, {"sessions": rows, "next": following})


def _view(ended: EndedSession, *, with_detail: bool) -> dict[str, Any]:
    """Return an ended session as a JSON object.

    :param with_detail: whether to show ``detail``, which may contain internal addresses of the cloud.
    """
    row = {**view(ended.session), "ended_at": time_text(ended.ended_at), "cause": ended.cause}
    return {**row, "detail": ended.detail} if with_detail else row


def _marker(value: str) -> str:
    entry_id(value)  # raises ValueError if it is not a marker
    return value


def _time(value: str) -> float:
    """Read a time in ISO 8601; a time without a time zone is taken as UTC."""
    try:
        time = datetime.fromisoformat(value)
        return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ValueError("not a time in ISO 8601") from None
