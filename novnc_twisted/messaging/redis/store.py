"""The keyed store in Redis."""

from __future__ import annotations  # otherwise each call would evaluate the annotations of inner functions

from collections.abc import Coroutine, Mapping, Sequence
from math import ceil
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from zope.interface import implementer

from novnc_twisted.messaging.interfaces import IKeyedStore, UnusableRecord
from novnc_twisted.messaging.redis import keys as names
from novnc_twisted.messaging.redis.command_link import CommandLink
from novnc_twisted.messaging.redis.scripts import APPEND, EXTEND, INDEXED, PUT, REMOVE
from novnc_twisted.messaging.wire import MAX_MESSAGE, check_key, decode, encode_object, entry_id

T = TypeVar("T")

MAX_ENTRIES = 100_000
"""Maximum number of entries of a log in Redis."""

DEADLINE = 5.0
"""Seconds for one command or script; an operation sends at most two commands or scripts."""


@implementer(IKeyedStore)
class RedisStore:
    """An IKeyedStore whose keys expire by Redis' clock, to the millisecond.

    :param keeps: whether the Redis user of this process has the right to set the expiry of groups (:meth:`join`).
    """

    may_lose_data = True

    def __init__(self, link: CommandLink, keeps: bool = True) -> None:
        self._link = link
        self._keeps = keeps

    def put(self, key: str, value: Mapping[str, Any], ttl: float, index: str = "") -> Deferred[int]:
        """See IKeyedStore."""

        async def put() -> int:
            text = encode_object(value)
            # Redis refuses an expiry of 0.  Remove the object instead, as the store in memory does.
            if ttl <= 0:
                await self._link.run(REMOVE, [names.stored(check_key(key))], deadline=DEADLINE)
                return 0
            keys = [names.stored(check_key(key)), *([names.index(check_key(index))] if index else [])]
            size = await self._link.run(PUT, keys, text, _milliseconds(ttl), key, deadline=DEADLINE)
            return int(size) if index else 0

        return _begun(put())

    def put_new(self, key: str, value: Mapping[str, Any], ttl: float) -> Deferred[bool]:
        """See IKeyedStore."""

        async def put_new() -> bool:
            name, text = names.stored(check_key(key)), encode_object(value)
            if ttl <= 0:
                # The object would expire at once, so do not store it.  Only check whether the key has a live object.
                return (await self._link.execute("GET", name, deadline=DEADLINE)) is None
            # The first line is empty, because the object is in no index (see _object).
            words = ("SET", name, "\n" + text, "PX", _milliseconds(ttl), "NX")
            return bool(await self._link.execute(*words, deadline=DEADLINE) == "OK")

        return _begun(put_new())

    def get(self, key: str) -> Deferred[dict[str, Any] | None]:
        """See IKeyedStore."""

        async def get() -> dict[str, Any] | None:
            found = _object(await self._link.execute("GET", names.stored(check_key(key)), deadline=DEADLINE))
            if isinstance(found, UnusableRecord):
                raise found
            return found

        return _begun(get())

    def get_many(
        self, keys: Sequence[str], limit: int = MAX_MESSAGE
    ) -> Deferred[list[dict[str, Any] | UnusableRecord | None]]:
        """See IKeyedStore."""

        async def get_many() -> list[dict[str, Any] | UnusableRecord | None]:
            found = [names.stored(check_key(key)) for key in keys]
            if not found:
                return []
            return [_object(stored, limit) for stored in await self._link.execute("MGET", *found, deadline=DEADLINE)]

        return _begun(get_many())

    def now(self) -> Deferred[float]:
        """See IKeyedStore; an estimate of Redis' clock (see :meth:`.CommandLink.now`)."""

        async def now() -> float:
            return await self._link.now() / 1000

        return _begun(now())

    def extend(self, key: str, ttl: float) -> Deferred[bool]:
        """See IKeyedStore."""

        async def extend() -> bool:
            words = [names.stored(check_key(key))]
            return bool(await self._link.run(EXTEND, words, _milliseconds(max(ttl, 0.0)), deadline=DEADLINE))

        return _begun(extend())

    def remove(self, *keys: str) -> Deferred[int]:
        """See IKeyedStore."""

        async def remove() -> int:
            found = [names.stored(check_key(key)) for key in dict.fromkeys(keys)]
            return int(await self._link.run(REMOVE, found, deadline=DEADLINE)) if found else 0

        return _begun(remove())

    def indexed(self, index: str, except_newest: int = 0) -> Deferred[list[str]]:
        """See IKeyedStore."""

        async def indexed() -> list[str]:
            found = await self._link.run(INDEXED, [names.index(check_key(index))], except_newest, deadline=DEADLINE)
            return [str(key) for key in found]

        return _begun(indexed())

    def append(self, log: str, values: Sequence[Mapping[str, Any]], ttl: float) -> Deferred[None]:
        """See IKeyedStore."""

        async def append() -> None:
            texts = list(map(encode_object, values))
            name, life = names.log(check_key(log)), _milliseconds(ttl)
            if texts:
                await self._link.run(APPEND, [name], MAX_ENTRIES, life, *texts, deadline=DEADLINE)

        return _begun(append())

    def newest(self, log: str, before: str = "", limit: int = 100) -> Deferred[list[tuple[str, dict[str, Any]]]]:
        """See IKeyedStore.  Expired entries are also returned, until :meth:`append` or the log's expiry drops them."""

        async def newest() -> list[tuple[str, dict[str, Any]]]:
            first, second = entry_id(before) if before else (0, 0)
            latest = f"({first}-{second}" if before else "+"
            words = ("XREVRANGE", names.log(check_key(log)), latest, "-", "COUNT", limit)
            found = await self._link.execute(*words, deadline=DEADLINE)
            return [(str(number), _decoded(text)) for number, (_, text) in found]

        return _begun(newest())

    def join(self, group: str, member: str, ttl: float) -> Deferred[None]:
        """See IKeyedStore.

        A group is a set in Redis.  A compute host has only the right to SADD to this set, so it cannot remove members.
        """

        async def join() -> None:
            name = names.group(check_key(group))
            await self._link.execute("SADD", name, member, deadline=DEADLINE)
            if self._keeps:
                await self._link.execute("PEXPIRE", name, _milliseconds(ttl), deadline=DEADLINE)

        return _begun(join())

    def leave(self, group: str, *members: str) -> Deferred[None]:
        """See IKeyedStore."""

        async def leave() -> None:
            name = names.group(check_key(group))
            if members:
                await self._link.execute("SREM", name, *members, deadline=DEADLINE)

        return _begun(leave())

    def members(self, group: str, ttl: float) -> Deferred[list[str]]:
        """See IKeyedStore."""

        async def members() -> list[str]:
            name = names.group(check_key(group))
            found = await self._link.execute("SMEMBERS", name, deadline=DEADLINE)
            if self._keeps:
                await self._link.execute("PEXPIRE", name, _milliseconds(ttl), deadline=DEADLINE)
            return sorted(str(member) for member in found)

        return _begun(members())


def _decoded(text: Any) -> dict[str, Any]:
    """Return the object in the text of a log's entry; an empty one if the text is not a JSON object."""
    try:
        value = decode(text)
    except (ValueError, TypeError):
        return {}
    return value if isinstance(value, dict) else {}


def _object(stored: Any, limit: int = MAX_MESSAGE) -> dict[str, Any] | UnusableRecord | None:
    """Return the object in a stored text; None if there is no text.

    The first line of the text is the object's position in an index; it is empty if the object is in no index.  If the
    rest is not a JSON object, or is longer than ``limit`` bytes, return UnusableRecord.
    """
    if stored is None:
        return None
    try:
        value = decode(stored.partition("\n")[2], limit)
    except (ValueError, TypeError, AttributeError):
        value = None
    if not isinstance(value, dict):
        return UnusableRecord("the value of a key in Redis is not an object of our store, or is too large")
    return value


def _begun(work: Coroutine[Any, Any, T]) -> Deferred[T]:
    return Deferred.fromCoroutine(work)


def _milliseconds(ttl: float) -> int:
    return ceil(ttl * 1000)
