"""What an authentication strategy is: how the API learns who a request comes from."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from novnc_twisted.http.request import Request
from novnc_twisted.identity.users import Caller, User

TokenReader = Callable[[str], Awaitable[tuple[Caller, float] | None]]
"""Returns the caller of a token and the Unix time at which it expires; None if the token is not valid."""


def own_identity_url(request: Request) -> str:
    """Return the URL of the small identity service of this server, as the client sees it."""
    return f"{request.base_url}/identity"


class IAuth(Protocol):
    """A strategy.

    :cvar own_identity: whether users log in at the small identity service of this server.
    :cvar tokens: whether a log-in there makes a token, or no token is needed.
    """

    own_identity: bool
    tokens: bool

    def admit(self, request: Request) -> None:
        """Refuse requests that nobody may make, those for version documents included.

        :raises HTTPError: 403.
        """
        ...

    def identity_url(self, request: Request) -> str:
        """Return the URL of the identity service where clients log in."""
        ...

    async def caller(self, request: Request, read_token: TokenReader) -> Caller | None:
        """Return who makes the request; None if its credentials are missing or wrong.

        :raises HTTPError: 403: the credentials give no right; 429 or 503: they were not looked at.
        :raises ServiceUnavailable: the service that checks the credentials does not answer.
        """
        ...

    async def log_in(self, name: str, password: str, address: str = "") -> User | None:
        """Return the user of a name and a password; None if they are wrong.

        :param address: the client's address.
        :raises HTTPError: 429 or 503: the password was not looked at.
        """
        ...

    def user(self, name: str) -> User | None:
        """Return the user of a name; None if there is no such user."""
        ...
