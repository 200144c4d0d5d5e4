"""Tokens in the keyed store: records by the hashes of the tokens, their indexes, leases and marks.

Keys: ``token:HASH`` is the record, ``owned:HASH`` and ``project:HASH`` its entries in the indexes of its user and its
project, ``lease:HASH:ADDRESS`` a lease,
``used:HASH`` and ``bound:HASH`` the client address that used the token or is bound to it, ``dropped:INDEX`` says that
tokens of an index were dropped.
"""

from dataclasses import dataclass
from typing import Annotated

from novnc_twisted.access.tokens import hash_token
from novnc_twisted.contract import fields
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.record import Record, read
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.messaging.interfaces import IKeyedStore

LEASE = 60.0
"""Seconds for which a token admits its viewer again after the last renewal by its session."""

GRACE = 300.0
"""Seconds for which a record is kept beyond its lease, so that a session outlives an outage of consoleauth."""

DROPPED = 3600.0
"""Seconds for which the store knows that tokens were dropped.  No consoleauth remembers a token for longer."""

_AT_ONCE = 500
"""Records that are read by one command."""


@dataclass(frozen=True, slots=True)
class TokenRecord(Record):
    """What a token opens.

    :ivar connect_info: the console, with its address when the token was made.
    :ivar expires_at: Unix time in seconds at which the token expires.
    :ivar client_address: the address of the client that asked for the token; None: unknown.
    :ivar owner: the id or the name of the project that the server must belong to; None: any project.
    :ivar made_at: Unix time in seconds at which the token was made.
    :ivar one_time: whether the token opens one console once, whatever the option says.
    """

    connect_info: Annotated[ConnectInfo, ConnectInfo.from_wire]
    expires_at: Annotated[float, fields.number]
    client_address: Annotated[str | None, fields.short_text] = None
    owner: Annotated[str | None, fields.text] = None
    made_at: Annotated[float, fields.number] = 0.0
    one_time: Annotated[bool, fields.boolean] = False


