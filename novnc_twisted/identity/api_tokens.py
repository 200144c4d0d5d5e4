"""API tokens, which users make for their scripts.

A token consists of 256 random bits, and is shown once.  The keyed store contains its SHA-256, but not the token itself.
A request with the token has the current rights of the user who made the token.  If the right of the token is ``read``,
the request may only read (GET and HEAD), for example the lists of servers and sessions.  It cannot read screens.
"""

import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, Literal, Protocol, TypeVar

from twisted.internet.defer import Deferred

from novnc_twisted.contract.record import Record, read, read_or_none
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.events.records import APITokenChanged, Observer
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.identity.api_token_records import (
    CONTROL,
    MAX_NAME,
    MAX_TOKENS,
    APIToken,
    TokenRecord,
    UseRecord,
    digest_of,
    key_of,
    opened,
    sealed,
    slots_of,
    use_of,
)
from novnc_twisted.identity.users import Caller
from novnc_twisted.messaging.interfaces import IKeyedStore

LONGEST: Final = 366 * 24 * 3600.0
"""Maximum number of seconds for which a token is valid."""

NOTED_AGAIN: Final = 60.0
"""Minimum number of seconds between two recorded uses of one token, in one process."""

_FORM: Final = re.compile(r"nvt_[A-Za-z0-9_-]{43}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_MAX_NOTED: Final = 10_000

_R = TypeVar("_R", bound=Record)


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


def api_token_of(request: Request) -> str | None:
    """Return the API token of a request, or None.

    The token is in ``Authorization: Bearer``.  If there is no Authorization field, it is in ``X-Auth-Token``.

    :raises HTTPError: 400: the field that is read came more than once.
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
        digest, now = digest_of(text), self._now()
        seconds = min(seconds, LONGEST)
        shown = TokenRecord(
            hash=digest, name=name, right=right, project=caller.project, made_at=now, expires_at=now + seconds
        )
        slot = await self._take_slot(caller.user, shown, seconds)
        try:
            grant = await self._holders.grant(request, caller, seconds)
        except BaseException:
            with suppress(ServiceUnavailable):  # the error of grant() is raised
                await self._store.remove(slot)
            raise
        record = shown.copy(user=caller.user, grant=sealed(grant, text))
        try:
            await self._store.put(key_of(digest), record.to_wire(), seconds)
            held = await self._store.get(slot)
        except Exception:
            # The user does not get the token, so remove the token and withdraw its grant.  If the removal fails, too,
            # the grant is withdrawn nevertheless, and the first error is raised.
            with suppress(ServiceUnavailable):
                await self._store.remove(key_of(digest), slot)
            await self._withdraw(request, caller.user, grant)
            raise
        if held is None or held.get("hash") != digest:
            # Meanwhile, this token or all tokens of the user were revoked, which emptied the slot.  So drop the token.
            with suppress(ServiceUnavailable):
                await self._store.remove(key_of(digest))
            await self._withdraw(request, caller.user, grant)
            raise HTTPError(
                404, "The new API token was not found: it was revoked while it was being made. Make it again."
            )
        token = shown.describe()
        self._report("made", token, caller.user, request)
        return token, text

    async def list(self, user: str) -> list[APIToken]:
        """Return the tokens of a user that have neither expired nor been revoked, the newest first."""
        found = list(filter(None, await _read_all(self._store, TokenRecord, slots_of(user))))
        uses = await _read_all(self._store, UseRecord, [use_of(one.hash) for one in found])
        tokens = [one.describe(None if use is None else use.at) for one, use in zip(found, uses, strict=True)]
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
        digest = digest_of(text)
        stored = await self._store.get(key_of(digest))
        if stored is None:
            return None
        record = read(TokenRecord, stored, "the store")
        if record.user is None or record.grant is None or record.expires_at <= self._now():
            return None
        person = await self._holders.holder(request, record.user, record.project, opened(record.grant, text))
        if person is None:
            return None
        self._note(request, record)
        return replace(person, reads_only=person.reads_only or record.right != CONTROL, by_api_token=True)

    async def _take_slot(self, user: str, shown: TokenRecord, seconds: float) -> str:
        """Store a token's description in one of the user's :data:`MAX_TOKENS` slots; return the key of the slot.

        :raises HTTPError: 403: no slot is free.
        """
        slots = slots_of(user)
        for slot, taken in zip(slots, await self._store.get_many(slots), strict=True):
            # If several requests try the same slot, put_new() succeeds for only one of them.  The others try the next
            # slot.
            if taken is None and await self._store.put_new(slot, shown.to_wire(), seconds):
                return slot
        message = f"You have {MAX_TOKENS} API tokens, the most that one person may have. Revoke one first."
        raise HTTPError(403, message)

    async def _revoke(self, request: Request, user: str, wanted: Callable[[APIToken], bool]) -> int:
        count = 0
        slots = slots_of(user)
        for slot, value in zip(slots, await self._store.get_many(slots), strict=True):
            found = read_or_none(TokenRecord, value) or await self._behind(value, user)
            if found is None or not wanted(found.describe()):
                continue
            (record,) = await _read_all(self._store, TokenRecord, [key_of(found.hash)])
            await self._store.remove(key_of(found.hash), slot, use_of(found.hash))
            count += 1
            self._report("revoked", found.describe(), user, request)
            if record is not None and record.grant is not None:  # without a readable record, the grant is unknown
                await self._withdraw(request, user, record.grant)
        return count

    async def _behind(self, slot: Any, user: str) -> TokenRecord | None:
        """Return the record of the token whose hash is in a damaged slot; None: this user has no such usable record."""
        digest = slot.get("hash") if isinstance(slot, dict) else None
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            return None
        (record,) = await _read_all(self._store, TokenRecord, [key_of(digest)])
        return record if record is not None and (record.user, record.hash) == (user, digest) else None

    async def _withdraw(self, request: Request, user: str, grant: Mapping[str, str]) -> None:
        """Undo a grant.

        A failure is ignored.  A client can use the grant only with the token's text and the token's record, and one of
        the two is gone: the text was not given out, or the record was removed.
        """
        with suppress(ServiceUnavailable, HTTPError):
            await self._holders.withdraw(request, user, grant)

    def _note(self, request: Request, record: TokenRecord) -> None:
        """Record the use of a token, at most once a minute, without delaying the request."""
        now, digest = self._now(), record.hash
        # If the difference is negative, the wall clock was set back, so record this use.
        if 0 <= now - self._noted.get(digest, -NOTED_AGAIN) < NOTED_AGAIN:
            return
        self._noted[digest] = now
        self._noted.move_to_end(digest)
        while len(self._noted) > _MAX_NOTED:
            self._noted.popitem(last=False)
        self._report("used", record.describe(), record.user or "", request)
        noted: Deferred[Any] = self._store.put(use_of(digest), UseRecord(at=now).to_wire(), record.expires_at - now)
        # If the store does not answer, only the time of this use is lost.  trap() raises any other error again.
        noted.addErrback(lambda failure: failure.trap(ServiceUnavailable) and None)

    def _report(self, change: Literal["made", "used", "revoked"], token: APIToken, user: str, request: Request) -> None:
        self._observer(
            APITokenChanged(
                change=change,
                name=token.name,
                right=token.right,
                expires_at=token.expires_at,
                link_id=token.id,  # in this event, the id of the API token
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


async def _read_all(store: IKeyedStore, kind: type[_R], keys: list[str]) -> list[_R | None]:
    """Return the records under these keys; None for each key without a record, or with a damaged one."""
    return [read_or_none(kind, value) for value in await store.get_many(keys)] if keys else []
