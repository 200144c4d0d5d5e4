"""Publishes the domains of this host, so that other services know where each one is and can list them.

An event of libvirt has one domain read and one part of the record written.  All domains are read when libvirt answers
(again), when many change at once, and every few minutes, because some changes have no event.
"""

from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from novnc_twisted.compute.domain_xml import Domain
from novnc_twisted.compute.interfaces import Change, DomainEvent, IDriver
from novnc_twisted.errors import InstanceNotFound, Refusal
from novnc_twisted.messaging.domain_record import FIELDS, DomainRecord, Row

SOON: Final = 0.1
"""Seconds from an event to the publication: several domains often change at the same time."""

APART: Final = 0.25
"""Seconds between two publications, at least."""

REST: Final = 20
"""How many times as long as a publication took the next one waits at least: thousands of domains take a while."""

RETRY: Final = 5.0
"""Seconds until the next attempt if libvirt or the store does not answer."""

RENEWAL: Final = 60.0
"""Seconds between renewals: a store that lost its data gets the record again within this time."""

RECONCILIATION: Final = 300.0
"""Seconds between two times that all domains are read and all parts of the record are renewed."""

FEW: Final = 8
"""Domains that are read one by one; if more have changed, all are read."""

_log = Logger()


class DomainPublisher:
    """Keeps the record of one host up to date.

    :param record: the host's record.
    :param clock: times the publications.
    """

    def __init__(self, record: DomainRecord, driver: IDriver, clock: IReactorTime) -> None:
        self._record = record
        self._driver = driver
        self._clock = clock
        self._changed: set[str] = set()
        self._read_all = True
        self._connected = False
        self._current = False
        self._due = False
        self._started = False
        self._next = 0.0
        self._reconcile_at = 0.0
        self._timer: IDelayedCall | None = None
        self._work: Deferred[None] | None = None
        self._failing = False
        self._stopped = False

    def start(self) -> None:
        """Begin to publish: this process is the only one of its host's name."""
        self._started = True
        if self._due:
            self._schedule(SOON)

    def changed(self, event: DomainEvent) -> None:
        """Publish what has changed, soon."""
        if event.change is Change.CONNECTED:
            self._connected = self._read_all = True
        elif event.change is Change.DISCONNECTED:
            self._connected = False
        else:
            # Collected: several events of one domain, as at a start, lead to one read.
            self._changed.add(event.uuid)
        self._due = True
        self._schedule(max(SOON, self._next - self._clock.seconds()))

    def stop(self) -> None:
        """Stop publishing; the record stays, since the domains do."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._work is not None:
            self._work.cancel()

    def _schedule(self, delay: float) -> None:
        if not self._started or self._stopped or self._work is not None:
            return
        if self._timer is not None and self._timer.active():
            if self._timer.getTime() <= self._clock.seconds() + delay:
                return
            self._timer.cancel()
        self._timer = self._clock.callLater(delay, self._begin)

    def _begin(self) -> None:
        self._work = Deferred.fromCoroutine(self._run())
        self._work.addErrback(lambda failure: failure.trap(CancelledError) and None)
        self._work.addErrback(self._unexpected)
        self._work.addCallback(self._over)

    def _unexpected(self, failure: Failure) -> None:
        _log.failure("the domains of this host could not be published", failure)

    def _over(self, _result: None) -> None:
        self._work = None
        if self._failing:
            self._schedule(RETRY)
        else:
            self._schedule(max(APART, self._next - self._clock.seconds()) if self._due else RENEWAL)

    async def _run(self) -> None:
        began = self._clock.seconds()
        try:
            if not self._due:
                await self._renew()
            if self._due:
                await self._publish()
        except Refusal as refusal:
            self._due = True
            if not self._failing:
                self._failing = True
                _log.warn(
                    "the domains of this host can't be published ({reason}), so that lists show what was published "
                    "before; trying again. With Redis' ACLs, novnc-redis-acl gives the rights",
                    reason=str(refusal),
                )
        else:
            self._failing = False
        took = self._clock.seconds() - began
        self._next = began + took + max(APART, REST * took)

    async def _renew(self) -> None:
        """Renew the record; have it written again if the store has lost it."""
        reconcile = self._clock.seconds() >= self._reconcile_at
        if not await self._record.renew(parts=reconcile):
            self._record.rewrite()
            self._due = True
        if reconcile:
            self._read_all = self._due = True

    async def _publish(self) -> None:
        """Read what has changed, and write it.

        If libvirt does not answer, the record says so before this fails.
        """
        self._due = False
        try:
            await self._read()
        except Refusal:
            self._read_all, self._current = True, False
            await self._write()
            raise
        await self._write()

    async def _read(self) -> None:
        changed, self._changed = self._changed, set()
        if self._read_all or len(changed) > FEW or not await self._read_some(changed):
            self._read_all = False
            self._record.replace([_row(domain) for domain in await self._driver.list_domains()])
            self._reconcile_at = self._clock.seconds() + RECONCILIATION
            self._current = True

    async def _read_some(self, changed: set[str]) -> bool:
        """Read these domains one by one; False if one of them can't be read."""
        for uuid in changed:
            try:
                self._record.set(_row(await self._driver.get_domain(uuid)))
            except InstanceNotFound:
                self._record.remove(uuid)
            except Refusal:
                return False
        return True

    async def _write(self) -> None:
        left_out = await self._record.write(current=self._connected and self._current)
        if left_out:
            _log.warn("{count} domains of this host are too many to be published", count=left_out)


def _row(domain: Domain) -> Row:
    return [getattr(domain, field) for field in FIELDS]