class TokenStore:
    """Tokens in an IKeyedStore.  Every method fails with ServiceUnavailable if the store does not answer."""

    def __init__(self, store: IKeyedStore) -> None:
        self._store = store

    async def now(self) -> float:
        """Return the time of the store, by which records expire: Unix time in seconds."""
        return await self._store.now()

    async def check(self) -> None:
        """Write an object that expires at once: a store that can only be read makes no token.

        :raises ServiceUnavailable: the store does not take data.
        """
        await self._store.put(_token("ready"), {}, 1.0)

    async def put(self, token_hash: str, record: TokenRecord, ttl: float) -> None:
        """Store a record for ``ttl`` seconds, and for a lease more: a session may begin when the token expires."""
        info = record.connect_info
        uuid, user, project = info.instance_uuid, info.user_id, info.project_id
        await self._store.put(_token(token_hash), record.to_wire(), ttl + LEASE if ttl > 0 else 0, _of_instance(uuid))
        if user:
            # An object can be in one index only, so that a second object stands for the token in the index of its user.
            await self._store.put(_owned(token_hash), {}, ttl, _of_user(user))
        if project:
            await self._store.put(_held(token_hash), {}, ttl, _of_project(project))

    async def get(self, token_hash: str) -> TokenRecord | None:
        """Return the record of a token, which may have expired: see ``expires_at`` and :meth:`leased_until`."""
        value = await self._store.get(_token(token_hash))
        return None if value is None else read(TokenRecord, value, "the store")

    async def hosts_of_instance(self, instance_uuid: str) -> set[str | None]:
        """Return the compute hosts for which the tokens of a server were made."""
        keys = await self._store.indexed(_of_instance(instance_uuid))
        records = [await self.get(key.removeprefix(_token(""))) for key in keys]
        return {record.connect_info.compute_host for record in records if record is not None}

    async def matching(self, wanted: SessionFilter) -> dict[str, TokenRecord]:
        """Return the tokens that match a filter by their hashes; those of a user or a project until they expire."""
        if wanted.token_hash is not None:
            hashes = [wanted.token_hash]
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
        self, instance_uuid: str, except_newest: int = 0, *, until: float | None = None
    ) -> int:
        """Drop the tokens of a server, except a number of the newest; return how many were dropped.

        :param until: the Unix time at which the last of them expires, at the latest; None: the records tell it.
        """
        keys = await self._store.indexed(_of_instance(instance_uuid), except_newest)
        return await self._remove(_of_instance(instance_uuid), [key.removeprefix(_token("")) for key in keys], until)

    async def remove_of_user(self, user: str, except_newest: int = 0) -> int:
        """Drop the valid tokens that a user asked for, except a number of the newest; return how many were dropped."""
        keys = await self._store.indexed(_of_user(user), except_newest)
        return await self._remove(_of_user(user), [key.removeprefix(_owned("")) for key in keys])

    async def _remove(self, index: str, token_hashes: list[str], until: float | None = None) -> int:
        """Drop tokens of an index, with one mark for all of them, so that none of them is restored.

        A restored token stands in the index behind newer tokens, so that the last token may not expire last.
        """
        if not token_hashes:
            return 0
        if until is None:
            records = [await self.get(token_hash) for token_hash in token_hashes]
            until = max((record.expires_at for record in records if record is not None), default=0.0)
        # Marked before the tokens are removed: in between, a consoleauth could restore one of them.
        await self._mark_dropped(index, until)
        found = await self._store.remove(*map(_token, token_hashes))
        await self._store.remove(*map(_owned, token_hashes), *map(_held, token_hashes))
        return found

    async def _mark_dropped(self, index: str, until: float) -> None:
        """Mark the tokens of an index that expire until a time as dropped; earlier marks stay."""
        before = await self._store.get(_dropped(index))
        # The later time: dropping an older token afterwards must not make newer dropped ones restorable.
        until = until if before is None else max(until, float(before["until"]))
        await self._store.put(_dropped(index), {"until": until}, DROPPED)

    async def was_dropped(self, record: TokenRecord) -> bool:
        """Whether a token was dropped within the last ``DROPPED`` seconds."""
        info = record.connect_info
        indexes = [_of_instance(info.instance_uuid), *([_of_user(info.user_id)] if info.user_id else [])]
        marks = [await self._store.get(_dropped(index)) for index in indexes]
        return any(mark is not None and record.expires_at <= float(mark["until"]) for mark in marks)

    async def restore(self, token_hash: str, record: TokenRecord, ttl: float) -> None:
        """Store the record of a token that the store has lost, for ``ttl`` seconds."""
        await self._store.put(
            _token(token_hash), record.to_wire(), ttl, _of_instance(record.connect_info.instance_uuid)
        )

    async def lease(self, token_hash: str, client_address: str, until: float) -> None:
        """Let a client address use a token until a Unix time, at most ``LEASE`` seconds from now."""
        await self._store.put(_lease(token_hash, client_address), {"until": until}, LEASE)
        # The record must outlive the lease; else a valid lease would lead to nothing.
        await self._store.extend(_token(token_hash), LEASE + GRACE)

    async def leased_until(self, token_hash: str, client_address: str) -> float:
        """Return the Unix time until which a client address may use a token that has expired; 0: it may not."""
        value = await self._store.get(_lease(token_hash, client_address))
        return float(value["until"]) if value is not None else 0.0

    async def claim(self, purpose: str, token_hash: str, client_address: str, ttl: float) -> str:
        """Return the client address that was the first to claim a token for a purpose (``used``, ``bound``).

        :param client_address: the address that claims it now; it is returned if it is the first.
        """
        key = f"{purpose}:{token_hash}"
        # The mark lives as long as the record can, so that a used token does not become new again.
        if await self._store.put_new(key, {"client_address": client_address}, ttl + LEASE + GRACE):
            return client_address
        return await self.claimed(purpose, token_hash) or ""

    async def claim_once(self, purpose: str, token_hash: str, client_address: str, ttl: float) -> bool:
        """Claim a token for a purpose; return True to exactly one of many callers."""
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


def _lease(token_hash: str, client_address: str) -> str:
    # Hashed: an address may have characters that a key must not have.
    return f"lease:{token_hash}:{hash_token(client_address)}"


def _of_instance(instance_uuid: str) -> str:
    return f"instance:{instance_uuid}"


def _of_user(user: str) -> str:
    # Hashed: a name may have characters that a key must not have.
    return f"user:{hash_token(user)}"


def _of_project(project: str) -> str:
    return f"project:{hash_token(project)}"
