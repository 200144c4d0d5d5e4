"""Log-ins of browsers: a token in a cookie, which no script can read and no other site can use.

The cookie holds a token as API clients send it in ``X-Auth-Token``, so a browser has the rights that the user has at
that moment, and no more.  It is valid in the cookie only: a copy of it ends when the user logs out everywhere.  Changes
need an ``Origin`` that is this server's own (RFC 6454), so that no page of another site can make them.
``SameSite=Lax`` lets a link from a mail arrive logged in.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from novnc_twisted.access.origin import read_origin
from novnc_twisted.http.errors import HTTPError, RefusalReason
from novnc_twisted.http.request import Request
from novnc_twisted.identity.tokens import MAX_LENGTH, TOKEN_TTL, Tokens
from novnc_twisted.identity.users import Caller, User
from novnc_twisted.messaging.interfaces import IKeyedStore

COOKIE: Final = "novnc_login"

RENEWED_AFTER: Final = TOKEN_TTL / 4
"""Seconds after which a page that a person asks for renews the log-in.  A person who asks for none is logged out when
the token expires, even if a page is open."""

_PORTS: Final = {"http": "80", "https": "443"}


def token_of(request: Request) -> str | None:
    """Return the token in the cookie; None without one.  Other cookies are ignored, malformed ones too."""
    found = None
    for field in request.headers.get("cookie", []):
        for pair in field.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == COOKIE and 0 < len(value) <= MAX_LENGTH:
                found = value
    return found


def with_login(request: Request) -> Request:
    """Return the request as an API client would send it, if it comes from a browser that has logged in.

    :raises HTTPError: 403: another site asks for a change.
    """
    token = token_of(request)
    # Browsers also remember passwords, and send them with the requests of other sites.
    if not request.reads and {"authorization", "origin"} <= request.headers.keys():
        refuse_foreign(request)
    if token is None or "x-auth-token" in request.headers or "authorization" in request.headers:
        return request
    if not request.reads:
        refuse_foreign(request)
    return replace(request, headers={**request.headers, "x-auth-token": [token]})


def refuse_foreign(request: Request) -> None:
    """Check that a page of this server asks for a change.

    :raises HTTPError: 403.
    """
    origins = request.headers.get("origin", [])
    if len(origins) != 1 or not is_own(request, origins[0]):
        reason = RefusalReason("ForeignPage")
        raise HTTPError(403, "Only pages of this server may do this.", reason=reason)


def is_own(request: Request, origin: str) -> bool:
    """Whether an Origin is that of the server as the client sees it: scheme, host and port."""
    ours = read_origin(f"{request.scheme}://{request.host}".lower())
    theirs = read_origin(origin.strip().lower())
    if ours is None or theirs is None:
        return False
    return (ours.scheme, ours.host, ours.port or _PORTS.get(ours.scheme)) == (
        theirs.scheme,
        theirs.host,
        theirs.port or _PORTS.get(theirs.scheme),
    )


class BrowserLogins:
    """Makes, renews and ends log-ins.

    :param store: remembers who has logged out everywhere.
    :param now: Unix time in seconds.
    """

    def __init__(self, store: IKeyedStore, tokens: Tokens, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._tokens = tokens
        self._now = now

    async def begin(self, request: Request, user: User, project: str | None) -> tuple[str, str]:
        """Return the header field that logs a browser in.

        :raises ServiceUnavailable: the store does not answer.
        """
        token, _ = await self._tokens.issue(user, project, browser=True)
        return "Set-Cookie", _cookie(request, token, TOKEN_TTL)

    async def read(self, token: str) -> tuple[Caller, float] | None:
        """Return the caller of the token in a cookie, as :meth:`.Tokens.read` does."""
        return await self._tokens.read(token, browser=True)

    async def has_ended(self, request: Request) -> bool:
        """Whether the user of the cookie has logged out everywhere since the log-in.

        :raises ServiceUnavailable: the store does not answer.
        """
        found = await self.read(token_of(request) or "")
        if found is None:
            return False  # it is refused as every token that is not valid
        caller, expires_at = found
        ended = await self._store.get(_key(caller.user))
        return ended is not None and expires_at - TOKEN_TTL <= float(ended["at"])

    async def renewal(self, request: Request, user_of: Callable[[str], User | None]) -> tuple[tuple[str, str], ...]:
        """Return the header fields that renew a log-in, if it is old enough; else none."""
        found = await self.read(token_of(request) or "")
        if found is None or found[1] - self._now() > TOKEN_TTL - RENEWED_AFTER:
            return ()
        # Asked again: the request may have been admitted by other credentials than the cookie.
        if await self.has_ended(request):
            return ()
        user = user_of(found[0].user)
        return () if user is None else (await self.begin(request, user, found[0].project),)

    def end(self, request: Request) -> tuple[str, str]:
        """Return the header field that logs this browser out."""
        return "Set-Cookie", _cookie(request, "", 0)

    async def end_everywhere(self, name: str) -> None:
        """End all log-ins of a user's browsers.  Tokens of API clients stay valid.

        :raises ServiceUnavailable: the store does not answer.
        """
        await self._store.put(_key(name), {"at": self._now()}, float(TOKEN_TTL))


def _key(name: str) -> str:
    # Hashed: a name may have characters that no key may have.
    return f"api:logout:{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _cookie(request: Request, value: str, seconds: float) -> str:
    secure = "; Secure" if request.scheme == "https" else ""
    return f"{COOKIE}={value}; Max-Age={int(seconds)}; Path={request.prefix}/; HttpOnly; SameSite=Lax{secure}"
