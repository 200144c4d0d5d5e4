"""The part of Keystone's Identity v3 API with which unmodified clients log in, at ``/identity``."""

import time
from collections.abc import Callable
from typing import Final

from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import NOT_FOUND
from novnc_twisted.identity.documents import token_document, version_document
from novnc_twisted.identity.errors import unauthenticated
from novnc_twisted.identity.log_in_request import LogInRequest, ScopeRefused
from novnc_twisted.identity.strategy import IAuth
from novnc_twisted.identity.tokens import TOKEN_TTL, Tokens
from novnc_twisted.identity.users import Caller

PATHS: Final = ("identity", "identity/v3", "identity/v3/auth/tokens")
"""The paths of this API, without the first slash."""

_NO_TOKEN: Final = "notused"  # noqa: S105 - what keystoneauth's plug-in "none" sends; strategy noauth reads no token


class IdentityAPI:
    """Responds with version documents, and with tokens for the users of an authentication strategy.

    :param auth: the authentication strategy.
    :param now: returns the Unix time in seconds.
    """

    def __init__(self, auth: IAuth, tokens: Tokens, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._auth = auth
        self._tokens = tokens

    async def handle(self, request: Request, segments: tuple[str, ...]) -> Response:
        """Answer a request.

        :param segments: the path segments after ``identity``.
        :raises HTTPError: the request is refused.  The API application sends the error in Keystone's format.
        """
        if segments in ((), ("v3",)):
            if not request.reads:
                raise HTTPError(405, "The method is not allowed.", (("Allow", "GET, HEAD"),))
            version = version_document(request.base_url)
            if segments:
                return Response(200, {"version": version})
            # 300 Multiple Choices, as in Keystone.
            return Response(300, {"versions": {"values": [version]}})
        if segments == ("v3", "auth", "tokens"):
            if request.method == "POST":
                return await self._log_in(request)
            if request.reads:
                return await self._show(request)
            raise HTTPError(405, "The method is not allowed.", (("Allow", "GET, HEAD, POST"),))
        raise HTTPError(404, NOT_FOUND)

    async def _log_in(self, request: Request) -> Response:
        wanted = LogInRequest.read(request.json())
        user = None if wanted is None else await self._auth.log_in(wanted.name, wanted.password, request.client)
        if wanted is None or user is None:
            raise unauthenticated(self._auth.identity_url(request))
        try:
            project = wanted.project_for(user)
        except ScopeRefused:
            raise unauthenticated(self._auth.identity_url(request)) from None
        if self._auth.tokens:
            token, expires_at = await self._tokens.issue(user, project)
        else:
            token, expires_at = _NO_TOKEN, self._now() + TOKEN_TTL
        return self._response(201, request, user.caller(project), token, expires_at)

    async def _show(self, request: Request) -> Response:
        """Describe a token.  Clients ask about their own token to learn its scope."""
        caller = await self._auth.caller(request, self._tokens.read)
        subject = request.header("x-subject-token")
        if caller is None or subject is None:
            raise unauthenticated(self._auth.identity_url(request))
        expires_at = self._now() + TOKEN_TTL
        if self._auth.tokens:
            found = await self._tokens.read(subject)
            # Also 404 for the token of another user: only administrators may learn that this token is valid.
            if found is None or (found[0].user != caller.user and not caller.is_admin):
                raise HTTPError(404, "Could not find token.")
            caller, expires_at = found
        return self._response(200, request, caller, subject, expires_at)

    def _response(self, status: int, request: Request, caller: Caller, token: str, expires_at: float) -> Response:
        body = token_document(request.base_url, caller, issued_at=self._now(), expires_at=expires_at)
        return Response(status, body, (("X-Subject-Token", token), ("Vary", "X-Auth-Token")))
