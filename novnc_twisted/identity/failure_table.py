"""A bounded table that counts failures per key, and locks keys for longer and longer times."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

# 2.0 ** n overflows beyond n = 1023, and a failure count has no limit.
_MAX_DOUBLINGS: Final = 40


@dataclass(slots=True)
class FailureEntry:
    """The failures of one key; times are in seconds of the table's clock."""

    count: int
    locked_until: float
    forgotten_at: float


class FailureTable:
    """Counts the failures of each key, and locks a key after too many.

    :param clock: returns the time in seconds.
    :param first: seconds of the first lock-out; each further failure doubles this time.
    :param longest: maximum seconds of a lock-out.  The failures of a key are also remembered for this many seconds
        after the last failure, or after the lock-out that the last failure caused.
    :param max_entries: maximum number of entries; a further one replaces the entry whose last failure is oldest.
    """

    def __init__(self, clock: Callable[[], float], *, first: float, longest: float, max_entries: int) -> None:
        self._clock = clock
        self._first, self._longest, self._max = first, longest, max_entries
        self._entries: OrderedDict[bytes, FailureEntry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> FailureEntry | None:
        """Return the failures of a key; None if the key has no failures, or if they were forgotten."""
        entry = self._entries.get(key)
        if entry is not None and entry.forgotten_at <= self._clock():
            del self._entries[key]
            return None
        return entry

    def count(self, key: bytes, locks_at: int) -> None:
        """Count a failure of a key.

        :param locks_at: the number of the first failure that locks the key; 0: no failure locks it.
        """
        now = self._clock()
        entry = self.get(key)
        if entry is None:
            entry = self._entries[key] = FailureEntry(0, now, now)
        entry.count += 1
        if locks_at and entry.count >= locks_at:
            entry.locked_until = now + min(self._longest, doubled(self._first, entry.count - locks_at))
        entry.forgotten_at = max(now, entry.locked_until) + self._longest
        # Entries are in the order of their last failures: an attacker who fills the table replaces the oldest first.
        self._entries.move_to_end(key)
        while len(self._entries) > self._max:
            self._entries.popitem(last=False)

    def take_back(self, key: bytes, count: int) -> None:
        """After a log-in, reduce a key's number of failures by ``count``; forget the key if no failure is left.

        If failures are left, a lock-out of the key goes on.
        """
        entry = self.get(key)
        if entry is not None:
            entry.count -= count
            if entry.count <= 0:
                del self._entries[key]


def doubled(seconds: float, times: int) -> float:
    """Return the seconds, doubled a number of times."""
    return seconds * 2.0 ** min(times, _MAX_DOUBLINGS)
