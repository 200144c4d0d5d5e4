"""The small identity's tokens: sealed, not stored, so that they outlive a restart and any worker reads them.

A token is a Fernet box (as Keystone's) around the user, the scope, and a fingerprint of the user's password hash.  The
box's key lies in the transport's keyed store.  Neither the store nor the user file alone is enough to make one, and
whoever is dropped from the file, or has a new password there, has no token any more.
"""

import hashlib
import hmac
import json
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from novnc_twisted.identity.users import Caller, User
from novnc_twisted.messaging.interfaces import IKeyedStore

TOKEN_TTL = 3600
"""Seconds that a token is valid (Keystone's default)."""

SECRET_TTL = 30 * 24 * 3600.0
"""Seconds for which the key is kept after the last log-in."""

MAX_TOKEN = 4096
_KEY = "api:identity"


class Tokens:
    """Makes and reads them.

    :param user_of: the user of a name as the user file says now, else None.
    :param now: Unix time in seconds; API processes on several hosts read each other's tokens.
    """

    def __init__(
        self, store: IKeyedStore, user_of: Callable[[str], User | None], now: Callable[[], float] = time.time
    ) -> None:
        self._now = now
        self._store = store
        self._user_of = user_of
        self._secret: bytes | None = None

    async def issue(self, user: User, project: str | None) -> tuple[str, float]:
        """A token for a user, scoped to a project or to none; and the Unix time at which it ends.

        :raises ServiceUnavailable: where the store does not answer.
        """
        secret = await self._load(make=True)
        now = int(self._now())
        content = {"u": user.name, "p": project, "f": _fingerprint(secret, user)}
        token = Fernet(secret).encrypt_at_time(json.dumps(content).encode(), now)
        return token.decode("ascii"), float(now + TOKEN_TTL)

    async def read(self, token: str) -> tuple[Caller, float] | None:
        """Whom a token speaks for and until when, or None where it is not valid (any more).

        :raises ServiceUnavailable: where the store must be asked and does not answer.
        """
        if len(token) > MAX_TOKEN or not _is_box(token):
            return None
        found = self._open(token)
        if found is None:
            # Another worker may have made a key since.
            known = self._secret
            if await self._load(make=False) != known:
                found = self._open(token)
        return found

    def _open(self, token: str) -> tuple[Caller, float] | None:
        if self._secret is None:
            return None
        box = Fernet(self._secret)
        try:
            # Without decrypt's own check of the time, which refuses every token that was made over 60 s in the future:
            # that is what all recent tokens look like after the wall clock was set back.
            content: Any = json.loads(box.decrypt(token))
            made = box.extract_timestamp(token)
        except (InvalidToken, ValueError):
            return None
        if made + TOKEN_TTL < int(self._now()):
            return None
        user = self._user_of(content["u"])
        if user is None or not hmac.compare_digest(content["f"], _fingerprint(self._secret, user)):
            return None
        return user.caller(content["p"]), float(made + TOKEN_TTL)

    async def _load(self, *, make: bool) -> Any:
        """The key that all workers share; with ``make`` it is made where there is none, and kept for longer."""
        stored = await self._store.get(_KEY)
        if stored is None and make:
            fresh = self._secret or urlsafe_b64encode(secrets.token_bytes(32))
            if await self._store.put_new(_KEY, {"secret": fresh.decode("ascii")}, SECRET_TTL):
                self._secret = fresh
                return fresh
            stored = await self._store.get(_KEY)
        if stored is None:
            return self._secret
        self._secret = str(stored["secret"]).encode("ascii")
        if make:
            await self._store.extend(_KEY, SECRET_TTL)
        return self._secret


def _is_box(token: str) -> bool:
    """Whether it may be one of ours, in the one way in which we write it: base64's readers forgive much."""
    try:
        return token.startswith("gAAAA") and urlsafe_b64encode(urlsafe_b64decode(token)) == token.encode("ascii")
    except ValueError:
        return False


def _fingerprint(secret: bytes, user: User) -> str:
    """Tie a token to what the user was when it was made: the hash, the project, and whether an administrator."""
    project = "" if user.project is None else f"project {user.project}"
    row = "\x00".join((user.name, user.password_hash, project, "admin" if user.is_admin else ""))
    return hmac.new(secret, row.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
