"""The interface of an authentication strategy, which finds the caller of a request to the API."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from novnc_twisted.http.request import Request
from novnc_twisted.identity.api_tokens import ITokenHolders
from novnc_twisted.identity.browser_login import IBrowserLogins
from novnc_twisted.identity.tokens import Tokens
from novnc_twisted.identity.users import Caller, User
from novnc_twisted.messaging.interfaces import IKeyedStore

TokenReader = Callable[[str], Awaitable[tuple[Caller, float] | None]]
"""Returns the caller of an API client's token, and the Unix time at which the token expires; see :meth:`.Tokens.read`.

The result is None if the token is not valid, or is the token of a browser's log-in.
"""


def own_identity_url(request: Request) -> str:
    """Return the URL of this server's own identity service (:class:`.IdentityAPI`), as the client sees it."""
    return f"{request.base_url}/identity"


class IAuth(Protocol):
    """An authentication strategy.

    :cvar own_identity: whether users log in at this server's own identity service (:class:`.IdentityAPI`).
    :cvar tokens: whether the server's own identity service makes a new token for each log-in.  If not, all its log-ins
        get the same text, which is not checked.
    """

    own_identity: bool
    tokens: bool

    def admit(self, request: Request) -> None:
        """Refuse requests that the strategy never answers.

        Called even for requests for version documents, which need no log-in.

        :raises HTTPError: 403.
        """
        ...

    def identity_url(self, request: Request) -> str:
        """Return the URL of the identity service where clients log in."""
        ...

    async def caller(self, request: Request, read_token: TokenReader) -> Caller | None:
        """Return the caller of the request; None if its credentials are missing or wrong.

        :raises HTTPError: 400: a header field with credentials came twice; 403: the credentials give no right; 429 or
            503: the credentials were not checked.
        :raises ServiceUnavailable: the service that checks the credentials does not answer.
        """
        ...

    async def log_in(self, name: str, password: str, address: str = "") -> User | None:
        """Return the user with this name and password; None if the name or the password is wrong.

        :param address: the client's address.
        :raises HTTPError: 429 or 503: the password was not checked.
        """
        ...

    def browser_logins(self, store: IKeyedStore, tokens: Tokens, now: Callable[[], float]) -> IBrowserLogins | None:
        """Return the object that makes and reads the log-ins of browsers; None: browsers cannot log in here."""
        ...

    def token_holders(self, logins: IBrowserLogins | None, now: Callable[[], float]) -> ITokenHolders | None:
        """Return the object that finds the users of API tokens; None: the strategy has no API tokens.

        API tokens are those that users make for their scripts (:class:`.APITokens`).

        :param logins: the result of :meth:`browser_logins`.
        """
        ...

    def user(self, name: str) -> User | None:
        """Return the user with this name; None: no such user.

        Called to check tokens of our identity service and, with a user file, to check API tokens and renew log-ins.
        """
        ...
