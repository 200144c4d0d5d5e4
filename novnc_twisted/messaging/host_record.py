"""A copy of one compute host's record (the list of its domains, see :mod:`.domain_record`), updated part by part."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from twisted.logger import Logger

from novnc_twisted.contract.fields import is_uuid
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.domain_record import FIELDS, Head, is_row, part_number
from novnc_twisted.messaging.interfaces import UnusableRecord

MAX_DOMAINS: Final = 20_000
"""Maximum number of domains that are read from one host's record."""

T = TypeVar("T")
_log = Logger()


@dataclass(frozen=True, slots=True)
class PartChange(Generic[T]):
    """What changed in the copy when a part of it was replaced.

    :ivar removed: the old entries that are gone or have changed, by UUID.
    :ivar added: the new entries, and the new values of changed entries, by UUID.
    :ivar malformed: whether the part is malformed.
    """

    removed: Mapping[str, T]
    added: Mapping[str, T]
    malformed: bool


class HostRecord(Generic[T]):
    """The copy of one record.  The host writes the record, so its content is not trusted.

    :param host: the name of the compute host.
    :param read: makes the entry of a domain; see ``read`` of :class:`.domain_directory.DomainDirectory`.
    :ivar current: see :class:`.domain_record.Head`.
    :ivar unusable: why the record, or one of its parts, cannot be used; None: it can be used.
    """

    def __init__(self, host: str, read: Callable[[str, dict[str, Any]], T]) -> None:
        self._host = host
        self._read = read
        # For each part, its version and its domains by UUID.
        self._parts: list[tuple[str, dict[str, T]]] = []
        self.current = True
        self.unusable: UnusableRecord | None = None

    def __iter__(self) -> Iterator[tuple[str, T]]:
        """Yield each domain: its UUID and its entry."""
        for _, entries in self._parts:
            yield from entries.items()

    def has_parts(self, count: int) -> bool:
        """Whether the copy has this number of parts."""
        return len(self._parts) == count

    def clear(self, count: int = 0) -> None:
        """Forget all domains, and prepare for a record with this number of parts."""
        self._parts = [("", {}) for _ in range(count)]

    def changed(self, head: Head) -> list[int]:
        """Return the numbers of the parts whose versions in the head differ from the versions in the copy."""
        return [number for number, version in enumerate(head.parts) if self._parts[number][0] != version]

    def take(self, number: int, answer: Mapping[str, Any] | None) -> PartChange[T]:
        """Replace a part.  Even from a malformed part, the usable domains are taken.

        :param answer: the part from the store; None if the part is missing, which makes the record :attr:`unusable`.
        """
        version, rows = "", []  # a part without a version is read again by the next update
        malformed = answer is not None and len(answer) != 2  # a part has two fields: version and rows
        if answer is None:
            # The usual cause: after the head was read, the host divided its record into another number of parts.
            self.unusable = UnusableRecord(f"a part of the record of compute host {self._host} is missing")
        elif isinstance(answer.get("version"), str) and isinstance(answer.get("rows"), list):
            version, rows = answer["version"], answer["rows"]
        else:
            malformed = True
        # In a record of MAX_DOMAINS domains, a part has ``most`` / 2 rows on average.  Parts differ in length, so up to
        # ``most`` rows are allowed; a longer part is malformed.
        most = 2 * MAX_DOMAINS // len(self._parts)
        if malformed or len(rows) > most or not all(map(is_row, rows)):
            malformed, version = True, ""
        before = self._parts[number][1]
        after, full = self._entries_of(rows[:most], number)
        # If the copy is full, read this part again later: other parts may have become smaller by then.
        self._parts[number] = "" if full else version, after
        return PartChange(
            removed={uuid: entry for uuid, entry in before.items() if after.get(uuid) != entry},
            added={uuid: entry for uuid, entry in after.items() if before.get(uuid) != entry},
            malformed=malformed,
        )

    def malformed(self) -> UnusableRecord:
        """Return the error for a malformed record."""
        return UnusableRecord(f"compute host {self._host} published a malformed record")

    def _entries_of(self, rows: Iterable[Any], number: int) -> tuple[dict[str, T], bool]:
        """Return the usable domains of a part, and whether some were left out because the host has too many.

        A domain that belongs to another part is not usable.
        """
        found: dict[str, T] = {}
        count, wrong, full = len(self._parts), 0, False
        room = MAX_DOMAINS - sum(len(entries) for other, (_, entries) in enumerate(self._parts) if other != number)
        for row in rows:
            uuid = row[0].lower() if isinstance(row, list) and len(row) == len(FIELDS) and is_uuid(row[0]) else ""
            try:
                # The UUID of a domain determines its part.  If a host could publish a UUID in two parts, the entry from
                # one part would replace the entry from the other part.
                if not uuid or part_number(uuid, count) != number:
                    raise ServiceUnavailable("not a domain of this part")
                if len(found) >= room:
                    full = True
                    raise ServiceUnavailable("too many domains")
                found[uuid] = self._read(self._host, dict(zip(FIELDS, row, strict=True)))
            except ServiceUnavailable:
                wrong += 1
        if wrong:
            _log.warn(
                "a part of the record of compute host {host} has domains that can't be used: {count}",
                host=self._host,
                count=wrong,
            )
        return found, full
