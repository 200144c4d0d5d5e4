"""What a hypervisor's driver gives to the manager."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from novnc_twisted.compute.domain_xml import Domain, Vnc


class Change(Enum):
    """What happened to a domain, or to the driver."""

    CONNECTED = "connected"
    """The hypervisor answers (again): changes may have been missed."""
    DEFINED = "defined"
    DESCRIBED = "described"
    """Its metadata changed, which may name another project now."""
    STARTED = "started"
    STOPPED = "stopped"
    MIGRATED = "migrated"
    """It stopped here, since it runs elsewhere."""
    UNDEFINED = "undefined"


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """A change, and the UUID of the domain (empty for CONNECTED)."""

    change: Change
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class ActiveConsole:
    """The console of an active domain."""

    uuid: str
    name: str
    vnc: Vnc


class IDriver(Interface):
    """A hypervisor of this host.  Nothing blocks; every Deferred fails with ServiceUnavailable within a deadline."""

    clock = Attribute("An IReactorTime.")

    def start(listener: Callable[[DomainEvent], None]) -> Deferred[None]:
        """Begin, and tell the listener of events; where the hypervisor is down it goes on trying."""

    def stop() -> Deferred[None]:
        """Close the connections."""

    def list_domains() -> Deferred[list[Domain]]:
        """All domains, stopped ones too."""

    def get_domain(uuid: str) -> Deferred[Domain]:
        """One domain; fails with InstanceNotFound where there is none such."""

    def domain_with_conflicts(uuid: str) -> Deferred[tuple[Domain, list[ActiveConsole]]]:
        """One domain, and the consoles of other active ones at its address, at one look; fails as ``get_domain``."""

    def active_consoles() -> Deferred[list[ActiveConsole]]:
        """Where the VNC servers of all active domains are; those without one are left out."""

    def get_vnc_password(uuid: str) -> Deferred[str | None]:
        """The VNC password, which may be empty; None where the domain has none.  InstanceNotFound as above."""
