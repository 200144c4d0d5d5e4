"""Tokens of this program's own identity service.  They are not stored; each worker reads them with a shared key.

As in Keystone, a token is a Fernet message.  It contains the user, the scope, and a fingerprint.  The fingerprint
depends on the user's row in the user file, and on whether the user is an administrator.  The user's tokens become
invalid when the row changes or is removed, and when the user becomes an administrator or stops being one.

The key is in the keyed store (:class:`.IKeyedStore`), and the row is in the user file.  So an attacker who can read
only one of the two cannot make a token.
"""

import hashlib
import hmac
import json
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from cryptography.fernet import Fernet, InvalidToken

from novnc_twisted.identity.users import Caller, User
from novnc_twisted.messaging.interfaces import IKeyedStore, UnusableRecord

TOKEN_TTL = 3600
"""Seconds that a token is valid (Keystone's default)."""

SECRET_TTL = 30 * 24 * 3600.0
"""Seconds for which the key is kept after the last token was made."""

MAX_LENGTH = 4096
"""Maximum number of characters of a token."""

_KEY = "api:identity"


class LogIn(NamedTuple):
    """The content of a token.

    :ivar expires_at: Unix time.
    :ivar id: the id of a browser's log-in; renewed tokens of this log-in have the same id.  Empty: the token is for an
        API client.
    :ivar began_at: Unix time.  For a browser's log-in, when the person logged in, by the clock of the store.  For an
        API client, when the token was made, by the clock of the machine that made it.
    """

    caller: Caller
    expires_at: float
    id: str
    began_at: float


class Tokens:
    """Makes and reads tokens.

    :param user_of: returns the current user with this name, or None.
    :param now: returns the Unix time in seconds.  It must be a wall clock, because several machines read each other's
        tokens.
    """

    def __init__(
        self, store: IKeyedStore, user_of: Callable[[str], User | None], now: Callable[[], float] = time.time
    ) -> None:
        self._now = now
        self._store = store
        self._user_of = user_of
        self._secret: bytes | None = None

    async def issue(
        self, user: User, project: str | None, *, log_in: str = "", began_at: float | None = None
    ) -> tuple[str, float]:
        """Make a token for a user; return it, and the Unix time at which it expires.

        :param project: the scope of the token; None: no project.
        :param log_in: the id of a browser's log-in, if the token is for a cookie; empty: the token is for an API
            client.
        :param began_at: when this log-in of a browser began, by the store's clock; None: now.
        :raises ServiceUnavailable: the store does not answer.
        """
        secret = await self._load(make=True)
        now = int(self._now())
        # b: the browser's log-in, t: when it began, u: the user, p: the project, f: the fingerprint.  The time of the
        # Fernet message is in whole seconds of this machine's clock.  ``t`` is by the store's clock, because it is
        # compared with the times of log-outs, which are also by the store's clock.
        more: dict[str, Any] = {}
        if log_in:
            more = {"b": log_in, "t": await self._store.now() if began_at is None else began_at}
        content = {"u": user.name, "p": project, "f": _fingerprint(secret, user)} | more
        token = Fernet(secret).encrypt_at_time(json.dumps(content).encode(), now)
        return token.decode("ascii"), float(now + TOKEN_TTL)

    async def read(self, token: str) -> tuple[Caller, float] | None:
        """Return the caller of an API client's token, and the Unix time at which the token expires.

        :return: None if the token is not valid, or is the token of a browser's log-in.
        :raises ServiceUnavailable: the key has to be fetched, and the store does not answer.
        """
        found = await self._read(token)
        return None if found is None or found.id else (found.caller, found.expires_at)

    async def read_log_in(self, token: str) -> LogIn | None:
        """Return the log-in of the browser whose cookie has this token.

        :return: None if the token is not valid, or is for an API client.
        :raises ServiceUnavailable: see :meth:`read`.
        """
        found = await self._read(token)
        return found if found is not None and found.id else None

    async def _read(self, token: str) -> LogIn | None:
        # Checked first, so that a text that cannot be a token causes no request to the store.
        if len(token) > MAX_LENGTH or not _is_box(token):
            return None
        found = self._open(token)
        if found is None:
            # This worker may not have the key yet, or another worker may have made a new one.
            known = self._secret
            if await self._load(make=False) != known:
                found = self._open(token)
        return found

    def _open(self, token: str) -> LogIn | None:
        if self._secret is None:
            return None
        box = Fernet(self._secret)
        try:
            # ``ttl`` is not passed: with ``ttl``, decrypt() would also refuse tokens with a time more than 60 s in the
            # future.  After the wall clock was set back, all recent tokens have such a time.
            content: Any = json.loads(box.decrypt(token))
            made = box.extract_timestamp(token)
        except (InvalidToken, ValueError):
            return None
        log_in, exact = content.get("b", ""), content.get("t", made)
        # Earlier versions wrote True instead of an id.  Such a token is refused: without an id, its log-in could not be
        # ended alone (LogOuts.note_one).
        if made + TOKEN_TTL < int(self._now()) or not isinstance(log_in, str):
            return None
        # Looked up at each use: the token becomes invalid when the user is removed or the password changes.
        user = self._user_of(content["u"])
        # Compared in constant time, since the fingerprint depends on the password's hash.
        if user is None or not hmac.compare_digest(content["f"], _fingerprint(self._secret, user)):
            return None
        return LogIn(user.caller(content["p"]), float(made + TOKEN_TTL), log_in, exact)

    async def _load(self, *, make: bool) -> Any:
        """Return the key that all workers share.

        :param make: whether to store a key if the store has none, and to extend the time for which the key is kept.
        :return: the key.  If the store has no key and ``make`` is false: the key that this worker knows, or None.
        """
        stored = await self._store.get(_KEY)
        if stored is None and make:
            # If the store has lost the key, restore the one that this worker knows, so that tokens stay valid.
            fresh = self._secret or urlsafe_b64encode(secrets.token_bytes(32))
            # If several workers try this together, one succeeds, and the others read its key.
            if await self._store.put_new(_KEY, {"secret": fresh.decode("ascii")}, SECRET_TTL):
                self._secret = fresh
                return fresh
            stored = await self._store.get(_KEY)
        if stored is None:
            return self._secret
        self._secret = _key_in(stored)
        if make:
            await self._store.extend(_KEY, SECRET_TTL)
        return self._secret


def _key_in(stored: Mapping[str, Any]) -> bytes:
    try:
        Fernet(stored["secret"])
    except (KeyError, TypeError, ValueError):
        raise UnusableRecord("the store: the key of the log-in tokens is damaged") from None
    return str(stored["secret"]).encode("ascii")


def _is_box(token: str) -> bool:
    """Return whether a text begins like a token, and is canonical base64 (decoders also accept other spellings).

    A Fernet message begins with the byte 0x80 and a time of 64 bits, whose first bytes are 0: ``gAAAA`` in base64.
    """
    try:
        return token.startswith("gAAAA") and urlsafe_b64encode(urlsafe_b64decode(token)) == token.encode("ascii")
    except ValueError:
        return False


def _fingerprint(secret: bytes, user: User) -> str:
    """Return a digest of the name, the password hash, the project, and whether the user is an administrator."""
    project = "" if user.project is None else f"project {user.project}"
    row = "\x00".join((user.name, user.password_hash, project, "admin" if user.is_admin else ""))
    return hmac.new(secret, row.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
