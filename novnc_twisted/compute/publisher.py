"""Publishes which domains this host has, so that they are known while the host is not there to be asked."""

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from novnc_twisted.compute.interfaces import DomainEvent, IDriver
from novnc_twisted.errors import Refusal
from novnc_twisted.messaging.domain_locations import FIELDS, DomainLocations

SOON = 0.1
"""Seconds from an event to the publication: several domains often change at the same time."""

APART = 1.0
"""Seconds between two publications, at least."""

REST = 20
"""How many times as long as a publication took the next one waits at least: thousands of domains take a while."""

RETRY = 5.0
"""Seconds until the next attempt, where libvirt or the store does not answer."""

RENEWAL = 60.0
"""Seconds between renewals: a store that lost its data gets the record again within this time."""

_log = Logger()


class DomainPublisher:
    """Keeps one host's record of its domains up to date.

    :param clock: times the publications.
    """

    def __init__(self, locations: DomainLocations, driver: IDriver, clock: IReactorTime, host: str) -> None:
        self._locations = locations
        self._driver = driver
        self._clock = clock
        self._host = host
        self._published: list[tuple[Any, ...]] | None = None
        self._next = 0.0
        self._timer: IDelayedCall | None = None
        self._work: Deferred[None] | None = None
        self._due = False
        self._failing = False
        self._stopped = False

    def changed(self, event: DomainEvent) -> None:
        """Publish soon: a domain came, went, or was changed."""
        self._due = True
        self._schedule(max(SOON, self._next - self._clock.seconds()))

    def stop(self) -> None:
        """Publish no more; the record stays, since the domains do."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._work is not None:
            self._work.cancel()

    def _schedule(self, delay: float) -> None:
        if self._stopped or self._work is not None:
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
        _log.failure("publishing the domains of this host failed", failure)

    def _over(self, _result: None) -> None:
        self._work = None
        if self._failing:
            self._schedule(RETRY)
        else:
            self._schedule(max(APART, self._next - self._clock.seconds()) if self._due else RENEWAL)

    async def _run(self) -> None:
        try:
            if not self._due and self._published is not None and await self._locations.renew(self._host):
                return
            if not self._due:
                self._published = None  # the store has lost it
            await self._publish()
        except Refusal as refusal:
            self._due = True
            if not self._failing:
                self._failing = True
                _log.warn(
                    "the domains of this host can't be published ({reason}), so that they will be missing in lists "
                    "while this host is away; trying on. With Redis' ACLs, novnc-redis-acl gives the rights",
                    reason=str(refusal),
                )
        else:
            self._failing = False

    async def _publish(self) -> None:
        self._due = False
        began = self._clock.seconds()
        domains = [_record(domain) for domain in await self._driver.list_domains()]
        domains.sort(key=lambda domain: str(domain["uuid"]))
        rows = [tuple(domain.values()) for domain in domains]
        if rows == self._published:
            return
        left_out = await self._locations.publish(self._host, domains)
        self._published, now = rows, self._clock.seconds()
        self._next = now + max(APART, REST * (now - began))
        if left_out:
            _log.warn("{count} domains of this host are too many to be published", count=left_out)


def _record(domain: Any) -> Mapping[str, Any]:
    return {field: getattr(domain, field) for field in FIELDS}
