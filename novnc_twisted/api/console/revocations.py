"""``/revocations``: revoke tokens and end their sessions, by server, user, project or token."""

from collections.abc import Sequence
from typing import Any, Final

from novnc_twisted.access.tokens import MAX_TOKEN, hash_token
from novnc_twisted.api import schema
from novnc_twisted.api.backends import IConsoleAuthAPI
from novnc_twisted.api.console.call import ConsoleCall, service_unavailable, unanswered
from novnc_twisted.contract import fields
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import Handler, Resource

_SELECTORS: Final[dict[str, Any]] = {
    "server_id": fields.uuid,
    "user_id": fields.text,
    "project_id": fields.text,
    "token": fields.text_up_to(MAX_TOKEN),
}


class Revocations(Resource):
    """Revokes tokens.

    The server that a request names need not exist, because tokens must be revocable even after their server was
    deleted.

    A member can revoke only the tokens of servers of the member's own project.
    """

    def __init__(self, consoleauth: IConsoleAuthAPI) -> None:
        self._consoleauth = consoleauth

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """See Resource."""
        return [("POST", "revocations", self._revoke)]

    async def _revoke(self, call: ConsoleCall) -> Response:
        wanted = schema.properties(call.request.json(), {**_SELECTORS, "reason": fields.text})
        reason = call.reason(wanted.pop("reason", None))
        if len(wanted) != 1:
            raise HTTPError(400, f"Exactly one of {', '.join(_SELECTORS)} is required.")
        token = wanted.pop("token", None)
        if token is not None:
            wanted["token_hash"] = hash_token(token)
        try:
            outcome = await self._consoleauth.revoke(SessionFilter(owner=call.owner, **wanted), reason)
        except ServiceUnavailable as cause:
            raise service_unavailable(cause) from cause
        if outcome.unanswered:
            raise unanswered(
                outcome.unanswered,
                "The tokens are revoked. When these proxies answer again, they end the sessions with these tokens.",
            )
        return Response(200, {"sessions": outcome.sessions, "tokens": outcome.tokens})
