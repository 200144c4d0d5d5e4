"""The strategy ``http_basic``: the users of an htpasswd file."""

from base64 import b64decode
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater
from twisted.logger import Logger

from novnc_twisted.http.request import Request
from novnc_twisted.identity.errors import locked_out, too_many_log_ins
from novnc_twisted.identity.file_holders import FileHolders
from novnc_twisted.identity.file_logins import FileLogins
from novnc_twisted.identity.htpasswd import UserFile
from novnc_twisted.identity.lockout import Lockout, LockoutSettings
from novnc_twisted.identity.passwords import Passwords, TooManyLogIns
from novnc_twisted.identity.strategy import TokenReader, own_identity_url
from novnc_twisted.identity.tokens import Tokens
from novnc_twisted.identity.users import Caller, User
from novnc_twisted.messaging.interfaces import IKeyedStore


class HTTPBasic:
    """Authenticates users by ``Authorization: Basic``, or by a token of this program's own identity service.

    :param reactor: the clock and the thread pool.
    :param user_file: a file with lines ``user:hash`` or ``user:hash:project`` (bcrypt); read again when it changes.
    :param admin_users: names of the administrators among the users.
    :param lockout: the limits for failed log-ins.
    :raises ValueError: the file is unusable; the text of the error is one line.
    """

    own_identity = True
    tokens = True

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        user_file: str | Path,
        *,
        admin_users: Collection[str] = (),
        lockout: LockoutSettings | None = None,
    ) -> None:
        self._reactor = reactor
        self._lockout = Lockout(LockoutSettings() if lockout is None else lockout, reactor.seconds)
        self._file = UserFile(user_file, admin_users)
        self._passwords = Passwords(reactor)

    def admit(self, request: Request) -> None:
        """See IAuth.  All requests are admitted; the caller is checked later."""

    def identity_url(self, request: Request) -> str:
        """See IAuth."""
        return own_identity_url(request)

    async def caller(self, request: Request, read_token: TokenReader) -> Caller | None:
        """See IAuth.  If the request has an Authorization field, X-Auth-Token is ignored.

        :raises HTTPError: 400: one of the two fields came twice; 429: the user is locked out; 503: too many users log
            in at the same time.
        """
        authorization, token = request.header("authorization"), request.header("x-auth-token")
        if authorization is not None:
            name, password = _basic(authorization)
            user = None if name is None else await self.log_in(name, password, request.client)
            return None if user is None else user.caller(user.project)
        if token is None:
            return None
        found = await read_token(token)
        return None if found is None else found[0]

    async def log_in(self, name: str, password: str, address: str = "") -> User | None:
        """See IAuth.

        While the user is locked out from the address, no password is checked, so even the correct one is refused.

        :raises HTTPError: 429: the user is locked out; 503: too many users log in at the same time.
        """
        # Checked before the delay: a locked-out client gets its answer at once.
        self._refuse_locked_out(name, address)
        delay = self._lockout.delay(name, address)
        if delay:
            await deferLater(self._reactor, delay)
        try:
            return await self._passwords.check(
                self._file.users(),
                name,
                password,
                # Checked again, because other requests may have locked the user out while this one waited.
                begin=lambda: self._refuse_locked_out(name, address),
                done=lambda right: self._count(name, address, right),
            )
        except TooManyLogIns:
            raise too_many_log_ins() from None

    def _refuse_locked_out(self, name: str, address: str) -> None:
        wait = self._lockout.locked_for(name, address)
        if wait:
            raise locked_out(wait)

    def _count(self, name: str, address: str, right: bool) -> None:
        if right:
            self._lockout.succeeded(name, address)
            return
        wait = self._lockout.failed(name, address)
        if wait:
            # An unknown name is not logged: it may be a password that was typed into the wrong field.
            self._log.warn(
                "failed log-ins: {user} is locked out from {address} for {wait:.0f} s",
                user=f"user {name}" if name in self._file.users() else "an unknown user",
                address=address or "unix socket",
                wait=wait,
            )

    def browser_logins(self, store: IKeyedStore, tokens: Tokens, now: Callable[[], float]) -> FileLogins:
        """See IAuth."""
        return FileLogins(self, store, tokens, now)

    def token_holders(self, logins: object, now: Callable[[], float]) -> FileHolders:
        """See IAuth."""
        return FileHolders(self.user)

    def user(self, name: str) -> User | None:
        """See IAuth.  Reads the file again if it has changed."""
        return self._file.users().get(name)


def _basic(header: str) -> tuple[str | None, str]:
    """Return name and password of an Authorization field; the name is None without a valid Basic field (RFC 7617)."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None, ""
    try:
        name, found, password = b64decode(value.strip(), validate=True).decode("utf-8").partition(":")
    except ValueError:
        return None, ""
    return (name, password) if found and name else (None, "")
