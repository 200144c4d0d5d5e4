"""The record in which a compute host publishes its domains: its keys in the store, its format, and its writer.

A domain is a VM of libvirt.  A record has a head and parts.  The head, ``domains:HOST``, has the version of each part.
The parts, ``domains:HOST/COUNT.NUMBER`` (COUNT is the number of parts), contain the domains, distributed by UUID.  So
after a change of one domain, the host writes only one part and the head, and a reader (:mod:`.domain_directory`) reads
only the parts with new versions.  On Redis, a host may write only its own record.  It may also add names to the group
of the hosts that have a record (:data:`GROUP`), but not remove any.

Records are hints: they show which domains to list, which hosts to ask, and which domains a dead host had.  They never
grant a right.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Self

from novnc_twisted.contract.instance import Instance
from novnc_twisted.messaging.interfaces import IKeyedStore, UnusableRecord
from novnc_twisted.messaging.wire import MAX_MESSAGE, encode, size_of

KEPT: Final = 7 * 86400.0
"""Seconds for which a record is kept after its last renewal."""

FIELDS: Final = Instance.wire_names()
"""The fields that are published for a domain, in this order."""

GROUP: Final = "compute-hosts"
"""The group of the hosts that published a record."""

MAX_PARTS: Final = 128
"""Maximum number of parts of one record."""

_ROWS: Final = 32  # planned domains per part; if the average is more than twice this, the number of parts grows
_ROOM = MAX_MESSAGE - 1000  # maximum number of bytes of the domains in one part

Row = list[Any]
"""The values of :data:`FIELDS` of one domain."""


def head_key(host: str) -> str:
    """Return the key of the head of a host's record."""
    return f"domains:{host}"


def part_key(host: str, count: int, number: int) -> str:
    """Return the key of part ``number`` in a record of ``count`` parts.

    The key contains the count, so that the parts of a new division do not overwrite the old parts.  The stored head
    refers to the old parts until the new head is written.
    """
    return f"domains:{host}/{count}.{number}"


def part_number(uuid: str, count: int) -> int:
    """Return the number of the part that contains a domain, in a record of ``count`` parts."""
    # SHA-256, because hash() returns other values in each process.
    return int(sha256(uuid.encode()).hexdigest()[:8], 16) % count


