"""How the API knows who asks: ``noauth`` and ``http_basic``; ``keystone`` comes later."""

from base64 import b64decode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from novnc_twisted.api.caller import Caller, User
from novnc_twisted.api.faults import Fault
from novnc_twisted.api.htpasswd import UserFile
from novnc_twisted.api.passwords import Passwords
from novnc_twisted.api.request import Request, is_loopback

TokenReader = Callable[[str], Awaitable[tuple[Caller, float] | None]]


class IAuth(Protocol):
    """A strategy.

    :cvar tokens: whether a log-in at the small identity makes a token, or none is needed.
    """

    tokens: bool

    def admit(self, request: Request) -> None:
        """Refuse what no one may ask, version documents too: Fault 403."""
        ...

    async def caller(self, request: Request, read_token: TokenReader) -> Caller | None:
        """Who asks, None where the request does not say it rightly."""
        ...

    async def log_in(self, name: str, password: str) -> User | None:
        """The user of a name and a password."""
        ...

    def user(self, name: str) -> User | None:
        """The user of a name."""
        ...


class NoAuth:
    """Everyone on this machine is an admin; pages that a browser here shows are not.

    A page of a foreign site can reach a loopback address, under its own name (DNS rebinding) or as a cross-site
    request: the first has a foreign Host, the second an Origin.
    """

    tokens = False

    def admit(self, request: Request) -> None:
        """Only loopback names, and nothing that carries an Origin.

        :raises Fault: 403.
        """
        if not request.local or len(request.headers.get("host", [])) != 1 or not is_loopback(request.host):
            raise Fault(403, "auth_strategy noauth answers only on localhost. Use localhost, or set up http_basic.")
        if "origin" in request.headers:
            raise Fault(403, "auth_strategy noauth answers no web pages.")

    async def caller(self, request: Request, read_token: TokenReader) -> Caller:
        """An admin, whatever token came (clients send ``notused``)."""
        return Caller("admin", None, admin=True)

    async def log_in(self, name: str, password: str) -> User:
        """Anyone is let in."""
        return User(name, None, "")

    def user(self, name: str) -> User:
        """Anyone is there."""
        return User(name, None, "")


class HTTPBasic:
    """The users of an htpasswd file, by ``Authorization: Basic`` or by a token of the small identity.

    :param reactor: tells the time and has the thread pool.
    :param user_file: ``user:hash`` (an admin) or ``user:hash:project``, bcrypt; read again when it changes.
    :raises ValueError: where the file is not usable, in one line.
    """

    tokens = True

    def __init__(self, reactor: Any, user_file: str | Path) -> None:
        self._file = UserFile(user_file)
        self._passwords = Passwords(reactor)

    def admit(self, request: Request) -> None:
        """Anyone may ask; who it is comes later."""

    async def caller(self, request: Request, read_token: TokenReader) -> Caller | None:
        """By Authorization where that came, and then by it alone; else by X-Auth-Token.

        :raises Fault: 400 for one of them twice, 503 where too many log in.
        """
        authorization, token = request.header("authorization"), request.header("x-auth-token")
        if authorization is not None:
            name, password = _basic(authorization)
            user = None if name is None else await self.log_in(name, password)
            return None if user is None else Caller(user.name, user.project, admin=user.project is None)
        if token is None:
            return None
        found = await read_token(token)
        return None if found is None else found[0]

    async def log_in(self, name: str, password: str) -> User | None:
        """The user of a name and a password."""
        return await self._passwords.check(self._file.users(), name, password)

    def user(self, name: str) -> User | None:
        """The user of a name, as the file says now."""
        return self._file.users().get(name)


def _basic(header: str) -> tuple[str | None, str]:
    """RFC 7617; a header that is none gives no name."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None, ""
    try:
        name, found, password = b64decode(value.strip(), validate=True).decode("utf-8").partition(":")
    except ValueError:
        return None, ""
    return (name, password) if found and name else (None, "")
