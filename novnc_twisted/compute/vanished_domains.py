"""Asks consoleauth to drop the tokens of domains that have vanished from this host.

consoleauth keeps the tokens if another host has the domain.
"""

import math
from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from novnc_twisted.compute.interfaces import Change, DomainEvent, IDriver
from novnc_twisted.contract.topics import CONSOLEAUTH
from novnc_twisted.errors import InstanceNotFound, Refusal
from novnc_twisted.messaging.interfaces import ITransport

BACK_OFF = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0)
"""Seconds between the attempts to drop a domain's tokens; after the last attempt, the failure is logged."""

_MIGRATED_FOR = 60.0
"""Seconds for which a migration is remembered."""

_MAX_KNOWN = 100_000
_MAX_PENDING = 1000

_log = Logger()


class VanishedDomains:
    """Follows the events of domains, and asks consoleauth to drop the tokens of domains that no longer exist.

    :param clock: for the pauses between attempts, and for the age of remembered migrations.
    """

    def __init__(self, transport: ITransport, driver: IDriver, clock: IReactorTime) -> None:
        self._transport = transport
        self._driver = driver
        self._clock = clock
        self._known: set[str] = set()
        self._migrated: dict[str, float] = {}
        self._pending: dict[str, Deferred[None]] = {}
        self._again: set[str] = set()

    def seen(self, uuid: str) -> None:
        """Record that this host has the domain."""
        if len(self._known) < _MAX_KNOWN:
            self._known.add(uuid)

    def changed(self, event: DomainEvent) -> None:
        """Handle a change."""
        uuid = event.uuid
        if event.change is Change.CONNECTED:
            self._spawn("", self._compare())
        elif event.change in (Change.DEFINED, Change.STARTED):
            self._migrated.pop(uuid, None)
            self.seen(uuid)
        elif event.change is Change.MIGRATED:
            now = self._clock.seconds()
            self._migrated = {known: at for known, at in self._migrated.items() if now - at < _MIGRATED_FOR}
            self._migrated[uuid] = now
            # The domain has moved to another host, so its absence here does not mean that it ended.
            self._known.discard(uuid)
        elif event.change in (Change.STOPPED, Change.UNDEFINED):
            self._spawn(uuid, self._follow(uuid))

    def stop(self) -> None:
        """Cancel all pending work."""
        self._again.clear()
        for pending in list(self._pending.values()):
            pending.cancel()

    def _spawn(self, uuid: str, work: Coroutine[Any, Any, None]) -> None:
        """Begin work about a domain.  If earlier work about this domain is still running, begin when that has ended.

        :param uuid: the domain; empty for :meth:`_compare`, which is about all domains.
        """
        if uuid in self._pending:
            work.close()
            self._again.add(uuid)  # the running work may have read the domain before this change
            return
        # _compare() is never dropped: without it, all domains that ended during an outage would keep their tokens.
        if uuid and len(self._pending) >= _MAX_PENDING:
            work.close()
            _log.warn("too many domains end at once: the tokens of {uuid} stay valid until they expire", uuid=uuid)
            return
        pending = Deferred.fromCoroutine(work)
        self._pending[uuid] = pending
        # stop() cancels the work; this is not an error.
        pending.addErrback(lambda failure: failure.trap(CancelledError) and None)
        failed = "the end of domain {uuid} could not be handled" if uuid else "the domains could not be compared"
        pending.addErrback(lambda failure: _log.failure(failed, failure, uuid=uuid))

        def over(_result: Any) -> None:
            del self._pending[uuid]
            if uuid in self._again:
                self._again.discard(uuid)
                self._spawn(uuid, self._follow(uuid) if uuid else self._compare())

        pending.addCallback(over)

    async def _compare(self) -> None:
        """Find the domains that ended while libvirt reported no events."""
        # Begin a new set, to which events add their domains during the listing: the list may lack these domains.
        before, self._known, began = self._known, set(), self._clock.seconds()
        present = before
        try:
            present = {domain.uuid for domain in await self._driver.list_domains()}
        except Refusal as refusal:
            _log.debug("the domains could not be listed: {reason}", reason=str(refusal))
        finally:
            # Leave out domains that have migrated since ``began``: the list or the old set may still have them.
            self._known |= {uuid for uuid in present if self._migrated.get(uuid, -math.inf) < began}
        for uuid in before - present:
            self._spawn(uuid, self._follow(uuid))

    async def _follow(self, uuid: str) -> None:
        """Drop the tokens of a domain if it no longer exists.  Try again if libvirt or consoleauth does not answer."""
        migrated_at = self._migrated.get(uuid)
        # After a migration, libvirt undefines the domain on this host.  This event does not mean that the server ended.
        if migrated_at is not None and self._clock.seconds() - migrated_at < _MIGRATED_FOR:
            return
        reason = ""
        for pause in (*BACK_OFF, None):
            try:
                # Read the domain now: a persistent domain still exists after a STOPPED event, and may run again.
                if not await self._is_here(uuid):
                    await self._drop_unless_elsewhere(uuid)
                return
            except Refusal as refusal:
                reason = str(refusal)
            if pause is not None:
                await deferLater(self._clock, pause)
        _log.error(
            "server {uuid} may be gone: its tokens could not be dropped, and stay valid until they expire: {reason}",
            uuid=uuid,
            reason=reason,
        )

    async def _is_here(self, uuid: str) -> bool:
        """Return whether this host has the domain, which may be defined but stopped, or running but not defined."""
        try:
            # is_persistent() is called only because it looks up the domain.  get_domain() would also fail for a domain
            # whose XML can't be used.
            await self._driver.is_persistent(uuid)
        except InstanceNotFound:
            return False
        return True

    async def _drop_unless_elsewhere(self, uuid: str) -> None:
        """Ask consoleauth to drop the tokens.  consoleauth drops them only if it finds the domain on no host."""
        answer = await self._transport.call(CONSOLEAUTH.name, "instance_gone", instance_uuid=uuid)
        if isinstance(answer, dict) and answer.get("gone"):
            self._known.discard(uuid)
            _log.info("server {uuid} is gone; tokens dropped: {deleted}", uuid=uuid, deleted=answer.get("deleted"))
