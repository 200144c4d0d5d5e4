"""A keyed store in the memory of one process."""

from __future__ import annotations  # otherwise each call would evaluate the annotations of inner functions

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Any

from twisted.internet.defer import Deferred, execute, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from novnc_twisted.messaging.interfaces import IKeyedStore, UnusableRecord
from novnc_twisted.messaging.memory_groups import MemoryGroups
from novnc_twisted.messaging.memory_log import MemoryLogs
from novnc_twisted.messaging.wire import MAX_MESSAGE, check_key, decode, encode_object, size_of

_SWEEP = 256
"""Maximum number of expired objects that one operation drops, which bounds its time."""


@dataclass(slots=True)
class _Entry:
    """One object, as JSON."""

    text: str
    expires_at: float
    index: str


@implementer(IKeyedStore)
class MemoryStore:
    """An IKeyedStore in memory.

    Each operation on objects first drops some expired objects, beginning with those that expired first.  So expired
    objects do not accumulate, and the store needs no timer.

    :param clock: IReactorTime.
    """

    may_lose_data = False

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        # The Unix time at which ``clock`` stood at 0.  now() adds the seconds of ``clock`` to this time.  The services
        # pass the reactor as ``clock``, and make it monotonic (service/clock.py).  So the result of now() does not jump
        # when somebody sets the wall clock.
        self._started_at = time.time() - clock.seconds()
        self._entries: dict[str, _Entry] = {}
        self._indexes: dict[str, dict[str, None]] = {}
        self._groups = MemoryGroups(clock)
        self._logs = MemoryLogs(clock)
        self._expiries: list[tuple[float, str]] = []  # a heap of times with keys

    def __len__(self) -> int:
        """The number of objects, including expired ones that have not been dropped yet."""
        return len(self._entries)

    def put(self, key: str, value: Mapping[str, Any], ttl: float, index: str = "") -> Deferred[int]:
        """See IKeyedStore.  The returned number includes expired objects that have not been dropped yet."""
        return execute(self._put, key, value, ttl, index)

    def put_new(self, key: str, value: Mapping[str, Any], ttl: float) -> Deferred[bool]:
        """See IKeyedStore."""

        def put_new() -> bool:
            if self._live(check_key(key), self._sweep()) is not None:
                # Raise the errors that _put() would raise, so that an invalid value fails even if the key is in use.
                encode_object(value)
                return False
            self._put(key, value, ttl, "")
            return True

        return execute(put_new)

    def get(self, key: str) -> Deferred[dict[str, Any] | None]:
        """See IKeyedStore."""

        def get() -> dict[str, Any] | None:
            entry = self._live(check_key(key), self._sweep())
            return None if entry is None else decode(entry.text)

        return execute(get)

    def get_many(
        self, keys: Sequence[str], limit: int = MAX_MESSAGE
    ) -> Deferred[list[dict[str, Any] | UnusableRecord | None]]:
        """See IKeyedStore."""

        def get_many() -> list[dict[str, Any] | UnusableRecord | None]:
            now = self._sweep()
            return [read(key, now) if check_key(key) in self._entries else None for key in keys]

        def read(key: str, now: float) -> dict[str, Any] | UnusableRecord | None:
            entry = self._live(key, now)
            if entry is None:
                return None
            if size_of(entry.text) > limit:
                return UnusableRecord(f"an object of more than {limit} bytes")
            found: dict[str, Any] = decode(entry.text)
            return found

        return execute(get_many)

    def now(self) -> Deferred[float]:
        """See IKeyedStore: the time of the wall clock when the store was made, plus the time that passed since then."""
        return succeed(self._started_at + self._clock.seconds())

    def extend(self, key: str, ttl: float) -> Deferred[bool]:
        """See IKeyedStore."""

        def extend() -> bool:
            now = self._sweep()
            entry = self._live(check_key(key), now)
            if entry is None:
                return False
            # The heap keeps the old expiry.  When that time comes, _sweep() puts the new expiry into the heap.
            entry.expires_at = max(entry.expires_at, now + ttl)
            return True

        return execute(extend)

    def remove(self, *keys: str) -> Deferred[int]:
        """See IKeyedStore."""

        def remove() -> int:
            now = self._sweep()
            live = [key for key in dict.fromkeys(map(check_key, keys)) if self._live(key, now) is not None]
            for key in live:
                self._drop(key)
            return len(live)

        return execute(remove)

    def indexed(self, index: str, except_newest: int = 0) -> Deferred[list[str]]:
        """See IKeyedStore."""

        def indexed() -> list[str]:
            now = self._sweep()
            keys: Collection[str] = self._indexes.get(check_key(index), ())
            if self._expiries and self._expiries[0][0] <= now:
                # _sweep() has not dropped all expired objects, because it drops only _SWEEP of them at a time.
                keys = [key for key in keys if self._live(key, now) is not None]
            return list(islice(keys, max(0, len(keys) - except_newest)))

        return execute(indexed)

    def append(self, log: str, values: Sequence[Mapping[str, Any]], ttl: float) -> Deferred[None]:
        """See IKeyedStore."""
        return execute(lambda: self._logs.append(check_key(log), values, ttl))

    def newest(self, log: str, before: str = "", limit: int = 100) -> Deferred[list[tuple[str, dict[str, Any]]]]:
        """See IKeyedStore."""
        return execute(lambda: self._logs.newest(check_key(log), before, limit))

    def join(self, group: str, member: str, ttl: float) -> Deferred[None]:
        """See IKeyedStore."""
        return execute(lambda: self._groups.join(check_key(group), member, ttl))

    def leave(self, group: str, *members: str) -> Deferred[None]:
        """See IKeyedStore."""
        return execute(lambda: self._groups.leave(check_key(group), *members))

    def members(self, group: str, ttl: float) -> Deferred[list[str]]:
        """See IKeyedStore."""
        return execute(lambda: self._groups.members(check_key(group), ttl))

    def _put(self, key: str, value: Mapping[str, Any], ttl: float, index: str) -> int:
        check_key(key)
        if index:
            check_key(index)
        text = encode_object(value)
        now = self._sweep()
        # Drop the former object and its place in its index.  The new object may belong to another index.
        self._drop(key)
        if ttl <= 0:
            return 0
        entry = self._entries[key] = _Entry(text, now + ttl, index)
        heappush(self._expiries, (entry.expires_at, key))
        if len(self._expiries) > 2 * len(self._entries) + 64:
            # Removed objects stay in the heap until their expiry; rebuild the heap before it grows too much.
            self._expiries = [(entry.expires_at, key) for key, entry in self._entries.items()]
            heapify(self._expiries)
        if not index:
            return 0
        members = self._indexes.setdefault(index, {})
        members[key] = None
        return len(members)

    def _live(self, key: str, now: float) -> _Entry | None:
        entry = self._entries.get(key)
        return entry if entry is not None and entry.expires_at > now else None

    def _sweep(self) -> float:
        """Drop expired objects, at most :data:`_SWEEP`; return the time, in the clock's seconds."""
        now = self._clock.seconds()
        for _ in range(_SWEEP):
            if not self._expiries or self._expiries[0][0] > now:
                break
            _, key = heappop(self._expiries)
            entry = self._entries.get(key)
            if entry is None:
                continue
            if entry.expires_at > now:
                # The object was extended or replaced after this time was put into the heap.
                heappush(self._expiries, (entry.expires_at, key))
            else:
                self._drop(key)
        return now

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None and entry.index:
            members = self._indexes[entry.index]
            del members[key]
            if not members:
                del self._indexes[entry.index]
