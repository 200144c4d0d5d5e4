"""Finds the users of API tokens, and their current rights, with Keystone.

API tokens are tokens of this program, which users make for their scripts (:class:`.APITokens`).  For each API token,
there is an application credential in Keystone, created with the user's own Keystone token.  With the credential, this
module gets a Keystone token, which is validated at each use like the token of an API client.  Keystone deletes the
credential when the user loses a role in the project or is removed.
"""

import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.identity.keystone.log_in import KeystoneLogIn, NewToken
from novnc_twisted.identity.users import Caller

MAX_TOKENS: Final = 1000
"""Maximum number of Keystone tokens in memory, one for each API token in use."""


class KeystoneHolders:
    """See ITokenHolders.

    :param token_of: returns the Keystone token of the person who makes a request, or None.
    :param validated: returns the caller of a request with X-Auth-Token; None: the token is not valid for the request.
    :param now: Unix time in seconds.
    """

    def __init__(
        self,
        keystone: KeystoneLogIn,
        token_of: Callable[[Request], Awaitable[str | None]],
        validated: Callable[[Request], Awaitable[Caller | None]],
        now: Callable[[], float],
    ) -> None:
        self._keystone = keystone
        self._token_of = token_of
        self._validated = validated
        self._now = now
        self._tokens: OrderedDict[str, NewToken] = OrderedDict()

    async def grant(self, request: Request, caller: Caller, seconds: float) -> dict[str, str]:
        """See ITokenHolders.

        :raises HTTPError: see :meth:`.KeystoneLogIn.make_credential`.
        """
        token = await self._token_of(request)
        until = datetime.fromtimestamp(self._now() + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
        # Keystone requires a unique name, which people see in `openstack application credential list`.
        name = f"console API token {secrets.token_hex(8)}"
        return await self._keystone.make_credential(token or "", caller.user, name, until)

    async def holder(self, request: Request, user: str, project: str | None, grant: Mapping[str, str]) -> Caller | None:
        """See ITokenHolders.

        :raises HTTPError: 403: the person has no rights here any more; 429: see :meth:`.KeystoneUsers.caller`; 503:
            Keystone gives no usable answer to the log-in with the credential.
        :raises ServiceUnavailable: Keystone gives no usable answer about the Keystone token.
        """
        id = grant.get("id", "")
        known = self._tokens.get(id)
        if known is not None and known.about.expires_at > self._now():
            caller = await self._caller(request, id, known)
            if caller is not None:
                return caller
        # There is no token in memory, or it is invalid.  Only a valid credential gets a new token.
        token = await self._keystone.log_in_with(id, grant.get("secret", ""))
        return None if token is None else await self._caller(request, id, token)

    async def _caller(self, request: Request, id: str, token: NewToken) -> Caller | None:
        """Return the caller to whom a Keystone token belongs, and remember the token while it is valid."""
        self._remember(id, token)
        headers = {name: value for name, value in request.headers.items() if name != "authorization"}
        caller = await self._validated(replace(request, headers={**headers, "x-auth-token": [token.text]}))
        if caller is None:
            self._tokens.pop(id, None)
        return caller

    async def withdraw(self, request: Request, user: str, grant: Mapping[str, str]) -> None:
        """See ITokenHolders.

        A credential that Keystone does not delete exists until it expires, but nobody can use it.  Its secret was
        stored only in the record of the API token, encrypted with a key that is derived from the API token.  When this
        method is called, the record is gone, or nobody has received the API token.
        """
        self._tokens.pop(grant.get("id", ""), None)
        token = await self._token_of(request)
        if token:
            with suppress(HTTPError):
                await self._keystone.end_credential(token, user, grant.get("id", ""))

    def _remember(self, id: str, token: NewToken) -> None:
        self._tokens[id] = token
        self._tokens.move_to_end(id)
        while len(self._tokens) > MAX_TOKENS:
            self._tokens.popitem(last=False)
