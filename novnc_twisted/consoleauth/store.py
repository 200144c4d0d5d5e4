"""Tokens in the keyed store: their records, indexes, leases and claims.

Keys, with the SHA-256 of a token as HASH, and a hash of a client address as ADDRESS:

* ``token:HASH``: the record.  This key is in the index of the token's server.
* ``owned:HASH``, ``project:HASH``, ``shared:HASH``: the token's entries in the indexes of its user, of its project, and
  of the token that it was shared from.
* ``lease:HASH:ADDRESS``: a lease: until when a client address may use the token, even after the token has expired.
* ``used:HASH``: a claim: the client address that used the token, if the token can be used only once.
* ``bound:HASH``: a claim: the only client address that may use the token, with ``bind_address``.
* ``dropped:INDEX``: a mark with the times ``until`` and ``made_until``.  INDEX is the index of a server or a user.  The
  tokens of this index that expire no later than ``until``, and those that were made no later than ``made_until``, were
  dropped, so they must not be restored.
"""

from typing import Annotated

from novnc_twisted.access.tokens import hash_token
from novnc_twisted.contract import fields
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.record import Record, read, record
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.messaging.interfaces import IKeyedStore

LEASE = 60.0
"""Lifetime of a lease in seconds.  Within this time after the last renewal, the viewer may use the token again."""

GRACE = 300.0
"""Seconds for which the record of a token in use is kept after its lease has expired.

So after a short outage of consoleauth, the next call of ``keep_token`` still finds the record.
"""

DROPPED = 3600.0
"""Seconds for which the store records that tokens were dropped.

No consoleauth keeps a token in memory for longer, so none restores a dropped token.
"""

_AT_ONCE = 500
"""Maximum number of records that are read from the store at once."""


@record
class TokenRecord(Record):
    """What a token opens.

    :ivar connect_info: the console, with the address that it had when the token was made.
    :ivar expires_at: Unix time in seconds at which the token expires.
    :ivar client_address: the address of the client that asked for the token; None: unknown.
    :ivar owner: the id or the name of the project that the server must belong to; None: any project.
    :ivar made_at: Unix time in seconds at which the token was made.
    :ivar one_time: whether the token can be used only once; False: the option ``one_time`` decides.
    :ivar sharer_address: for a token that a viewer made from another token (``connect_info.shared_from``): the client
        address of this viewer's session; else None.
    """

    connect_info: Annotated[ConnectInfo, ConnectInfo.from_wire]
    expires_at: Annotated[float, fields.number]
    client_address: Annotated[str | None, fields.short_text] = None
    owner: Annotated[str | None, fields.text] = None
    made_at: Annotated[float, fields.number] = 0.0
    one_time: Annotated[bool, fields.boolean] = False
    sharer_address: Annotated[str | None, fields.short_text] = None

    @property
    def shared_from(self) -> str | None:
        """The hash of the token that this one was shared from; None: it was not shared."""
        return self.connect_info.shared_from


@record
class _Lease(Record):
    """Until when, in Unix time, a client address may use a token."""

    until: Annotated[float, fields.number]


@record
class _Dropped(Record):
    """Which tokens of an index were dropped: see ``dropped:INDEX``."""

    until: Annotated[float, fields.number]
    made_until: Annotated[float, fields.number] = -1.0


