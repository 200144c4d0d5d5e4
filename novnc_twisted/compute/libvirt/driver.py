"""The libvirt driver: reads domains from their live XML and never blocks the reactor."""

from __future__ import annotations  # otherwise, annotations of inner functions are evaluated at each call

import threading
from collections.abc import Callable, Sequence
from operator import methodcaller
from typing import Any, TypeAlias

import libvirt
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.logger import Logger
from zope.interface import implementer

from novnc_twisted.access.display import one_line
from novnc_twisted.compute.domain_xml import Domain, Vnc, read_vnc_password
from novnc_twisted.compute.interfaces import ActiveConsole, Change, DomainEvent, IDriver, Operation, Picture
from novnc_twisted.compute.libvirt.domains import DomainReader, Unreadable
from novnc_twisted.compute.libvirt.health import Health
from novnc_twisted.compute.libvirt.keys import send_keys
from novnc_twisted.compute.libvirt.loop import unusable
from novnc_twisted.compute.libvirt.pool import ConnectionPool
from novnc_twisted.compute.libvirt.power import operate
from novnc_twisted.compute.libvirt.screenshot import screenshot
from novnc_twisted.compute.libvirt.watch import Watch
from novnc_twisted.errors import Refusal
from novnc_twisted.messaging.shared_call import SharedCall

_log = Logger()

_Known: TypeAlias = dict[int, Domain | None]
"""Active domains by libvirt's id, as read from their XML; None: the XML can't be read, or the domain has ended."""


class _Active:
    """The active domains, and an index of their consoles by address, because a host may have hundreds of domains.

    :ivar domains: the domains by libvirt's id.
    """

    def __init__(self, domains: _Known) -> None:
        self.domains = domains
        self._consoles: dict[str | int | None, list[ActiveConsole]] = {}
        for console in self.consoles():
            self._consoles.setdefault(_address(console.vnc), []).append(console)

    def consoles(self) -> list[ActiveConsole]:
        """Return the consoles of all active domains."""
        domains = self.domains.values()
        return [ActiveConsole(domain.uuid, domain.name, domain.vnc) for domain in domains if domain and domain.vnc]

    def address_conflicts(self, domain: Domain) -> list[ActiveConsole]:
        """Return the consoles of other domains that have the same address as the console of ``domain``."""
        there = self._consoles.get(_address(domain.vnc), []) if domain.vnc else []
        return [console for console in there if console.uuid != domain.uuid]


POWER_DEADLINE = 600.0
"""Seconds for a power action: enough to save 64 GiB of memory at 115 MB/s."""

_FEW = 16
"""Maximum number of domains that are looked up one by one; for more domains, one list is read."""


def _address(vnc: Vnc) -> str | int | None:
    return vnc.port if vnc.socket is None else vnc.socket


