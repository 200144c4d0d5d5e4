"""Log-ins of browsers for the users of a Keystone: the cookie contains a secret, but no Keystone token.

The tokens of a log-in are in the keyed store under a hash of the cookie, encrypted with a key that is derived from the
cookie.  Neither the store nor the browser alone can use them.  The scoped token is validated at each request, like the
token of an API client.  So the loss of a role in Keystone takes effect as soon as it does for API clients.
"""

import hashlib
import hmac
import json
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, NamedTuple

from cryptography.fernet import Fernet, InvalidToken
from twisted.internet.defer import Deferred

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.identity.browser_login import LogInFields, LogOuts, NoProject, Projects, cookie, secret_of
from novnc_twisted.identity.keystone.log_in import DOWN, NO_ROLE, WRONG, KeystoneLogIn, NewToken
from novnc_twisted.identity.users import Caller
from novnc_twisted.messaging.interfaces import IKeyedStore

IDLE: Final = 3600.0
"""A log-in ends if the person opens no page for this many seconds."""

LONGEST: Final = 24 * 3600.0
"""Maximum lifetime of a log-in in seconds, even if Keystone's tokens live longer."""


class _Session(NamedTuple):
    """The record of a log-in, after decryption.

    :ivar began_at: when the log-in began, by the clock of the store (``IKeyedStore.now``).
    :ivar until: Unix time at which the log-in ends at the latest.
    :ivar unscoped: the token with which a project is chosen.
    :ivar token: the token for the chosen project; empty: no project is chosen yet.
    :ivar project: the id of this project.
    """

    user: str
    began_at: float
    until: float
    unscoped: str
    token: str
    project: str


