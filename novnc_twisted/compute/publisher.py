"""Publishes the domains of this host in the keyed store, so that other services can find and list them.

The domains that a host publishes form the host's record.  A record has parts, which contain the domains, and a head,
which lists the versions of the parts (:mod:`novnc_twisted.messaging.domain_record`).  After an event of libvirt, the
publisher reads the changed domain and writes one part and the head.  It reads all domains

* when libvirt becomes available (at the start or after a failure),
* when many domains change at once,
* every few minutes, because libvirt sends no event for some changes.
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
"""Seconds from an event to its publication.  Several domains often change together, and are published together."""

APART: Final = 0.25
"""Minimum number of seconds between two publications."""

REST: Final = 20
"""Minimum pause after a publication, as a multiple of its duration.

Publishing thousands of domains takes long, and must not occupy this process and libvirt all the time.
"""

RETRY: Final = 5.0
"""Seconds from a failed attempt to the next one.  An event of libvirt may cause the next attempt earlier."""

RENEWAL: Final = 30.0
"""Seconds between two renewals of the record.

A renewal lets the store keep the record for longer.  If the store has lost the record, the publisher writes it again.
Most renewals renew only the head of the record (see :data:`RECONCILIATION`).
"""

RECONCILIATION: Final = 300.0
"""Interval in seconds at which all domains are read and all parts of the record are renewed."""

FEW: Final = 8
"""Maximum number of changed domains that are read one by one.  If more have changed, all domains are read."""

_log = Logger()


class DomainPublisher:
    """Keeps the record of one host up to date.

    :param record: the host's record.
    :param driver: reads the domains.
    :param clock: IReactorTime.
    """

    def __init__(self, record: DomainRecord, driver: IDriver, clock: IReactorTime) -> None:
        self._record = record
        self._driver = driver
        self._clock = clock
        self._changed: set[str] = set()
        self._read_all = True
        self._connected = False
        self._current = False  # whether the last read of the domains succeeded
        self._due = False  # whether there is something to publish
        self._started = False
        self._next = 0.0
        self._renew_at = 0.0
        self._reconcile_at = 0.0
        self._timer: IDelayedCall | None = None
        self._work: Deferred[None] | None = None
        self._failing = False  # whether an attempt has ended with a Refusal since the last success
        self._bug: type[BaseException] | None = None  # if a bug ended the last attempt, the class of the exception
        self._stopped = False

    def start(self) -> None:
        """Begin to publish.  Call this only when no other live consolecompute uses this host's name.

        Changes that were reported to :meth:`changed` before this call are published, too.
        """
        self._started = True
        self._renew_at = self._clock.seconds() + RENEWAL
        if self._due:
            self._schedule(SOON)

    def changed(self, event: DomainEvent) -> None:
        """Handle an event: publish the change in :data:`SOON` seconds, but not during a pause (:data:`REST`)."""
        if event.change is Change.CONNECTED:
            self._connected = self._read_all = True
        elif event.change is Change.DISCONNECTED:
            self._connected = False
        else:
            # A set, so that several events of one domain, for example at its start, cause one read.
            self._changed.add(event.uuid)
        self._due = True
        self._schedule(max(SOON, self._next - self._clock.seconds()))

    def stop(self) -> None:
        """Stop publishing.  The record is not removed, because the domains continue to exist."""
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
        # stop() cancels the work; this is not an error.
        self._work.addErrback(lambda failure: failure.trap(CancelledError) and None)
        self._work.addErrback(self._unexpected)
        self._work.addCallback(self._over)

    def _unexpected(self, failure: Failure) -> None:
        # The set of domains that this attempt had to read may be lost, so the next attempt reads all domains.
        self._due = self._read_all = True
        if failure.type is not self._bug:  # log it only once, because the attempts are repeated
            self._bug = failure.type
            _log.failure("the domains of this host could not be published", failure)

    def _over(self, _result: None) -> None:
        self._work = None
        if self._failing or self._bug is not None:
            self._schedule(RETRY)
        else:
            at = self._next if self._due else self._renew_at
            self._schedule(max(APART, at - self._clock.seconds()))

    async def _run(self) -> None:
        began = self._clock.seconds()
        try:
            # Renew even if a publication is due: on a busy host, a publication may be due at the time of every renewal.
            if self._clock.seconds() >= self._renew_at:
                # The time of the next renewal is set first: if this renewal fails, the next attempt does not repeat it,
                # but publishes the changes.
                self._renew_at = self._clock.seconds() + RENEWAL
                await self._renew()
            # The renewal itself may have set _due.
            if self._due:
                await self._publish()
        except Refusal as refusal:
            self._due = True
            if not self._failing:
                self._failing = True
                _log.warn(
                    "the domains of this host can't be published ({reason}). Until an attempt succeeds, lists show the "
                    "last published states, or 'unknown' if libvirt does not answer. If Redis denied a command, create "
                    "its users again with novnc-redis-acl",
                    reason=str(refusal),
                )
        else:
            if self._failing:
                self._failing = False
                _log.info("the domains of this host are published again")
        self._bug = None
        took = self._clock.seconds() - began
        self._next = began + took + max(APART, REST * took)

    async def _renew(self) -> None:
        """Renew the record.  If the store has lost it, let the next publication write it again."""
        reconcile = self._clock.seconds() >= self._reconcile_at
        if not await self._record.renew(parts=reconcile):
            self._record.rewrite()
            self._due = True
        if reconcile:
            self._read_all = self._due = True

    async def _publish(self) -> None:
        """Read the changed domains, and write them to the record.

        If libvirt does not answer, the record is marked as not current.

        :raises Refusal: libvirt or the store does not answer.
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
        """Read these domains one by one; return False if one of them can't be read."""
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
            _log.warn("this host has too many domains to publish; {count} of them are missing in lists", count=left_out)


def _row(domain: Domain) -> Row:
    return [getattr(domain, field) for field in FIELDS]
