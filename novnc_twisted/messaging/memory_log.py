"""The logs of a keyed store in the memory of one process."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from twisted.internet.interfaces import IReactorTime

from novnc_twisted.messaging.wire import decode, encode_object, entry_id

MAX_ENTRIES: Final = 10_000
"""Maximum number of entries of a log in memory."""


class _Entry(NamedTuple):
    number: int
    expires_at: float
    text: str


class MemoryLogs:
    """Each log is a list of entries in the order in which they were appended.

    The id of an entry is ``0-NUMBER``, in the form of the ids of a Redis stream.  The numbers are counted over all
    logs.

    :param clock: IReactorTime.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._logs: dict[str, deque[_Entry]] = {}
        self._last = 0

    def append(self, log: str, values: Sequence[Mapping[str, Any]], ttl: float) -> None:
        """See IKeyedStore."""
        texts = list(map(encode_object, values))
        entries = self._logs.setdefault(log, deque(maxlen=MAX_ENTRIES))
        now = self._clock.seconds()
        while entries and entries[0].expires_at <= now:
            entries.popleft()
        for text in texts:
            self._last += 1
            entries.append(_Entry(self._last, now + ttl, text))

    def newest(self, log: str, before: str, limit: int) -> list[tuple[str, dict[str, Any]]]:
        """See IKeyedStore."""
        below = entry_id(before)[1] if before else self._last + 1
        now = self._clock.seconds()
        found: list[tuple[str, dict[str, Any]]] = []
        for entry in reversed(self._logs.get(log, ())):
            if len(found) == limit:
                break
            if entry.number < below and entry.expires_at > now:
                found.append((f"0-{entry.number}", decode(entry.text)))
        return found
