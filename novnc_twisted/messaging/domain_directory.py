"""The domain directory: a copy in memory of the records of all compute hosts, and the list of live hosts.

In its record, a compute host publishes its domains (the VMs of libvirt).  A record has a head and parts
(:mod:`.domain_record`).  An update of the copy (:meth:`DomainDirectory.look`) reads the presence entries of the hosts,
the names of the hosts with a record (:data:`.domain_record.GROUP`), and the heads of these records.  On Redis,
this takes at most five commands for any number of hosts.  Then the update reads only the parts that have changed since
the last update.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from novnc_twisted.contract.topics import COMPUTE
from novnc_twisted.errors import Refusal, ServiceUnavailable
from novnc_twisted.messaging.domain_record import GROUP, KEPT, Head, head_key, part_key
from novnc_twisted.messaging.fanout import gather
from novnc_twisted.messaging.host_record import HostRecord
from novnc_twisted.messaging.interfaces import ITransport, UnusableRecord
from novnc_twisted.messaging.shared_call import SharedCall

REST: Final = 200
"""After an update, the copy is used for ``REST`` times as long as the update took, but at most for :data:`MAX_AGE`.

So updates take less than 1/200 of the time, unless an update takes longer than MAX_AGE / REST seconds.
"""

MAX_AGE: Final = 5.0
"""Maximum number of seconds for which the copy is used without an update."""

MAX_HOSTS: Final = 10_000
"""Maximum number of dead hosts whose records one update reads.

A limit is needed, because each compute host can add any number of names to the group of hosts.
"""

MALFORMED: Final = 60.0
"""Seconds for which the parts of a malformed record are not read again."""

MAX_HEAD: Final = 32_768
"""Maximum length in bytes of a head that is read.  The heads that hosts write have less than 3,000 bytes."""

MAX_ASKED: Final = 64
"""Maximum number of hosts that are asked for a domain although their records do not contain it.

