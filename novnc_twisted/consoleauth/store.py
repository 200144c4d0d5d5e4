"""Token records over the keyed store: tokens by their hash, each server's tokens in an index, leases beside them."""

from dataclasses import dataclass
from typing import Annotated

from novnc_twisted.access.tokens import hash_token
from novnc_twisted.contract import fields
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.record import Record, read
from novnc_twisted.messaging.interfaces import IKeyedStore

LEASE = 60.0
"""Seconds for which a token admits its viewer again after the last sign of its session."""

GRACE = 300.0
"""Seconds for which the record of a live session is kept beyond its lease, where consoleauth or the store was away."""

DROPPED = 3600.0
"""Seconds for which the store knows that tokens were removed: no consoleauth remembers one for longer."""


@dataclass(frozen=True, slots=True)
class TokenRecord(Record):
    """What a token opens.

    :ivar connect_info: where the console was when the token was made.
    :ivar expires_at: Unix time in seconds; valid before it.
    :ivar client_address: who asked for it, or None.
    :ivar owner: the project that the server must belong to, its id or its name; None: to any.
    """

    connect_info: Annotated[ConnectInfo, ConnectInfo.from_wire]
    expires_at: Annotated[float, fields.number]
    client_address: Annotated[str | None, fields.short_text] = None
    owner: Annotated[str | None, fields.text] = None


class TokenStore:
    """Tokens in an IKeyedStore; every method fails with ServiceUnavailable where that does not answer."""

    def __init__(self, store: IKeyedStore) -> None:
        self._store = store

    async def now(self) -> float:
        """The store's time, by which records expire: Unix time in seconds."""
        return await self._store.now()

    async def put(self, token_hash: str, record: TokenRecord, ttl: float) -> None:
        """Keep a record; ``ttl`` seconds, and a little longer for a session that begins at the end of them."""
        uuid, user = record.connect_info.instance_uuid, record.connect_info.user_id
        await self._store.put(_token(token_hash), record.to_wire(), ttl + LEASE if ttl > 0 else 0, _index(uuid))
        if user:
            # An object has one index only: in its user's the token has a mark, which lives as long as it is valid.
            await self._store.put(_owned(token_hash), {}, ttl, _index_of_user(user))

    async def get(self, token_hash: str) -> TokenRecord | None:
        """The record, which may have expired: see its ``expires_at`` and :meth:`leased_until`."""
        value = await self._store.get(_token(token_hash))
        return None if value is None else read(TokenRecord, value, "the store")

    async def hosts_of_instance(self, instance_uuid: str) -> set[str | None]:
        """The compute hosts for which a server's tokens were made."""
        keys = await self._store.indexed(_index(instance_uuid))
        records = [await self.get(key.removeprefix(_token(""))) for key in keys]
        return {record.connect_info.compute_host for record in records if record is not None}

    async def remove_of_instance(
        self, instance_uuid: str, except_newest: int = 0, *, until: float | None = None
    ) -> int:
        """Forget a server's tokens, but for so many of the newest; how many there were.

        :param until: when the last of them expires at the latest, where the caller knows it (Unix time).
        """
        keys = await self._store.indexed(_index(instance_uuid), except_newest)
        return await self._remove(_index(instance_uuid), [key.removeprefix(_token("")) for key in keys], until)

    async def remove_of_user(self, user: str, except_newest: int = 0) -> int:
        """Forget the valid tokens that a user asked for, but for so many of the newest; how many there were."""
        keys = await self._store.indexed(_index_of_user(user), except_newest)
        return await self._remove(_index_of_user(user), [key.removeprefix(_owned("")) for key in keys])

    async def _remove(self, index: str, token_hashes: list[str], until: float | None = None) -> int:
        """Forget the oldest tokens of an index, and that they were dropped on purpose: one mark for all of them.

        A token that was restored stands in the index behind newer ones, so the last one may not be the newest.
        """
        if not token_hashes:
            return 0
        if until is None:
            records = [await self.get(token_hash) for token_hash in token_hashes]
            until = max((record.expires_at for record in records if record is not None), default=0.0)
        await self._mark_dropped(index, until)
        found = await self._store.remove(*map(_token, token_hashes))
        await self._store.remove(*map(_owned, token_hashes))
        return found

    async def _mark_dropped(self, index: str, until: float) -> None:
        """Remember that the tokens of an index were dropped that expire until then, and those that were before."""
        before = await self._store.get(_dropped(index))
        until = until if before is None else max(until, float(before["until"]))
        await self._store.put(_dropped(index), {"until": until}, DROPPED)

    async def was_dropped(self, record: TokenRecord) -> bool:
        """Whether a token was removed on purpose within the last DROPPED seconds."""
        info = record.connect_info
        indexes = [_index(info.instance_uuid), *([_index_of_user(info.user_id)] if info.user_id else [])]
        marks = [await self._store.get(_dropped(index)) for index in indexes]
        return any(mark is not None and record.expires_at <= float(mark["until"]) for mark in marks)

    async def restore(self, token_hash: str, record: TokenRecord, ttl: float) -> None:
        """Put back the record of a token that the store has lost, for so many seconds."""
        await self._store.put(_token(token_hash), record.to_wire(), ttl, _index(record.connect_info.instance_uuid))

    async def lease(self, token_hash: str, client_address: str, until: float) -> None:
        """Let this address use the token until then (Unix time), at most LEASE from now."""
        await self._store.put(_lease(token_hash, client_address), {"until": until}, LEASE)
        await self._store.extend(_token(token_hash), LEASE + GRACE)

    async def leased_until(self, token_hash: str, client_address: str) -> float:
        """Until when this address may use the token beyond its time; 0: it may not."""
        value = await self._store.get(_lease(token_hash, client_address))
        return float(value["until"]) if value is not None else 0.0

    async def claim(self, purpose: str, token_hash: str, client_address: str, ttl: float) -> str:
        """The address that was the first to claim a token for a purpose (``used``, ``bound``), by a mark of its own.

        :param client_address: who claims it now; where that is the first, it is the answer.
        """
        key = f"{purpose}:{token_hash}"
        # The mark lives as long as the record can: a used token must not become new again.
        if await self._store.put_new(key, {"client_address": client_address}, ttl + LEASE + GRACE):
            return client_address
        return await self.claimed(purpose, token_hash) or ""

    async def claim_once(self, purpose: str, token_hash: str, client_address: str, ttl: float) -> bool:
        """True for exactly one of many callers."""
        key = f"{purpose}:{token_hash}"
        return await self._store.put_new(key, {"client_address": client_address}, ttl + LEASE + GRACE)

    async def claimed(self, purpose: str, token_hash: str) -> str | None:
        """The address that claimed it, or None."""
        value = await self._store.get(f"{purpose}:{token_hash}")
        return None if value is None else str(value.get("client_address"))


def _token(token_hash: str) -> str:
    return f"token:{token_hash}"


def _dropped(index: str) -> str:
    return f"dropped:{index}"


def _owned(token_hash: str) -> str:
    return f"owned:{token_hash}"


def _lease(token_hash: str, client_address: str) -> str:
    # Whatever an address is made of, a key can hold this.
    return f"lease:{token_hash}:{hash_token(client_address)}"


def _index(instance_uuid: str) -> str:
    return f"instance:{instance_uuid}"


def _index_of_user(user: str) -> str:
    # Whatever a name is made of, a key can hold this.
    return f"user:{hash_token(user)}"
