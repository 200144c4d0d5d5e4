"""The record of a compute host, written as the host writes it."""

from collections.abc import Iterable, Mapping
from typing import Any

from novnc_twisted.messaging.domain_record import FIELDS, DomainRecord
from novnc_twisted.messaging.interfaces import IKeyedStore


def row(**fields: Any) -> list[Any]:
    """A domain as it is published; fields that are not given are None."""
    return [fields.get(field) for field in FIELDS]


async def publish(
    store: IKeyedStore, host: str, domains: Iterable[Mapping[str, Any]], *, current: bool = True
) -> DomainRecord:
    """Publish the domains of a host; return the record, which can be changed and written again."""
    record = DomainRecord(store, host)
    record.replace(row(**domain) for domain in domains)
    await record.write(current=current)
    return record