def is_row(value: Any) -> bool:
    """Return whether a value is a list of one value for each field in :data:`FIELDS`, without lists or dicts in it."""
    return isinstance(value, list) and len(value) == len(FIELDS) and not any(isinstance(v, dict | list) for v in value)


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a record.

    :ivar parts: the version of each part.
    :ivar current: whether the host keeps the record up to date; False while its libvirt does not answer.
    """

    parts: tuple[str, ...] = ()
    current: bool = True

    def to_wire(self) -> dict[str, Any]:
        """Return the head as JSON for the store."""
        return {"parts": list(self.parts), "current": self.current}

    @classmethod
    def from_wire(cls, value: Mapping[str, Any]) -> Self:
        """Read a head.

        :raises UnusableRecord: the value is not a head.
        """
        parts = value.get("parts")
        if not isinstance(parts, list) or len(parts) > MAX_PARTS or not all(isinstance(one, str) for one in parts):
            raise UnusableRecord("a compute host published an invalid list of parts")
        return cls(tuple(parts), value.get("current") is True)


class DomainRecord:
    """Writes the record of one host.

    Changes are collected in memory; :meth:`write` writes the changed parts.
    """

    def __init__(self, store: IKeyedStore, host: str) -> None:
        self._store = store
        self._host = host
        self._parts: list[dict[str, Row]] = []
        self._versions: list[str] = []
        self._touched: set[int] = set()
        self._written: Head | None = None
        self._joined = False

    def replace(self, rows: Iterable[Row]) -> None:
        """Replace all domains."""
        found = list(rows)
        if not self._fits(len(found)):
            self._divide(len(found))
        parts: list[dict[str, Row]] = [{} for _ in self._parts]
        for row in found:
            parts[self._number(row[0])][row[0]] = row
        for number, (before, part) in enumerate(zip(self._parts, parts, strict=True)):
            if before != part:
                self._parts[number] = part
                self._touched.add(number)

    def set(self, row: Row) -> None:
        """Add or replace one domain."""
        if not self._parts:
            self._divide(1)
        number = self._number(row[0])
        if self._parts[number].get(row[0]) != row:
            self._parts[number][row[0]] = row
            self._touched.add(number)
            total = sum(map(len, self._parts))
            if not self._fits(total):
                self.replace([row for part in self._parts for row in part.values()])

    def remove(self, uuid: str) -> None:
        """Remove a domain, if it is there."""
        number = self._number(uuid) if self._parts else 0
        if self._parts and self._parts[number].pop(uuid, None) is not None:
            self._touched.add(number)

    async def write(self, *, current: bool = True) -> int:
        """Write the changed parts and the head.

        :param current: see :class:`Head`.
        :return: the number of domains that this call left out, because their part was full.
        :raises ServiceUnavailable: the store does not answer; the next call writes the rest.
        """
        # After a restart, the stored parts that are still correct are renewed, and not written again.
        before = self._written or await self._read_head()
        left_out = 0
        for number in sorted(self._touched):
            rows, version = _fitting(list(self._parts[number].values()))
            left_out += len(self._parts[number]) - len(rows)
            self._versions[number] = version
            await self._write_part(number, rows, before)
            # Discarded one by one: if a later part fails, the next call does not write this one again.
            self._touched.discard(number)
        head = Head(tuple(self._versions), current)
        # The head is written after the parts, because a reader that sees a new version must find the new part.
        if head != self._written:
            await self._store.put(head_key(self._host), head.to_wire(), KEPT)
            self._written = head
        if not self._joined:
            await self._store.join(GROUP, self._host, KEPT)
            self._joined = True
        # Old parts are removed last, when the head no longer refers to them.
        if len(before.parts) != len(head.parts):
            await self._store.remove(*self._keys(len(before.parts)))
        return left_out

    async def renew(self, *, parts: bool = False) -> bool:
        """Keep the record for :data:`KEPT` more seconds; return False if the store has lost one of the keys to renew.

        This also adds the host's name to the group again.

        :param parts: whether to renew the parts too; False: only the head.
        """
        await self._store.join(GROUP, self._host, KEPT)
        keys = [head_key(self._host), *(self._keys(len(self._versions)) if parts else ())]
        kept = [await self._store.extend(key, KEPT) for key in keys]
        return all(kept)

    def rewrite(self) -> None:
        """Let the next :meth:`write` write everything, because the store has lost the head or a part."""
        # An empty head, not None: with None, write() would read the head from the store and trust it.
        self._written = Head()
        self._joined = False
        self._touched.update(range(len(self._parts)))

    async def _read_head(self) -> Head:
        """Read the head that an earlier process of this host wrote."""
        try:
            return Head.from_wire(await self._store.get(head_key(self._host)) or {"parts": []})
        except UnusableRecord:
            return Head()

    async def _write_part(self, number: int, rows: list[Row], before: Head) -> None:
        key, version = part_key(self._host, len(self._parts), number), self._versions[number]
        same = len(before.parts) == len(self._parts) and before.parts[number] == version
        if not (same and await self._store.extend(key, KEPT)):
            await self._store.put(key, {"version": version, "rows": rows}, KEPT)

    def _keys(self, count: int) -> list[str]:
        return [part_key(self._host, count, number) for number in range(count)]

    def _fits(self, domains: int) -> bool:
        """Return whether the present number of parts suits this number of domains."""
        count = len(self._parts)
        # The two limits are far apart, so that a record near one of them is not divided again and again.
        few = count > 1 and domains * 8 <= _ROWS * count
        return not few and (domains <= 2 * _ROWS * count or count == MAX_PARTS)

    def _divide(self, domains: int) -> None:
        """Replace the parts with empty ones.  Their number suits this number of domains."""
        count = 1
        while count * _ROWS < domains and count < MAX_PARTS:
            count *= 2
        self._parts = [{} for _ in range(count)]
        self._versions = [""] * count
        self._touched = set(range(count))

    def _number(self, uuid: str) -> int:
        return part_number(uuid, len(self._parts))


def _fitting(rows: list[Row]) -> tuple[list[Row], str]:
    """Return as many of the rows as fit into one object of the store, and their version."""
    texts: list[str] = []
    size = 0
    # Sorted, so that the version depends on the content alone.
    ordered = sorted(rows, key=lambda row: str(row[0]))
    for row in ordered:
        text = encode(row)
        size += size_of(text) + 1
        if size > _ROOM:
            break
        texts.append(text)
    version = sha256("\n".join(texts).encode()).hexdigest()[:16]
    return ordered[: len(texts)], version
