"""The libvirt driver: domains by their live XML, without ever blocking the reactor."""

from __future__ import annotations  # else those of inner functions are worked out at each call

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import libvirt
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from zope.interface import implementer

from novnc_twisted.compute.domain_xml import Domain, DomainXMLError, Vnc, read_domain, read_vnc_password
from novnc_twisted.compute.interfaces import ActiveConsole, Change, DomainEvent, IDriver
from novnc_twisted.compute.libvirt_pool import ConnectionPool
from novnc_twisted.compute.libvirt_watch import Watch
from novnc_twisted.compute.states import STATES, is_migrating

_log = Logger()

_Known: TypeAlias = dict[int, Domain | None]
"""By id: what the XML of an active domain says; None: it can't be read."""


class _Active:
    """What the XML of the active domains says, with an index of their consoles: a host may run hundreds.

    :ivar domains: by id.
    """

    def __init__(self, domains: _Known) -> None:
        self.domains = domains
        self._consoles: dict[str | int | None, list[ActiveConsole]] = {}
        for console in self.consoles():
            self._consoles.setdefault(_address(console.vnc), []).append(console)

    def consoles(self) -> list[ActiveConsole]:
        """All of them."""
        domains = self.domains.values()
        return [ActiveConsole(domain.uuid, domain.name, domain.vnc) for domain in domains if domain and domain.vnc]

    def rivals(self, domain: Domain) -> list[ActiveConsole]:
        """Those of others at this one's address."""
        there = self._consoles.get(_address(domain.vnc), []) if domain.vnc else []
        return [console for console in there if console.uuid != domain.uuid]


def _address(vnc: Vnc) -> str | int | None:
    return vnc.port if vnc.socket is None else vnc.socket


_ALIVE = (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_BLOCKED, libvirt.VIR_DOMAIN_PAUSED)


@implementer(IDriver)
class LibvirtDriver:
    """A libvirt of this host.

    :param reactor: IReactorTime and IReactorFromThreads.
    :param connection_uri: ``qemu:///system``, ``qemu+unix:///session?socket=PATH``, ``test:///FILE``.
    :param workers: threads, each with a connection of its own.
    :param deadline: seconds within which every call gives its result or fails with ServiceUnavailable.
    """

    def __init__(
        self, reactor: Any, connection_uri: str = "qemu:///system", *, workers: int = 4, deadline: float = 4.0
    ) -> None:
        self.clock = reactor
        self._reactor = reactor
        self._uri = connection_uri
        self._pool = ConnectionPool(
            reactor, connection_uri, workers=workers, deadline=deadline, opened=self._forget_all
        )
        self._watch: Watch | None = None
        self._known = _Active({})
        self._unreadable: set[str] = set()

    def start(self, listener: Callable[[DomainEvent], None]) -> Deferred[None]:
        """See IDriver; fires at once."""

        def heard(event: DomainEvent) -> None:
            if event.change is Change.CONNECTED:
                self._forget_all()
            listener(event)

        self._pool.start()
        self._watch = Watch(self._reactor, self._uri, heard)
        self._watch.start()
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """See IDriver; within 2 s, also where libvirt hangs."""
        if self._watch is not None:
            self._watch.stop()
        return self._pool.stop()

    def list_domains(self) -> Deferred[list[Domain]]:
        """See IDriver; a domain whose XML can't be read is left out, and logged once."""

        def work(connection: Any) -> tuple[list[Domain], dict[str, str]]:
            found: list[Domain] = []
            unreadable: dict[str, str] = {}
            for handle in connection.listAllDomains(0):
                try:
                    found.append(_read(handle))
                except DomainXMLError as error:
                    unreadable[handle.UUIDString()] = str(error)
                except libvirt.libvirtError as error:
                    if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:  # it went meanwhile
                        raise
            return found, unreadable

        def report(result: tuple[list[Domain], dict[str, str]]) -> list[Domain]:
            found, unreadable = result
            for uuid in unreadable.keys() - self._unreadable:
                _log.warn("the XML of domain {uuid} can't be read: {reason}", uuid=uuid, reason=unreadable[uuid])
            self._unreadable = set(unreadable)
            return found

        return self._pool.run(work).addCallback(report)

    def get_domain(self, uuid: str) -> Deferred[Domain]:
        """See IDriver."""
        return self._pool.run(lambda connection: _read(connection.lookupByUUIDString(uuid)))

    def neighbourhood(self, uuid: str) -> Deferred[tuple[Domain, list[ActiveConsole]]]:
        """See IDriver; three calls to libvirt, and two for each domain that started since the last time."""

        def work(connection: Any) -> tuple[Domain, list[ActiveConsole]]:
            for _ in range(2):
                active = self._active(connection)
                known = active.domains
                handle = connection.lookupByUUIDString(uuid)
                number = handle.ID()
                if number < 0 or number in known:
                    break  # else it has just been started: once more, among those that run now
            mine = known.get(number)
            domain = _as_it_is(handle, mine if mine is not None and mine.uuid == uuid else None)
            return domain, active.rivals(domain)

        return self._pool.run(work)

    def active_consoles(self) -> Deferred[list[ActiveConsole]]:
        """See IDriver; one call to libvirt, and two for each domain that started since the last time."""
        return self._pool.run(lambda connection: self._active(connection).consoles())

    def _active(self, connection: Any) -> _Active:
        """In a thread: what the XML of the active domains says, where it can be read.

        XML that tells where the console is is not asked for again: a domain's id is new with every start, and a live
        VNC server keeps its address.  Ids are told anew by libvirt each time, so no event has to be trusted; those of
        another libvirtd are worth nothing, and what was known is forgotten with the connection.
        """
        active = self._known
        known = active.domains
        numbers = connection.listDomainsID()
        if known.keys() == set(numbers):
            return active
        seen = {number: known[number] if number in known else _read_id(connection, number) for number in numbers}
        if active is self._known:
            self._known = _Active({number: domain for number, domain in seen.items() if _is_settled(domain)})
        return _Active(seen)

    def _forget_all(self) -> None:
        self._known = _Active({})

    def get_vnc_password(self, uuid: str) -> Deferred[str | None]:
        """See IDriver; the only call that asks libvirt for secrets."""
        secure = libvirt.VIR_DOMAIN_XML_SECURE
        return self._pool.run(lambda connection: read_vnc_password(connection.lookupByUUIDString(uuid).XMLDesc(secure)))


def _read(handle: Any) -> Domain:
    domain = read_domain(handle.XMLDesc(0))
    state, reason = handle.state()[:2]
    name, power_state = STATES.get(state, STATES[0])
    return replace(domain, state=name, power_state=power_state, migrating=is_migrating(state, reason))


def _as_it_is(handle: Any, domain: Domain | None) -> Domain:
    """What is known of an active domain, with its state of this moment."""
    if domain is not None:
        state, reason = handle.state()[:2]
        if state in _ALIVE:
            name, power_state = STATES[state]
            return replace(domain, state=name, power_state=power_state, migrating=is_migrating(state, reason))
    return _read(handle)


def _read_id(connection: Any, number: int) -> Domain | None:
    """An active domain by its XML; None where there is none that can be read."""
    try:
        return read_domain(connection.lookupByID(number).XMLDesc(0))
    except DomainXMLError:
        return None
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return None


def _is_settled(domain: Domain | None) -> bool:
    """Whether nothing more can be told of its console until it is started anew."""
    return domain is None or domain.vnc is None or domain.vnc.socket is not None or domain.vnc.port is not None
