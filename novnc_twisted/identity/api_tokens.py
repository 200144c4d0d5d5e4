"""API tokens, which users make for their scripts.

A token consists of 256 random bits, and is shown once.  The keyed store contains its SHA-256, but not the token itself.
A request with the token has the current rights of the user who made the token.  If the right of the token is ``read``,
the request may only read (GET and HEAD), for example the lists of servers and sessions.  It cannot read screens.
"""

import hashlib
import hmac
import re
import secrets
import time
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Protocol

from cryptography.fernet import Fernet
from twisted.internet.defer import Deferred

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.events.records import APITokenChanged, Observer
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.identity.users import Caller
from novnc_twisted.messaging.interfaces import IKeyedStore

MAX_TOKENS: Final = 20
"""Maximum number of tokens of one user."""

LONGEST: Final = 366 * 24 * 3600.0
"""Maximum number of seconds for which a token is valid."""

NOTED_AGAIN: Final = 60.0
"""Minimum number of seconds between two recorded uses of one token, in one process."""

MAX_NAME: Final = 100
"""Maximum number of characters of a token's name."""

READ, CONTROL = "read", "control"
RIGHTS: Final = (READ, CONTROL)
"""The rights of a token.  ``read``: read everything that the user may read, except screens.  ``control``: do what the
user may do, except make and revoke API tokens."""

_FORM: Final = re.compile(r"nvt_[A-Za-z0-9_-]{43}")
_MAX_NOTED: Final = 10_000