@implementer(IDriver)
class LibvirtDriver:
    """Reads and controls the domains of one libvirt on this host.

    :param reactor: IReactorTime and IReactorFromThreads.
    :param connection_uri: ``qemu:///system``, ``qemu+unix:///session?socket=PATH``, ``test:///FILE``.
    :param workers: number of threads, each with its own connection, for all calls but power actions and screenshots.
    :param deadline: seconds until a call fails with ServiceUnavailable; power actions have :data:`POWER_DEADLINE`.
    """

    def __init__(
        self, reactor: Any, connection_uri: str = "qemu:///system", *, workers: int = 4, deadline: float = 4.0
    ) -> None:
        self.clock = reactor
        self._reactor = reactor
        self._uri = connection_uri
        self._health = Health(reactor, connection_uri)
        self._pool = ConnectionPool(
            reactor, connection_uri, workers=workers, deadline=deadline, opened=self._forget, health=self._health
        )
        # Power actions have their own threads, since some take long.  Saving and restoring have further threads, so
        # that a reboot does not wait while large memories are saved or restored.
        self._power, saves, restores = (
            ConnectionPool(reactor, connection_uri, workers=2, deadline=POWER_DEADLINE, health=self._health)
            for _ in range(3)
        )
        self._long = {Operation.SAVE: saves, Operation.RESTORE: restores}
        # Pictures have a thread of their own, so that a page with fifty thumbnails does not delay a console.
        self._pictures = ConnectionPool(reactor, connection_uri, workers=1, deadline=deadline, health=self._health)
        self._pools = (self._pool, self._power, saves, restores, self._pictures)
        self._watch: Watch | None = None
        self._reader = DomainReader()
        self._known = _Active({})
        self._keeping = threading.Lock()
        self._unreadable: set[Unreadable] = set()
        self._list = SharedCall(self._begin_list)

    def start(self, listener: Callable[[DomainEvent], None]) -> Deferred[None]:
        """See IDriver; fires at once."""

        def answering(answers: bool) -> None:
            if answers:
                self._forget_consoles()
            listener(DomainEvent(Change.CONNECTED if answers else Change.DISCONNECTED))

        self._health.start(answering, self._probe)
        for pool in self._pools:
            pool.start()
        self._watch = Watch(
            self._reactor, self._uri, listener, watched=self._reader.watched, changed=self._changed, health=self._health
        )
        self._watch.start()
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """See IDriver; takes at most 2 s, even if libvirt hangs."""
        self._health.stop()
        if self._watch is not None:
            self._watch.stop()
        stopped = gatherResults(pool.stop() for pool in self._pools)
        return stopped.addCallback(lambda _: None)

    def _probe(self) -> None:
        """Make a short call.  The pool reports its outcome to Health."""
        # isAlive() is not enough, because it does not ask libvirtd.
        self._pool.run(methodcaller("listDomainsID")).addErrback(lambda failure: failure.trap(Refusal) and None)

    def list_domains(self) -> Deferred[list[Domain]]:
        """See IDriver; a domain whose XML cannot be used is listed with only its name, UUID and state.

        The reason why the XML cannot be used is logged when it is new, not for each list.
        """
        return self._list()

    def _begin_list(self) -> Deferred[list[Domain]]:
        def report(result: tuple[list[Domain], list[Unreadable]]) -> list[Domain]:
            found, unreadable = result
            for domain in unreadable:
                if domain not in self._unreadable:
                    _log.warn(
                        "domain {name} ({uuid}): its XML can't be read, so it belongs to no project and has no "
                        "console: {reason}",
                        name=one_line(domain.name),
                        uuid=domain.uuid,
                        reason=domain.reason,
                    )
            self._unreadable = set(unreadable)
            return found

        return self._pool.run(self._reader.all).addCallback(report)

    def get_domain(self, uuid: str) -> Deferred[Domain]:
        """See IDriver."""
        return self._pool.run(lambda connection: self._reader.fresh(connection.lookupByUUIDString(uuid)))

    def domain_with_conflicts(self, uuid: str) -> Deferred[tuple[Domain, list[ActiveConsole]]]:
        """See IDriver.

        Makes four calls to libvirt (ids, look-up, XML, state), and usually one or two more for each active domain not
        known yet.

        The domain itself is read again each time, since its project decides who may open its console.  Of other
        domains, only the console addresses are used, which do not change while the domains run.
        """

        def work(connection: Any) -> tuple[Domain, list[ActiveConsole]]:
            active = self._active(connection)
            domain = self._reader.fresh(connection.lookupByUUIDString(uuid))
            return domain, active.address_conflicts(domain)

        return self._pool.run(work)

    def active_consoles(self) -> Deferred[list[ActiveConsole]]:
        """See IDriver.  Makes one call to libvirt, and usually one or two more for each active domain not known yet."""
        return self._pool.run(lambda connection: self._active(connection).consoles())

    def _active(self, connection: Any) -> _Active:
        """Return the active domains, as far as their XML can be read; runs in a thread.

        libvirt is asked for the ids each time, so new and ended domains are noticed without events.  A known domain is
        not read again: each start gives a domain a new id, and a running VNC server keeps its address.  Domains that
        have no VNC port yet do not become known (:func:`_is_settled`).
        """
        active = self._known
        known = active.domains
        numbers = connection.listDomainsID()
        if known.keys() == set(numbers):
            return active
        seen = {number: known[number] for number in numbers if number in known}
        seen |= self._read_numbers(connection, [number for number in numbers if number not in known])
        self._keep(active, {number: domain for number, domain in seen.items() if _is_settled(domain)})
        return _Active(seen)

    def _keep(self, old: _Active, domains: _Known) -> bool:
        """Replace the known domains by ``domains``, which were made from ``old``.

        :return: False: another thread has replaced ``old``.  Nothing is changed, because ``domains`` may be stale.
        """
        new = _Active(domains)
        with self._keeping:
            if old is not self._known:
                return False
            self._known = new
        return True

    def _read_numbers(self, connection: Any, numbers: list[int]) -> _Known:
        """Return active domains by their ids; None for a domain that cannot be read or has ended."""
        handles: dict[int, Any] = {}
        if len(numbers) > _FEW:
            active = connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
            handles = {handle.ID(): handle for handle in active}
        found: _Known = {}
        for number in numbers:
            try:
                handle = handles.get(number) or connection.lookupByID(number)
                domain = self._reader.recent(handle)
                # A domain that was just started has port -1 until QEMU listens.  The reader's cache may still have
                # this port, so read the XML now.
                found[number] = domain if _is_settled(domain) else self._reader.fresh(handle)
            except Exception:
                # The domain has ended or is unreadable (list_domains() logs unreadable domains).  Return the other
                # domains, unless the connection is dead.
                if unusable(connection):
                    raise
                found[number] = None
        return found

    def _changed(self, uuid: str) -> None:
        """Forget a domain because of an event; runs in libvirt's thread."""
        self._reader.changed(uuid)
        kept = False
        while not kept:
            old = self._known
            # Unreadable domains (None) are forgotten, too, because this domain may be one of them.
            kept = self._keep(old, {number: one for number, one in old.domains.items() if one and one.uuid != uuid})

    def _forget_consoles(self) -> None:
        with self._keeping:
            self._known = _Active({})

    def _forget(self) -> None:
        """Forget everything; runs in a pool thread.

        A new connection may lead to another libvirtd, which may use the same ids for other domains.
        """
        self._reader.distrust()
        self._forget_consoles()

    def is_persistent(self, uuid: str) -> Deferred[bool]:
        """See IDriver."""
        return self._pool.run(lambda connection: bool(connection.lookupByUUIDString(uuid).isPersistent()))

    def operate(self, uuid: str, operations: Sequence[Operation]) -> Deferred[None]:
        """See IDriver."""
        pool = next((self._long[one] for one in operations if one in self._long), self._power)
        return pool.act(methodcaller("lookupByUUIDString", uuid), lambda domain: operate(domain, operations))

    def screenshot(self, uuid: str, kind: str, width: int | None) -> Deferred[Picture]:
        """See IDriver."""
        return self._pictures.run(lambda connection: screenshot(connection, uuid, kind, width))

    def send_keys(self, uuid: str, codes: Sequence[int], hold: int) -> Deferred[None]:
        """See IDriver."""
        return self._pool.act(methodcaller("lookupByUUIDString", uuid), lambda domain: send_keys(domain, codes, hold))

    def get_vnc_password(self, uuid: str) -> Deferred[str | None]:
        """See IDriver; this is the only call that asks libvirt for secrets."""
        secure = libvirt.VIR_DOMAIN_XML_SECURE
        return self._pool.run(lambda connection: read_vnc_password(connection.lookupByUUIDString(uuid).XMLDesc(secure)))


def _is_settled(domain: Domain | None) -> bool:
    """Return whether the console address of a domain stays the same until the domain is started again.

    None counts as settled: an unreadable domain is not read again before the next event.
    """
    return domain is None or domain.vnc is None or domain.vnc.socket is not None or domain.vnc.port is not None