If more hosts than this are alive, hosts that keep their records up to date (:meth:`DomainDirectory.is_current`) are not
asked, because their records show that they do not have the domain.
"""

_HOSTS_TOGETHER = 32  # hosts whose parts are requested at the same time
_PARTS_TOGETHER = 8  # parts of one host that are requested at the same time

# A host's name has the characters of a topic, except "/": the host "a" can write every key that begins with
# "domains:a/", and so the record of a host "a/b".
_HOST = re.compile(r"[!-.0-~]{1,200}\Z")

T = TypeVar("T")
_log = Logger()


class DomainDirectory(Generic[T]):
    """A copy of all records.

    The attributes show the state after the last update.  They change only during an update, and not all at once.

    :param read: makes an entry from a host and a published domain (a mapping with the keys
        :data:`.domain_record.FIELDS`).  It raises ServiceUnavailable for a domain that cannot be used; this domain is
        left out.
    :param now: a clock in seconds, for the age of the copy; None: every refresh updates the copy.
    :ivar live: the address of each live host (``Service.place``), by host.
    :ivar unpublished: the live hosts without a usable record.
    :ivar any_current: whether :meth:`is_current` is true for at least one host.
    """

    def __init__(
        self,
        transport: ITransport,
        read: Callable[[str, dict[str, Any]], T],
        now: Callable[[], float] | None = None,
    ) -> None:
        self._transport = transport
        self._read = read
        self._now = now
        self._records: dict[str, HostRecord[T]] = {}  # by host
        self._places: dict[str, dict[str, T]] = {}  # the UUID of a domain -> host -> entry
        self._neighbours: dict[str, list[str]] = {}  # address -> live hosts
        self._malformed: dict[str, float] = {}  # host -> when its parts may be read again
        self._good_until: float | None = None
        # Requests that arrive during an update share the next update.
        self._look = SharedCall(lambda: Deferred.fromCoroutine(self._begin()), cancels=True)
        self._preparing: Deferred[None] | None = None
        self._failure: ServiceUnavailable | None = None
        self.live: Mapping[str, str] = {}
        self.unpublished: Sequence[str] = ()
        self.any_current = False
        self._not_current: Sequence[str] = ()

    def prepare(self) -> None:
        """Begin the first update in the background, so that the first request waits less."""
        self._preparing = Deferred.fromCoroutine(self.look())

        def ignore(failure: Failure) -> None:
            # The first request updates the copy again, and reports a failure to its caller.
            failure.trap(Refusal, CancelledError)

        self._preparing.addErrback(ignore)

    def stop(self) -> None:
        """Cancel the update that :meth:`prepare` began."""
        if self._preparing is not None:
            self._preparing.cancel()

    async def refresh(self) -> bool:
        """Update the copy, unless it is recent enough (see :data:`REST`); return whether it was updated.

        :raises ServiceUnavailable: the presence entries of the hosts cannot be read.
        """
        if self._now is not None and self._good_until is not None and self._now() < self._good_until:
            return False
        await self._look()
        return True

    async def look(self) -> None:
        """Update the copy now.  Call this before deciding that a domain is gone or that a host is not alive.

        :raises ServiceUnavailable: the presence entries of the hosts cannot be read.
        """
        await self._look()

    def entries(self, uuid: str) -> Mapping[str, T]:
        """Return the published entries of a domain by host, including hosts that are not alive."""
        return self._places.get(uuid, {})

    def candidates(self, uuid: str) -> list[str]:
        """Return the live hosts that published a domain, and at most MAX_ASKED live hosts without a usable record."""
        published = [host for host in self._places.get(uuid, ()) if host in self.live]
        return [*published, *(host for host in self.unpublished[:MAX_ASKED] if host not in published)]

    def all_candidates(self, uuid: str) -> list[str]:
        """Return the live hosts to ask for a domain that the hosts of :meth:`candidates` do not have.

        The result can contain hosts of :meth:`candidates` again.  A caller skips those that have answered.

        If at most :data:`MAX_ASKED` hosts are alive, return all of them.  If more are alive, return only the live hosts
        that published the domain, and the live hosts whose records are not current.  In this case, a domain that has
        just moved to another host may be missed until that host publishes the domain.

        :raises ServiceUnavailable: the records of more than MAX_ASKED live hosts are not current.  These are too many
            hosts to ask.
        """
        if len(self.live) <= MAX_ASKED:
            return list(self.live)
        if len(self._not_current) > MAX_ASKED:
            raise ServiceUnavailable(f"the records of {len(self._not_current)} compute hosts are not up to date")
        published = [host for host in self._places.get(uuid, ()) if host in self.live]
        return list(dict.fromkeys([*published, *self._not_current]))

    def has_record(self, host: str) -> bool:
        """Return whether the record of this host is usable; False for every host while the records cannot be read."""
        record = self._records.get(host)
        return self._failure is None and record is not None and record.unusable is None

    def is_current(self, host: str) -> bool:
        """Return whether a host is alive and keeps its record up to date with libvirt's events."""
        return host in self.live and self.has_record(host) and self._records[host].current

    def at(self, place: str) -> Collection[str]:
        """Return the live hosts with this address."""
        return self._neighbours.get(place, ())

    def last_host(self, uuid: str) -> str | None:
        """Return a dead host that published a domain, or None.

        :raises ServiceUnavailable: the answer is unknown, because the records could not be read, or because the record
            of a dead host cannot be used.
        """
        if self._failure is not None:
            raise self._failure
        for host in self._places.get(uuid, ()):
            if host not in self.live:
                return host
        for host, record in self._records.items():
            if host not in self.live and record.unusable is not None:
                raise record.unusable
        return None

    def added(self, host: str, uuid: str, entry: T) -> None:
        """Hook for subclasses that keep an index: a host has published a new entry, or a changed one, for a domain."""

    def removed(self, host: str, uuid: str, entry: T) -> None:
        """Hook for subclasses that keep an index: a host no longer publishes this entry."""

    # --- updating the copy

    async def _begin(self) -> None:
        now = self._now
        began = 0.0 if now is None else now()
        services = await self._transport.services(COMPUTE.prefix)
        self.live = {COMPUTE.member(service.topic): service.place for service in services}
        self._neighbours = {}
        for host, place in self.live.items():
            self._neighbours.setdefault(place, []).append(host)
        try:
            await self._read_records()
        except ServiceUnavailable as failure:
            if self._failure is None:
                _log.warn("the published domains can't be read, so live hosts are asked: {why}", why=str(failure))
            # Kept until an update succeeds: while the records cannot be read, last_host() must raise instead of
            # returning None.
            self._failure = failure
        else:
            self._failure = None
        # Computed after the records were read: a host with an unusable record has to be asked.
        self.unpublished = [host for host in self.live if not self.has_record(host)]
        self._not_current = [host for host in self.live if not self.is_current(host)]
        self.any_current = len(self._not_current) < len(self.live)
        if now is not None:
            self._good_until = now() + min(MAX_AGE, REST * (now() - began))

    async def _read_records(self) -> None:
        store = self._transport.store
        names = await store.members(GROUP, KEPT)
        others = [name for name in names if name not in self.live][:MAX_HOSTS]
        hosts = [host for host in [*(name for name in names if name in self.live), *others] if _HOST.match(host)]
        obsolete = {name for name in others if not _HOST.match(name)}
        heads = await store.get_many([head_key(host) for host in hosts], MAX_HEAD)
        for host in self._records.keys() - set(hosts):
            self._forget(host)
        wanted: list[tuple[str, int, int]] = []
        for host, found in zip(hosts, heads, strict=True):
            if found is not None:
                wanted += self._compare(host, found)
                continue
            self._forget(host)
            if host not in self.live:
                obsolete.add(host)
        # Remove invalid names, and dead hosts without a record, from the group, which would otherwise grow for ever.
        if obsolete:
            await store.leave(GROUP, *obsolete)
        by_host = [list(parts) for _, parts in groupby(wanted, lambda part: part[0])]
        for start in range(0, len(by_host), _HOSTS_TOGETHER):
            some = by_host[start : start + _HOSTS_TOGETHER]
            for answer in await gather(Deferred.fromCoroutine(self._read_parts(parts)) for parts in some):
                if isinstance(answer, Refusal):
                    raise answer

    async def _read_parts(self, parts: Sequence[tuple[str, int, int]]) -> None:
        """Read parts of one host's record, until one of them is malformed.

        Decoding a malformed part of 1 MiB takes a second, so a record that consists of such parts would take minutes.
        """
        for start in range(0, len(parts), _PARTS_TOGETHER):
            some = parts[start : start + _PARTS_TOGETHER]
            # _read_part() returns nothing, so each decoded part is freed before the next one is decoded.
            for answer in await gather(Deferred.fromCoroutine(self._read_part(*part)) for part in some):
                if isinstance(answer, UnusableRecord):
                    self._suspect(parts[0][0], answer)
                    return
                if isinstance(answer, Refusal):
                    raise answer

    async def _read_part(self, host: str, count: int, number: int) -> None:
        """Read a part.

        :raises UnusableRecord: the part is malformed.
        :raises ServiceUnavailable: the store does not answer.
        """
        answer = await self._transport.store.get(part_key(host, count, number))
        record = self._records[host]
        # The answer is a part of a record with ``count`` parts: drop it if the copy has another number of parts.
        if not record.has_parts(count):
            return
        change = record.take(number, answer)
        for uuid, entry in change.removed.items():
            self._drop(host, uuid, entry)
        for uuid, entry in change.added.items():
            self._places.setdefault(uuid, {})[host] = entry
            self.added(host, uuid, entry)
        if change.malformed:
            raise record.malformed()

    def _suspect(self, host: str, error: UnusableRecord) -> None:
        """Read no part of this host's record for :data:`MALFORMED` seconds.  The host itself is asked instead."""
        self._records[host].unusable = error
        if self._now is not None:
            self._malformed[host] = self._now() + MALFORMED

    def _compare(self, host: str, found: dict[str, Any] | UnusableRecord) -> list[tuple[str, int, int]]:
        """Compare the head of a record with the copy; return the parts that have to be read."""
        record = self._records.setdefault(host, HostRecord(host, self._read))
        try:
            if isinstance(found, UnusableRecord):
                raise found
            head = Head.from_wire(found)
        except UnusableRecord as error:
            self._clear(host)
            record.unusable = error
            return []
        count = len(head.parts)
        if not record.has_parts(count):
            self._clear(host, count)
        record.current, record.unusable = head.current, None
        if host in self._malformed and self._now is not None:
            if self._now() < self._malformed[host]:
                record.unusable = record.malformed()
                return []
            del self._malformed[host]
        return [(host, count, number) for number in record.changed(head)]

    def _forget(self, host: str) -> None:
        """Drop a record."""
        self._clear(host)
        self._records.pop(host, None)

    def _clear(self, host: str, count: int = 0) -> None:
        """Drop all domains of a record, which now has ``count`` parts."""
        record = self._records.get(host)
        if record is not None:
            for uuid, entry in record:
                self._drop(host, uuid, entry)
            record.clear(count)

    def _drop(self, host: str, uuid: str, entry: T) -> None:
        # During a migration, several hosts publish one domain, so drop only this host's entry.
        hosts = self._places[uuid]
        del hosts[host]
        if not hosts:
            del self._places[uuid]
        self.removed(host, uuid, entry)