class ITokenHolders(Protocol):
    """Finds the user of an API token, and the user's current rights.

    Each ``auth_strategy`` except noauth implements this interface in a class of its own.
    """

    async def grant(self, request: Request, caller: Caller, seconds: float) -> dict[str, str]:
        """Return the grant: data that are stored with the new token, and by which :meth:`holder` later finds the user.

        This method may also make something outside of this program, such as an application credential in Keystone.  A
        field ``secret`` of the grant is encrypted before it is stored, with a key that is derived from the token.
        (The grants of consoleauth, with which one session hands control to another, are something else.)

        :param seconds: how long the new token is valid.
        :raises HTTPError: the user cannot have an API token, or a service that is needed to make one does not answer.
        """
        ...

    async def holder(self, request: Request, user: str, project: str | None, grant: Mapping[str, str]) -> Caller | None:
        """Return the user of a token with the user's current rights; None if the token is not valid any more.

        :raises HTTPError: 403: the user has no rights here; 429 or 503: the rights were not checked.
        :raises ServiceUnavailable: the service that checks the rights gives no usable answer.
        """
        ...

    async def withdraw(self, request: Request, user: str, grant: Mapping[str, str]) -> None:
        """Undo what :meth:`grant` did outside of this program, for example delete the application credential."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class APIToken:
    """The description of an API token, without its secret text.  Times are Unix times in seconds.

    :ivar id: identifies the token; it is not secret.
    :ivar right: one of :data:`RIGHTS`.
    :ivar project: the project for which the token is valid; None: no project.
    :ivar used_at: time of the last recorded use, up to a minute before the real last use; None: no use was recorded.
    """

    id: str
    name: str
    right: str
    project: str | None
    made_at: float
    expires_at: float
    used_at: float | None = None


def api_token_of(request: Request) -> str | None:
    """Return the API token of a request, or None.

    The token is in ``Authorization: Bearer``.  If there is no Authorization field, it is in ``X-Auth-Token``.

    :raises HTTPError: 400: this field came more than once.
    """
    authorization = request.header("authorization")
    if authorization is None:
        text = (request.header("x-auth-token") or "").strip()
    else:
        scheme, _, text = authorization.partition(" ")
        text = text.strip() if scheme.lower() == "bearer" else ""
    return text if _FORM.fullmatch(text) else None


class APITokens:
    """Makes, lists, checks and revokes API tokens.  Each method may fail with ServiceUnavailable.

    In the store, each user has :data:`MAX_TOKENS` slots.  A slot contains the description of one token, or is empty.

    :param observer: called with an event for each token that is made, used or revoked.
    :param now: Unix time in seconds.
    """

    def __init__(
        self,
        store: IKeyedStore,
        holders: ITokenHolders,
        observer: Observer,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._holders = holders
        self._observer = observer
        self._now = now
        self._noted: OrderedDict[str, float] = OrderedDict()

    async def make(
        self, request: Request, caller: Caller, *, name: str, right: str, seconds: float
    ) -> tuple[APIToken, str]:
        """Make a token for the caller; return its description and its text.  The text is not stored.

        :param seconds: how long the token is valid.  A time longer than :data:`LONGEST` is reduced to it.
        :raises HTTPError: 400: the name is invalid; 403: the caller uses an API token, or has too many tokens; 404:
            the new token was revoked while it was being made.  Other statuses: see :meth:`ITokenHolders.grant`.
        """
        _need_log_in(caller)
        if not 0 < len(name) <= MAX_NAME or not name.isprintable():
            raise HTTPError(400, f"The name of an API token has 1 to {MAX_NAME} printable characters.")
        text = f"nvt_{secrets.token_urlsafe(32)}"
        digest, now = _digest(text), self._now()
        seconds = min(seconds, LONGEST)
        shown = {
            "hash": digest,
            "name": name,
            "right": right,
            "project": caller.project,
            "made_at": now,
            "expires_at": now + seconds,
        }
        slot = await self._take_slot(caller.user, shown, seconds)
        try:
            grant = await self._holders.grant(request, caller, seconds)
        except BaseException:
            with suppress(ServiceUnavailable):  # the error of grant() is raised
                await self._store.remove(slot)
            raise
        record = {**shown, "user": caller.user, "grant": _sealed(grant, text)}
        try:
            await self._store.put(_key(digest), record, seconds)
            held = await self._store.get(slot)
        except Exception:
            # The user does not get the token, so remove the token and withdraw its grant.  If the removal fails, too,
            # the grant is withdrawn nevertheless, and the first error is raised.
            with suppress(ServiceUnavailable):
                await self._store.remove(_key(digest), slot)
            await self._withdraw(request, caller.user, grant)
            raise
        if held is None or held["hash"] != digest:
            # Meanwhile, this token or all tokens of the user were revoked, which emptied the slot.  So drop the token.
            with suppress(ServiceUnavailable):
                await self._store.remove(_key(digest))
            await self._withdraw(request, caller.user, grant)
            raise HTTPError(
                404, "The new API token was not found: it was revoked while it was being made. Make it again."
            )
        token = _token(shown)
        self._report("made", token, caller.user, request)
        return token, text

    async def list(self, user: str) -> list[APIToken]:
        """Return the tokens of a user that have neither expired nor been revoked, the newest first."""
        # A slot may be empty (None), or may have a record that cannot be read (UnusableRecord).
        found = [one for one in await self._store.get_many(_slots(user)) if isinstance(one, dict)]
        uses = await self._store.get_many([_used(one["hash"]) for one in found]) if found else []
        tokens = [
            replace(_token(one), used_at=float(use["at"]) if isinstance(use, dict) else None)
            for one, use in zip(found, uses, strict=True)
        ]
        return sorted(tokens, key=lambda token: -token.made_at)

    async def revoke(self, request: Request, caller: Caller, token_id: str) -> bool:
        """Revoke one of the caller's tokens; return False if there is no such token.

        :raises HTTPError: 403: the caller uses an API token.
        """
        _need_log_in(caller)
        return await self._revoke(request, caller.user, lambda token: token.id == token_id) > 0

    async def revoke_all(self, request: Request, user: str) -> int:
        """Revoke all tokens of a user; return their number."""
        return await self._revoke(request, user, lambda _: True)

    async def caller(self, request: Request, text: str) -> Caller | None:
        """Return the user of a token as a caller, and record the use; None if the token is not valid.

        The caller has the user's current rights.  With a token whose right is ``read``, the caller may only read.

        :raises HTTPError: see :meth:`ITokenHolders.holder`.
        """
        digest = _digest(text)
        record = await self._store.get(_key(digest))
        if record is None or float(record["expires_at"]) <= self._now():
            return None
        user = str(record["user"])
        person = await self._holders.holder(request, user, record["project"], _opened(record["grant"], text))
        if person is None:
            return None
        self._note(request, user, _token(record), digest)
        return replace(person, reads_only=person.reads_only or record["right"] != CONTROL, by_api_token=True)

    async def _take_slot(self, user: str, shown: Mapping[str, Any], seconds: float) -> str:
        """Store a token's description in one of the user's :data:`MAX_TOKENS` slots; return the key of the slot.

        :raises HTTPError: 403: no slot is free.
        """
        slots = _slots(user)
        for slot, taken in zip(slots, await self._store.get_many(slots), strict=True):
            # If several requests try the same slot, put_new() succeeds for only one of them.  The others try the next
            # slot.
            if taken is None and await self._store.put_new(slot, shown, seconds):
                return slot
        message = f"You have {MAX_TOKENS} API tokens, the most that one person may have. Revoke one first."
        raise HTTPError(403, message)

    async def _revoke(self, request: Request, user: str, wanted: Callable[[APIToken], bool]) -> int:
        count = 0
        slots = _slots(user)
        for slot, found in zip(slots, await self._store.get_many(slots), strict=True):
            if not isinstance(found, dict) or not wanted(_token(found)):
                continue
            (record,) = await self._store.get_many([_key(found["hash"])])
            await self._store.remove(_key(found["hash"]), slot, _used(found["hash"]))
            count += 1
            self._report("revoked", _token(found), user, request)
            if isinstance(record, dict):  # without a readable record, the grant is unknown
                await self._withdraw(request, user, record["grant"])
        return count

    async def _withdraw(self, request: Request, user: str, grant: Mapping[str, str]) -> None:
        """Undo a grant.

        A failure is ignored.  A client can use the grant only with the token's text and the token's record, and one of
        the two is gone: the text was not given out, or the record was removed.
        """
        with suppress(ServiceUnavailable, HTTPError):
            await self._holders.withdraw(request, user, grant)

    def _note(self, request: Request, user: str, token: APIToken, digest: str) -> None:
        """Record the use of a token, at most once a minute, without delaying the request."""
        now = self._now()
        # If the difference is negative, the wall clock was set back, so record this use.
        if 0 <= now - self._noted.get(digest, -NOTED_AGAIN) < NOTED_AGAIN:
            return
        self._noted[digest] = now
        self._noted.move_to_end(digest)
        while len(self._noted) > _MAX_NOTED:
            self._noted.popitem(last=False)
        self._report("used", token, user, request)
        noted: Deferred[Any] = self._store.put(_used(digest), {"at": now}, token.expires_at - now)
        # If the store does not answer, only the time of this use is lost.  trap() raises any other error again.
        noted.addErrback(lambda failure: failure.trap(ServiceUnavailable) and None)

    def _report(self, change: Literal["made", "used", "revoked"], token: APIToken, user: str, request: Request) -> None:
        self._observer(
            APITokenChanged(
                change=change,
                name=token.name,
                right=token.right,
                expires_at=token.expires_at,
                link_id=token.id,  # in this event, not the id of a link but of the API token
                user_id=user,
                project_id=token.project or "",
                address=request.client,
            )
        )


def _need_log_in(caller: Caller) -> None:
    # An attacker with a stolen token must not be able to revoke the user's other tokens, or to make tokens: these would
    # stay valid when the stolen token is revoked.
    if caller.by_api_token:
        raise HTTPError(403, "Log in to make or revoke API tokens. An API token cannot do it.")


def _token(shown: Mapping[str, Any]) -> APIToken:
    return APIToken(
        id=str(shown["hash"])[:16],
        name=str(shown["name"]),
        right=str(shown["right"]),
        project=shown["project"],
        made_at=float(shown["made_at"]),
        expires_at=float(shown["expires_at"]),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _seal(text: str) -> Fernet:
    """Return a Fernet whose key is derived from the text of a token."""
    key = hmac.new(text.encode(), b"novnc-twisted API token", hashlib.sha256).digest()
    return Fernet(urlsafe_b64encode(key))


def _sealed(grant: dict[str, str], text: str) -> dict[str, str]:
    if "secret" not in grant:
        return grant
    return {**grant, "secret": _seal(text).encrypt(grant["secret"].encode()).decode("ascii")}


def _opened(grant: dict[str, str], text: str) -> dict[str, str]:
    if "secret" not in grant:
        return grant
    return {**grant, "secret": _seal(text).decrypt(grant["secret"]).decode()}


def _key(digest: str) -> str:
    return f"api:token:{digest}"


def _used(digest: str) -> str:
    return f"api:token-used:{digest}"


def _slots(user: str) -> list[str]:
    # The user's name is hashed, because it may contain characters that are not allowed in keys.
    return [f"api:tokens:{_digest(user)}:{number}" for number in range(MAX_TOKENS)]
