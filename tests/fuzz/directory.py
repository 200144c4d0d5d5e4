"""The record in which a compute host publishes its domains: any head and any parts, read twice, and written again."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from novnc_twisted.compute import replies
from novnc_twisted.contract.fields import is_uuid
from novnc_twisted.contract.instance import Instance
from novnc_twisted.messaging.domain_record import (
    FIELDS,
    MAX_PARTS,
    DomainRecord,
    Head,
    head_key,
    is_row,
    part_key,
    part_number,
)
from novnc_twisted.messaging.host_record import HostRecord
from novnc_twisted.messaging.interfaces import UnusableRecord
from novnc_twisted.messaging.memory import MemoryTransport
from novnc_twisted.messaging.wire import decode

from .tools import Target, fits_a_log, holds, same

HOST = "host1"


def run(data: bytes) -> None:
    """An object with the ``head`` and the ``parts`` of a record, as they are in the store."""
    try:
        value = decode(data)
    except ValueError:
        return
    if not isinstance(value, dict):
        return
    answers = value.get("parts")
    answers = [answer if isinstance(answer, dict) else None for answer in answers] if isinstance(answers, list) else []
    found = value.get("head")
    try:
        head = Head.from_wire(found if isinstance(found, dict) else {})
    except UnusableRecord as error:
        fits_a_log(error.detail, 100, "the detail")
    else:
        holds(len(head.parts) <= MAX_PARTS, "too many parts", len(head.parts))
        same(Head.from_wire(head.to_wire()), head, "the head that was written again")
        _read(head, answers)
    _write(answers)


def _read(head: Head, answers: list[dict[str, Any] | None]) -> None:
    """Take each part twice: the copy contains exactly what the changes report."""
    record = HostRecord(HOST, replies.instance)
    count = len(head.parts)
    record.clear(count)
    copy: dict[str, Instance] = {}
    for number, answer in [*enumerate(answers[:count])] * 2:
        change = record.take(number, answer)
        for uuid, entry in change.removed.items():
            same(copy.pop(uuid), entry, "the entry that was removed")
        holds(not copy.keys() & change.added.keys(), "an entry is there already")
        copy |= change.added
        for uuid, entry in change.added.items():
            same((entry.uuid, entry.host, part_number(uuid, count)), (uuid, HOST, number), "UUID, host or part")
        if change.malformed:
            fits_a_log(record.malformed().detail, 100, "the detail")
            holds(head.parts[number] == "" or number in record.changed(head), "a malformed part is not read again")
        elif answer is not None:
            holds(all(map(is_row, answer["rows"])), "a malformed part is accepted")
    same(dict(record), copy, "the copy")


def _write(answers: list[dict[str, Any] | None]) -> None:
    """Publish the rows of the parts as a host would: a reader gets the same rows."""
    parts = [answer["rows"] for answer in answers if answer is not None and isinstance(answer.get("rows"), list)]
    rows = {row[0]: row for part in parts for row in part if is_row(row) and is_uuid(row[0]) and row[0].islower()}
    if not rows:
        return
    transport = MemoryTransport(Clock())
    written = DomainRecord(transport.store, HOST)
    written.replace(rows.values())
    same(_now(Deferred.fromCoroutine(written.write())), 0, "the number of domains without room")
    head = Head.from_wire(_now(transport.store.get(head_key(HOST))))
    record = HostRecord(HOST, lambda _host, domain: [domain[field] for field in FIELDS])
    count = len(head.parts)
    record.clear(count)
    for number in range(count):
        change = record.take(number, _now(transport.store.get(part_key(HOST, count, number))))
        holds(not change.malformed, "a part that was written is malformed")
    same(dict(record), rows, "the rows")
    same(record.changed(head), [], "the parts to read again")


def _now(result: Deferred[Any]) -> Any:
    """The result of a Deferred that has fired: the store is in memory."""
    found: list[Any] = []
    result.addBoth(found.append)
    return found[0]


UUID = "11111111-2222-3333-4444-555555555555"
ROW = (
    f'["{UUID}","one"'.encode(),
    b',"project","its name","user","their name","2026-01-01T00:00:00Z"',
    b',1,512,"running",1,false]',
)
"""A domain as it is published (FIELDS)."""

TARGETS = (
    Target(
        "domain-record",
        run,
        1024,
        (
            b'{"head":{"parts":["a"],"current":true}',
            b',"parts":[{"version":"a","rows":[',
            *ROW,
            b"]}]}",
            b'"version":"b"',
            b"null",
            b",",
            b"[]",
        ),
    ),
)
