"""What an authentication strategy is: how the API learns who a request comes from."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from novnc_twisted.http.request import Request
from novnc_twisted.identity.users import Caller, User

TokenReader = Callable[[str], Awaitable[tuple[Caller, float] | None]]
"""Returns the caller of a token and the Unix time at which it expires; None if the token is not valid."""


class IAuth(Protocol):
    """A strategy.

    :cvar tokens: whether a log-in at the identity service makes a token, or no token is needed.
    """

    tokens: bool

    def admit(self, request: Request) -> None:
        """Refuse requests that nobody may make, those for version documents included.

        :raises HTTPError: 403.
        """
        ...

    async def caller(self, request: Request, read_token: TokenReader) -> Caller | None:
        """Return who makes the request; None if its credentials are missing or wrong.

        :raises HTTPError: 429 or 503: the credentials were not looked at.
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