class TokenStore:
    """Tokens in an IKeyedStore.  Every method fails with ServiceUnavailable if the store does not answer."""

    def __init__(self, store: IKeyedStore) -> None:
        self._store = store

    async def now(self) -> float:
        """Return the time of the store, by which records expire: Unix time in seconds."""
        return await self._store.now()

    async def check(self) -> None:
        """Check that the store is writable, with an object that expires after a second.

        :raises ServiceUnavailable: the store accepts no data.
        """
        await self._store.put(_token("ready"), {}, 1.0)

    async def put(self, token_hash: str, record: TokenRecord, ttl: float) -> None:
        """Store a record for ``ttl + LEASE`` seconds.

        A session may begin just before the token expires, and its first call of ``keep_token`` still needs the record.
        """
        info = record.connect_info
        uuid, user, project = info.instance_uuid, info.user_id, info.project_id
        # If the token is valid for 0 seconds, do not keep it for LEASE seconds: with 0, the store keeps nothing.
        await self._store.put(_token(token_hash), record.to_wire(), ttl + LEASE if ttl > 0 else 0, _of_instance(uuid))
        if user:
            # An object can be in one index only, so further objects represent the token in the indexes of its user and
            # its project.
            await self._store.put(_owned(token_hash), {}, ttl, _of_user(user))
        if project:
            await self._store.put(_held(token_hash), {}, ttl, _of_project(project))

    async def put_shared(self, token_hash: str, record: TokenRecord, ttl: float, most: int) -> bool:
        """Store the record of a token that was shared from another one, as :meth:`put` does.

        :return: whether the record was stored; False: ``most`` tokens are shared from the same token already.
        """
        shared_from = record.shared_from or ""
        # Store the index entry before the record.  A shared token without this entry would not end at once with its
        # source, the token that it was shared from.
        await self._store.put(_shared(token_hash), {}, ttl, _of_token(shared_from))
        # All callers see the entries in the same order, so simultaneous calls cannot exceed the limit together.
        if token_hash not in (await self.shared_of(shared_from))[:most]:
            await self._store.remove(_shared(token_hash))
            return False
        await self.put(token_hash, record, ttl)
        return True

    async def shared_of(self, token_hash: str) -> list[str]:
        """Return the hashes of the tokens that were shared from a token and have not expired, oldest first.

        They include revoked tokens, and tokens that were dropped because there were too many.
        """
        return [key.removeprefix(_shared("")) for key in await self._store.indexed(_of_token(token_hash))]

    async def get(self, token_hash: str) -> TokenRecord | None:
        """Return the record of a token, which may have expired: see ``expires_at`` and :meth:`leased_until`."""
        value = await self._store.get(_token(token_hash))
        return None if value is None else read(TokenRecord, value, "the store")

    async def hosts_of_instance(self, instance_uuid: str) -> set[str | None]:
        """Return the compute hosts in the records of a server's tokens; None stands for an unknown host."""
        keys = await self._store.indexed(_of_instance(instance_uuid))
        records = [await self.get(key.removeprefix(_token(""))) for key in keys]
        return {record.connect_info.compute_host for record in records if record is not None}

    async def matching(self, wanted: SessionFilter) -> dict[str, TokenRecord]:
        """Return the tokens that match a filter, by their hashes.

        If the filter names a user or a project, expired tokens are left out.  If it names a token, the tokens that were
        shared from this token match as well.
        """
        if wanted.token_hash is not None:
            hashes = [wanted.token_hash, *await self.shared_of(wanted.token_hash)]
        elif wanted.server_id is not None:
            keys = await self._store.indexed(_of_instance(wanted.server_id))
            hashes = [key.removeprefix(_token("")) for key in keys]
        elif wanted.user_id is not None:
            keys = await self._store.indexed(_of_user(wanted.user_id))
            hashes = [key.removeprefix(_owned("")) for key in keys]
        else:
            keys = await self._store.indexed(_of_project(wanted.project_id or ""))
            hashes = [key.removeprefix(_held("")) for key in keys]
        found: dict[str, TokenRecord] = {}
        for at in range(0, len(hashes), _AT_ONCE):
            part = hashes[at : at + _AT_ONCE]
            for token_hash, value in zip(part, await self._store.get_many(list(map(_token, part))), strict=True):
                if isinstance(value, dict):
                    found[token_hash] = read(TokenRecord, value, "the store")
        return {key: record for key, record in found.items() if wanted.owner in (None, record.owner)}

    async def remove_of_instance(
        self, instance_uuid: str, except_newest: int = 0, *, made_until: float | None = None
    ) -> int:
        """Drop the tokens of a server, except a number of the newest; return how many were dropped.

        :param made_until: a Unix time.  All tokens of the server that were made until then are marked as dropped, so
            that tokens that the store has lost are not restored.  None: only tokens in the store are dropped.
        """
        index = _of_instance(instance_uuid)
        if made_until is not None:
            await self._mark_dropped(index, made_until=made_until)
        hashes = [key.removeprefix(_token("")) for key in await self._store.indexed(index, except_newest)]
        dropped = await self._remove(index, hashes)
        if hashes and not except_newest:
            # All tokens of the server were dropped, so remove the shared ones from the indexes of their sources, too.
            # If only the oldest tokens were dropped, their sessions go on, and the indexes are still needed to find the
            # sessions of shared tokens when their source is revoked.
            await self._store.remove(*map(_shared, hashes))
        return dropped

    async def remove_of_user(self, user: str, except_newest: int = 0) -> int:
        """Drop the valid tokens made for a user, except a number of the newest; return how many were dropped."""
        keys = await self._store.indexed(_of_user(user), except_newest)
        return await self._remove(_of_user(user), [key.removeprefix(_owned("")) for key in keys])

    async def _remove(self, index: str, token_hashes: list[str]) -> int:
        """Drop tokens of an index, and write one mark for all of them, so that no consoleauth restores one of them."""
        if not token_hashes:
            return 0
        # Read all records.  The last token in the index need not be the last to expire: a restored token is put at the
        # end.
        records = [await self.get(token_hash) for token_hash in token_hashes]
        # Mark the tokens before they are removed: a consoleauth could restore a token that is removed, but not marked.
        await self._mark_dropped(
            index, until=max((record.expires_at for record in records if record is not None), default=0.0)
        )
        found = await self._store.remove(*map(_token, token_hashes))
        await self._store.remove(*(entry(token_hash) for token_hash in token_hashes for entry in (_owned, _held)))
        return found

    async def _mark_dropped(self, index: str, *, until: float = -1.0, made_until: float = -1.0) -> None:
        """Mark tokens of an index as dropped; earlier marks stay in force.

        Tokens are marked if they expire no later than ``until``, or were made no later than ``made_until``.
        """
        before = await self._dropped(index)
        if before is not None:
            # Keep the later times.  An earlier mark may be for tokens that expire after ``until``, and these tokens
            # must not become restorable.
            until, made_until = max(until, before.until), max(made_until, before.made_until)
        await self._store.put(_dropped(index), _Dropped(until=until, made_until=made_until).to_wire(), DROPPED)

    async def _dropped(self, index: str) -> _Dropped | None:
        value = await self._store.get(_dropped(index))
        return None if value is None else read(_Dropped, value, "the store")

    async def was_dropped(self, record: TokenRecord) -> bool:
        """Return whether a token may have been dropped within the last ``DROPPED`` seconds."""
        info = record.connect_info
        indexes = [_of_instance(info.instance_uuid), *([_of_user(info.user_id)] if info.user_id else [])]
        marks = [await self._dropped(index) for index in indexes]
        return any(
            record.expires_at <= mark.until or record.made_at <= mark.made_until for mark in marks if mark is not None
        )

    async def restore(self, token_hash: str, record: TokenRecord, ttl: float) -> None:
        """Store the record of a token that the store has lost, for ``ttl`` seconds."""
        await self._store.put(
            _token(token_hash), record.to_wire(), ttl, _of_instance(record.connect_info.instance_uuid)
        )

    async def lease(self, token_hash: str, client_address: str, until: float) -> None:
        """Let a client address use a token until a Unix time, at most ``LEASE`` seconds from now.

        Without the record, the lease has no effect: see :meth:`keep`.
        """
        await self._store.put(_lease(token_hash, client_address), _Lease(until=until).to_wire(), LEASE)

    async def keep(self, token_hash: str) -> None:
        """Keep the record of a token in use for at least ``LEASE + GRACE`` seconds from now."""
        await self._store.extend(_token(token_hash), LEASE + GRACE)

    async def leased_until(self, token_hash: str, client_address: str) -> float:
        """Return the Unix time until which a client address may use a token that has expired; 0: it may not."""
        value = await self._store.get(_lease(token_hash, client_address))
        return 0.0 if value is None else read(_Lease, value, "the store").until

    async def claim(self, purpose: str, token_hash: str, client_address: str, ttl: float) -> str:
        """Claim a token for a purpose (``bound``); return the client address that was the first to claim it.

        :param client_address: the address that claims the token now; it is returned if it is the first.
        :param ttl: seconds for which the token is still valid, or more.
        """
        key = f"{purpose}:{token_hash}"
        # The claim outlives the token, so that the token does not become unclaimed while it is valid.
        if await self._store.put_new(key, {"client_address": client_address}, ttl + LEASE + GRACE):
            return client_address
        return await self.claimed(purpose, token_hash) or ""

    async def claim_once(self, purpose: str, token_hash: str, client_address: str, ttl: float) -> bool:
        """Claim a token for a purpose (``used``); return True to exactly one of many callers."""
        key = f"{purpose}:{token_hash}"
        return await self._store.put_new(key, {"client_address": client_address}, ttl + LEASE + GRACE)

    async def claimed(self, purpose: str, token_hash: str) -> str | None:
        """Return the client address that claimed a token for a purpose, or None."""
        value = await self._store.get(f"{purpose}:{token_hash}")
        return None if value is None else str(value.get("client_address"))


def _token(token_hash: str) -> str:
    return f"token:{token_hash}"


def _dropped(index: str) -> str:
    return f"dropped:{index}"


def _owned(token_hash: str) -> str:
    return f"owned:{token_hash}"


def _held(token_hash: str) -> str:
    return f"project:{token_hash}"


def _shared(token_hash: str) -> str:
    return f"shared:{token_hash}"


def _of_token(token_hash: str) -> str:
    return f"shares:{token_hash}"


def _lease(token_hash: str, client_address: str) -> str:
    # Hashed, because an address may contain characters that are not allowed in a key.
    return f"lease:{token_hash}:{hash_token(client_address)}"


def _of_instance(instance_uuid: str) -> str:
    return f"instance:{instance_uuid}"


def _of_user(user: str) -> str:
    # Hashed, because a name may contain characters that are not allowed in a key.
    return f"user:{hash_token(user)}"


def _of_project(project: str) -> str:
    # This is the name of an index, and _held() returns a key.  Names of indexes and keys are separate, although these
    # two have the same prefix.
    return f"project:{hash_token(project)}"
