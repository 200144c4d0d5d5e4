"""``/tokens``: the API tokens of the caller."""

from collections.abc import Sequence
from typing import Any, Final

from novnc_twisted.api import schema
from novnc_twisted.api.console.call import ConsoleCall
from novnc_twisted.api.console.session_view import time_text
from novnc_twisted.contract import fields
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import Handler, Resource
from novnc_twisted.identity.api_token_records import CONTROL, MAX_NAME, RIGHTS, APIToken
from novnc_twisted.identity.api_tokens import LONGEST, APITokens

DEFAULT_LIFE: Final = 30 * 24 * 3600.0
"""Seconds for which a token is valid if the request does not set another time."""

UNKNOWN: Final = "There is no such API token."


class Tokens(Resource):
    """Lists, makes and revokes the API tokens of the caller.

    :param tokens: None: there are no API tokens, because the users do not log in (noauth).
    """

    def __init__(self, tokens: APITokens | None) -> None:
        self._tokens = tokens

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """See Resource."""
        return [("GET", "tokens", self._list), ("POST", "tokens", self._make), ("DELETE", "tokens/{}", self._revoke)]

    async def _list(self, call: ConsoleCall) -> Response:
        tokens = await self._need().list(call.caller.user)
        return Response(200, {"tokens": [_row(token) for token in tokens]})

    async def _make(self, call: ConsoleCall) -> Response:
        wanted = schema.properties(
            call.request.json(),
            {"name": fields.text_up_to(MAX_NAME), "right": fields.one_of(*RIGHTS), "expires_in": _seconds},
            ["name"],
        )
        token, text = await self._need().make(
            call.request,
            call.caller,
            name=wanted["name"],
            right=wanted.get("right", CONTROL),
            seconds=wanted.get("expires_in", DEFAULT_LIFE),
        )
        return Response(201, {"token": {**_row(token), "token": text}})

    async def _revoke(self, call: ConsoleCall, token_id: str) -> Response:
        if not await self._need().revoke(call.request, call.caller, token_id):
            raise HTTPError(404, UNKNOWN)
        return Response(204, None)

    def _need(self) -> APITokens:
        if self._tokens is None:
            raise HTTPError(404, "With [api] auth_strategy = noauth, there are no API tokens.")
        return self._tokens


def _row(token: APIToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "right": token.right,
        "project": token.project,
        "made_at": time_text(token.made_at),
        "expires_at": time_text(token.expires_at),
        "used_at": time_text(token.used_at),
    }


def _seconds(value: Any) -> float:
    seconds = fields.number(value)
    if not 60 <= seconds <= LONGEST:
        raise ValueError(f"not a number of seconds from 60 to {LONGEST:.0f}")
    return seconds
