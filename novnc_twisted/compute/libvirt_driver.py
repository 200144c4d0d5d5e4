"""The libvirt driver: domains by their live XML, without ever blocking the reactor."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import libvirt
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from zope.interface import implementer

from novnc_twisted.compute.domain_xml import Domain, DomainXMLError, read_domain, read_vnc_password
from novnc_twisted.compute.interfaces import ActiveConsole, Change, DomainEvent, IDriver
from novnc_twisted.compute.libvirt_pool import ConnectionPool
from novnc_twisted.compute.libvirt_watch import Watch
from novnc_twisted.compute.states import STATES, is_migrating

_log = Logger()


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
        self._pool = ConnectionPool(reactor, connection_uri, workers=workers, deadline=deadline)
        self._watch: Watch | None = None
        self._consoles: dict[tuple[str, int], ActiveConsole | None] = {}
        self._unreadable: set[str] = set()

    def start(self, listener: Callable[[DomainEvent], None]) -> Deferred[None]:
        """See IDriver; fires at once."""

        def heard(event: DomainEvent) -> None:
            if event.change is Change.CONNECTED:
                self._consoles = {}  # a new libvirtd counts its domains anew
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

    def active_consoles(self) -> Deferred[list[ActiveConsole]]:
        """See IDriver; one call to libvirt, and one for each domain that started since the last time."""

        def work(connection: Any) -> list[ActiveConsole]:
            known, consoles = self._consoles, {}
            for handle in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
                # The id is new with every start, and a live VNC server keeps its address.
                key = (handle.UUIDString(), handle.ID())
                console = known[key] if key in known else _console(handle)
                if console is None or console.vnc.socket is not None or console.vnc.port is not None:
                    consoles[key] = console
            if known is self._consoles:
                self._consoles = consoles
            return [console for console in consoles.values() if console is not None]

        return self._pool.run(work)

    def get_vnc_password(self, uuid: str) -> Deferred[str | None]:
        """See IDriver; the only call that asks libvirt for secrets."""
        secure = libvirt.VIR_DOMAIN_XML_SECURE
        return self._pool.run(lambda connection: read_vnc_password(connection.lookupByUUIDString(uuid).XMLDesc(secure)))


def _read(handle: Any) -> Domain:
    domain = read_domain(handle.XMLDesc(0))
    state, reason = handle.state()[:2]
    name, power_state = STATES.get(state, STATES[0])
    return replace(domain, state=name, power_state=power_state, migrating=is_migrating(state, reason))


def _console(handle: Any) -> ActiveConsole | None:
    try:
        domain = read_domain(handle.XMLDesc(0))
    except DomainXMLError:
        return None
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return None
    return ActiveConsole(domain.uuid, domain.name, domain.vnc) if domain.vnc is not None else None
