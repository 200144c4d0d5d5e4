"""The groups of a keyed store in the memory of one process."""

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

from twisted.internet.interfaces import IReactorTime

_SWEEP: Final = 256
"""Maximum number of expired groups that one operation drops, so that no operation takes long."""


@dataclass(slots=True)
class _Group:
    members: set[str]
    expires_at: float


class MemoryGroups:
    """Groups: sets of texts.  A group expires some time after the last :meth:`join` or :meth:`members`.

    No timer is needed: each operation first drops some expired groups.

    :param clock: IReactorTime.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._groups: dict[str, _Group] = {}
        # A heap with one pair (expiry, group) for each group.  If the expiry of a group changes, the pair keeps the old
        # expiry.  When the old expiry comes, _sweep() replaces the pair by one with the new expiry.
        self._expiries: list[tuple[float, str]] = []

    def __len__(self) -> int:
        """The number of groups, including expired ones that have not been dropped yet."""
        return len(self._groups)

    def join(self, group: str, member: str, ttl: float) -> None:
        """See IKeyedStore."""
        now = self._sweep()
        found = self._groups.get(group)
        if found is None:
            found = self._groups[group] = _Group(set(), now + ttl)
            heappush(self._expiries, (found.expires_at, group))
        elif found.expires_at <= now:
            found.members.clear()
        found.members.add(member)
        found.expires_at = now + ttl

    def leave(self, group: str, *members: str) -> None:
        """See IKeyedStore."""
        self._sweep()
        found = self._groups.get(group)
        if found is not None:
            found.members.difference_update(members)

    def members(self, group: str, ttl: float) -> list[str]:
        """See IKeyedStore."""
        now = self._sweep()
        found = self._groups.get(group)
        if found is None or found.expires_at <= now or not found.members:
            return []
        found.expires_at = now + ttl
        return sorted(found.members)

    def _sweep(self) -> float:
        """Drop expired groups, at most :data:`_SWEEP`; return the time, in the clock's seconds."""
        now = self._clock.seconds()
        for _ in range(_SWEEP):
            if not self._expiries or self._expiries[0][0] > now:
                break
            _, group = heappop(self._expiries)
            expires_at = self._groups[group].expires_at
            if expires_at > now:
                heappush(self._expiries, (expires_at, group))
            else:
                del self._groups[group]
        return now
