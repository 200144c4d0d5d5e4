"""Log-ins of browsers for the users of the user file: the cookie contains a token.

The token is of the same kind as the tokens that our identity service gives to API clients.  If the user's line in the
file or the user's rights change, the token becomes invalid, and the user has to log in again.  The token of a browser
is accepted only in the cookie.  When the user logs out, all tokens of this log-in become invalid.
"""

import secrets
import time
from collections.abc import Callable
from typing import Final

from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.identity.browser_login import LogInFields, LogOuts, Projects, cookie, secret_of
from novnc_twisted.identity.strategy import IAuth
from novnc_twisted.identity.tokens import TOKEN_TTL, LogIn, Tokens
from novnc_twisted.identity.users import Caller, User
from novnc_twisted.messaging.interfaces import IKeyedStore

RENEWED_AFTER: Final = TOKEN_TTL / 4
"""When the token is at least this many seconds old, the next page that a person opens renews the log-in.

A person who opens no page is logged out when the token expires, even if a page stays open.
"""

KEPT: Final = TOKEN_TTL + 60.0
"""Seconds for which a log-out is remembered.

A renewal that began before the log-out may set a cookie shortly after the log-out.  The log-out must be remembered for
longer than this cookie is valid.
"""


class FileLogins:
    """See IBrowserLogins.

    :param store: remembers the log-outs.
    :param now: Unix time in seconds.
    """

    has_projects = False

    def __init__(self, auth: IAuth, store: IKeyedStore, tokens: Tokens, now: Callable[[], float] = time.time) -> None:
        self._auth = auth
        self._log_outs = LogOuts(store)
        self._tokens = tokens
        self._now = now

    async def log_in(self, request: Request, given: LogInFields) -> tuple[str, str]:
        """See IBrowserLogins."""
        user = await self._auth.log_in(given.user, given.password, request.client)
        project = given.project or (user.project if user else None)
        if user is None or (project is not None and not user.may_scope_to(project)):
            raise HTTPError(401, "The user, the password or the project is wrong.")
        return await self._begin(request, user, project, secrets.token_hex(8))

    async def caller(self, request: Request, secret: str) -> Caller | None:
        """See IBrowserLogins."""
        found = await self._read(secret)
        return None if found is None else found.caller

    def has_cookie(self, request: Request) -> bool:
        """See IBrowserLogins."""
        return secret_of(request) is not None

    async def renewal(self, request: Request) -> tuple[tuple[str, str], ...]:
        """See IBrowserLogins."""
        # The cookie is checked here, because the request may have been admitted by other credentials.
        found = await self._read(secret_of(request) or "")
        if found is None or found.expires_at - self._now() > TOKEN_TTL - RENEWED_AFTER:
            return ()
        user = self._auth.user(found.caller.user)
        if user is None:
            return ()
        # The new token keeps the time of the log-in.  If it had the present time, and the person had logged out
        # everywhere since _read(), the new cookie would be valid, because it would seem to come from a later log-in.
        return (await self._begin(request, user, found.caller.project, found.id, found.began_at),)

    async def projects(self, request: Request) -> Projects | None:
        """See IBrowserLogins.  Users of the user file can name a project only when they log in."""
        return None

    async def choose(self, request: Request, project: str) -> bool:
        """See IBrowserLogins."""
        return False

    async def end(self, request: Request) -> tuple[str, str]:
        """See IBrowserLogins.

        All cookies of the log-in become invalid, also those from before a renewal.
        """
        found = await self._read(secret_of(request) or "")
        if found is not None:
            await self._log_outs.note_one(found.id, KEPT)
        return cookie(request, "", 0)

    async def user_of(self, request: Request) -> str | None:
        """See IBrowserLogins."""
        found = await self._read(secret_of(request) or "")
        return found.caller.user if found else None

    async def end_everywhere(self, user: str) -> None:
        """See IBrowserLogins."""
        await self._log_outs.note(user, KEPT)

    async def _begin(
        self, request: Request, user: User, project: str | None, log_in: str, began_at: float | None = None
    ) -> tuple[str, str]:
        token, _ = await self._tokens.issue(user, project, log_in=log_in, began_at=began_at)
        return cookie(request, token, TOKEN_TTL)

    async def _read(self, secret: str) -> LogIn | None:
        found = await self._tokens.read_log_in(secret)
        if found is None or await self._log_outs.has_ended(found.caller.user, found.began_at, found.id):
            return None
        return found
