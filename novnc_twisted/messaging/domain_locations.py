"""Which domains each compute host has, as it published them: known while the host is not there to be asked.

Each host keeps one record in the keyed store, and its name in a group; on Redis it may write no other host's record.
The records say where a domain was, for lists and for the difference between "gone" and "nobody can say".  They never
decide a right, and a live host is always asked itself.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from novnc_twisted.messaging.interfaces import IKeyedStore, UnusableRecord
from novnc_twisted.messaging.wire import MAX_MESSAGE, encode

KEPT = 7 * 86400.0
"""Seconds for which a record outlives its host."""

FIELDS = ("uuid", "name", "project_id", "project_name", "user_id", "user_name", "created", "vcpus", "memory_mb")
"""What is published of a domain."""

GROUP = "compute-hosts"

MAX_HOSTS = 1000
"""Hosts that are not alive, of which records are read at most: those beyond come last by name."""

_ROOM = MAX_MESSAGE - 1000


class DomainLocations:
    """The records of all compute hosts in a keyed store."""

    def __init__(self, store: IKeyedStore) -> None:
        self._store = store

    async def publish(self, host: str, domains: Iterable[Mapping[str, Any]]) -> int:
        """Replace a host's record; gives how many domains did not fit into it.

        :raises ServiceUnavailable: the store does not answer.
        """
        rows = [[domain[field] for field in FIELDS] for domain in domains]
        fitting = _fitting(rows)
        await self._store.put(_key(host), {"domains": fitting}, KEPT)
        await self._store.join(GROUP, host, KEPT)
        return len(rows) - len(fitting)

    async def renew(self, host: str) -> bool:
        """Keep a host's record for as long again; False where the store has lost it."""
        await self._store.join(GROUP, host, KEPT)
        return await self._store.extend(_key(host), KEPT)

    async def of(self, host: str) -> list[dict[str, Any]] | None:
        """The domains that a host published, as :data:`FIELDS`, unchecked; None: it has no record.

        :raises UnusableRecord: its record is invalid.
        """
        record = await self._store.get(_key(host))
        if record is None:
            return None
        rows = record.get("domains")
        if not isinstance(rows, list):
            raise UnusableRecord(f"{host} published no list of domains")
        return [
            dict(zip(FIELDS, row, strict=True)) for row in rows if isinstance(row, list) and len(row) == len(FIELDS)
        ]

    async def away(self, live: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
        """The domains of the hosts that are not alive, by host.

        A host whose record cannot be used is left out: its mistake hides no other host.

        :param live: the hosts that are.
        """
        found, _ = await self._read_away(live)
        return found

    async def _read_away(self, live: Iterable[str]) -> tuple[dict[str, list[dict[str, Any]]], list[UnusableRecord]]:
        """The domains of the hosts that are not alive, by host; and why records of others cannot be used."""
        hosts = sorted(set(await self._store.members(GROUP, KEPT)) - set(live))
        found: dict[str, list[dict[str, Any]]] = {}
        unusable: list[UnusableRecord] = []
        for host in hosts[:MAX_HOSTS]:
            try:
                domains = await self.of(host)
            except ValueError:
                domains = None  # no name of a host
            except UnusableRecord as error:
                unusable.append(error)
                continue
            if domains is None:
                await self._store.leave(GROUP, host)
            else:
                found[host] = domains
        return found, unusable

    async def last_host_of(self, instance_uuid: str, live: Iterable[str]) -> tuple[str, dict[str, Any]] | None:
        """The host that is not alive and had this domain, with what it published of it; None: no such host had it.

        :raises UnusableRecord: no usable record has it, but a host's record cannot be used: that host may have it.
        """
        found, unusable = await self._read_away(live)
        for host, domains in found.items():
            for domain in domains:
                if domain["uuid"] == instance_uuid:
                    return host, domain
        if unusable:
            raise unusable[0]
        return None


def _key(host: str) -> str:
    return f"domains:{host}"


def _fitting(rows: list[list[Any]]) -> list[list[Any]]:
    """As many of the first rows as one object of the store holds."""
    size = 0
    for number, row in enumerate(rows):
        size += len(encode(row)) + 1
        if size > _ROOM:
            return rows[:number]
    return rows