class KeystoneLogins:
    """See IBrowserLogins.

    :param validated: returns the caller of a request with X-Auth-Token; None: the token is not valid for the request.
    :param now: returns the Unix time in seconds.
    """

    has_projects = True

    def __init__(
        self,
        keystone: KeystoneLogIn,
        store: IKeyedStore,
        validated: Callable[[Request], Awaitable[Caller | None]],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keystone = keystone
        self._store = store
        self._log_outs = LogOuts(store)
        self._validated = validated
        self._now = now

    async def log_in(self, request: Request, given: LogInFields) -> tuple[str, str]:
        """See IBrowserLogins."""
        unscoped = await self._keystone.log_in(given, request.client)
        made = [unscoped.text]
        try:
            projects = await self._keystone.projects(unscoped.text) or ()
            # If several projects match, none is chosen yet, and the person chooses one on the next page.
            wanted = [one for one in projects if not given.project or given.project in one]
            if given.project and not wanted:
                raise HTTPError(401, WRONG)
            token = await self._keystone.scoped(unscoped.text, wanted[0].id) if len(wanted) == 1 else None
            if token is not None:
                made.append(token.text)
            secret = secrets.token_urlsafe(32)
            now = self._now()
            until = min(unscoped.about.expires_at, now + LONGEST)
            await self._put(secret, _session(unscoped, token, await self._store.now(), until))
        except Exception:
            self._revoke_later(*made)
            raise
        return cookie(request, secret, until - now)

    async def caller(self, request: Request, secret: str) -> Caller | None:
        """See IBrowserLogins."""
        session = await self._read(secret)
        if session is None:
            return None
        if not session.token:
            raise NoProject
        try:
            return await self._validated(replace(request, headers={**request.headers, "x-auth-token": [session.token]}))
        except ServiceUnavailable as error:
            raise HTTPError(503, DOWN) from error

    async def token_of(self, request: Request) -> str | None:
        """Return the Keystone token of a request, from its header or else from its log-in.

        :return: None if the request has neither, or if the log-in has ended; empty if no project is chosen yet.
        """
        given = request.header("x-auth-token")
        if given is not None:
            return given.strip()
        session = await self._read(secret_of(request) or "")
        return session.token if session else None

    def has_cookie(self, request: Request) -> bool:
        """See IBrowserLogins."""
        return secret_of(request) is not None

    async def renewal(self, request: Request) -> tuple[tuple[str, str], ...]:
        """See IBrowserLogins.  The cookie expires at the same time as before; only the idle time begins again."""
        secret = secret_of(request) or ""
        session = await self._read(secret)
        if session is not None:
            await self._store.extend(_key(secret), min(IDLE, session.until - self._now()))
        return ()

    async def projects(self, request: Request) -> Projects | None:
        """See IBrowserLogins."""
        session = await self._read(secret_of(request) or "")
        found = await self._keystone.projects(session.unscoped) if session else None
        return None if session is None or found is None else Projects(found, session.project)

    async def choose(self, request: Request, project: str) -> bool:
        """See IBrowserLogins."""
        secret = secret_of(request) or ""
        session = await self._read(secret)
        if session is None:
            return False
        token = await self._keystone.scoped(session.unscoped, project)
        if token is None:
            # Keystone answers 401 if the user has no role in the project, and also if the unscoped token is not valid
            # any more.  So ask whether the token is valid.
            if await self._keystone.projects(session.unscoped) is None:
                return False
            raise HTTPError(403, NO_ROLE)
        # Read again: if another request has chosen a project in the meantime, the token for that project is replaced
        # here, and has to be revoked.
        session = await self._stored(secret) or session
        await self._put(secret, session._replace(token=token.text, project=token.about.project or ""))
        if await self._read(secret) is not None:
            self._revoke_later(session.token)
            return True
        # The log-in has ended in the meantime.  end() may not have known the new token, so revoke the token here.
        await self._end(secret, token.text)
        return False

    async def end(self, request: Request) -> tuple[str, str]:
        """See IBrowserLogins.

        If Keystone answers, this method also revokes the unscoped token and the token for the chosen project.
        """
        secret = secret_of(request) or ""
        session = await self._read(secret)
        if session is not None:
            # The end of the log-in is noted before the record is removed.  If choose() stores the record again
            # afterwards, choose() finds the note, and removes the record.
            await self._log_outs.note_one(_id(secret), LONGEST)
            # Read again, because choose() may have stored a new token just before the end was noted.
            session = await self._stored(secret) or session
            await self._end(secret, session.token, session.unscoped)
        return cookie(request, "", 0)

    async def _end(self, secret: str, *tokens: str) -> None:
        """Remove the record of a log-in, and revoke these tokens."""
        await self._store.remove(_key(secret))
        await self._revoke(*tokens)

    def _revoke_later(self, *tokens: str) -> None:
        """Start to revoke these tokens; the person does not wait until they are revoked."""
        Deferred.fromCoroutine(self._revoke(*tokens))

    async def _revoke(self, *tokens: str) -> None:
        """Revoke these tokens; empty ones are skipped."""
        try:
            for token in filter(None, tokens):
                await self._keystone.revoke(token)
        except HTTPError:
            pass  # Keystone does not answer: the tokens expire later, but no record has them any more

    async def user_of(self, request: Request) -> str | None:
        """See IBrowserLogins."""
        session = await self._read(secret_of(request) or "")
        return session.user if session else None

    async def end_everywhere(self, user: str) -> None:
        """See IBrowserLogins."""
        await self._log_outs.note(user, LONGEST)

    async def _put(self, secret: str, session: _Session) -> None:
        box = Fernet(_seal(secret)).encrypt(json.dumps(session).encode()).decode("ascii")
        await self._store.put(_key(secret), {"box": box}, min(IDLE, session.until - self._now()))

    async def _read(self, secret: str) -> _Session | None:
        """Return the record of a log-in that has not ended."""
        session = await self._stored(secret)
        if session is None or await self._log_outs.has_ended(session.user, session.began_at, _id(secret)):
            return None
        return session

    async def _stored(self, secret: str) -> _Session | None:
        """Return the record of a log-in that has not expired, even if the person has logged out."""
        found = await self._store.get(_key(secret)) if secret else None
        if found is None:
            return None
        try:
            content: Any = json.loads(Fernet(_seal(secret)).decrypt(str(found.get("box"))))
            session = _Session(*content)
        except (InvalidToken, ValueError, TypeError):
            return None
        return session if session.until > self._now() else None


def _session(unscoped: NewToken, token: NewToken | None, began_at: float, until: float) -> _Session:
    text, project = (token.text, token.about.project or "") if token else ("", "")
    return _Session(unscoped.about.user, began_at, until, unscoped.text, text, project)


def _id(secret: str) -> str:
    """Return the id of a log-in: a hash, which does not reveal the cookie."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _key(secret: str) -> str:
    return f"api:session:{_id(secret)}"


def _seal(secret: str) -> bytes:
    """Return the key that encrypts the record of a log-in.  The record's name in the store does not reveal this key."""
    text = secret.encode("utf-8", "surrogatepass")
    return urlsafe_b64encode(hmac.new(text, b"novnc-twisted browser session", hashlib.sha256).digest())
