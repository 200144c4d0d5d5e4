"""The interface between the manager and the driver of a hypervisor."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from novnc_twisted.compute.domain_xml import Domain, Vnc


class Change(Enum):
    """A change of a domain, or of the connection to the hypervisor."""

    CONNECTED = "connected"
    """The hypervisor answers calls and reports changes, for the first time or again.

    Changes before this event may have been missed.
    """
    DISCONNECTED = "disconnected"
    """The hypervisor does not answer, or the connection for events was lost.  Changes may be missed until CONNECTED."""
    DEFINED = "defined"
    DESCRIBED = "described"
    """The metadata of the domain changed.  It may name another project now."""
    STARTED = "started"
    STATE = "state"
    """The domain was paused or resumed, its guest suspended itself, or the domain crashed."""
    STOPPED = "stopped"
    MIGRATED = "migrated"
    """The domain stopped on this host, because it now runs on another host."""
    UNDEFINED = "undefined"


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture of a screen.

    :ivar width: in pixels.
    :ivar height: in pixels.
    """

    data: bytes
    width: int
    height: int


class Operation(Enum):
    """An operation on a domain."""

    CREATE = "create"
    """Start it."""
    RESTORE = "restore"
    """Start it from its saved state: read its memory from the host's disk."""
    BOOT = "boot"
    """Start it without its saved state, which is deleted."""
    SHUTDOWN = "shutdown"
    """Ask the guest to shut down (ACPI)."""
    DESTROY = "destroy"
    """Switch it off."""
    REBOOT = "reboot"
    """Ask the guest to reboot (ACPI)."""
    RESET = "reset"
    """Press the reset button."""
    SUSPEND = "suspend"
    """Stop its virtual CPUs: the domain is then *paused*, not *suspended*."""
    RESUME = "resume"
    """Continue its virtual CPUs."""
    SAVE = "save"
    """Save its memory to the host's disk and stop it (libvirt's managed save)."""
    WAKE = "wake"
    """Wake a guest that has suspended itself."""


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """A change, and the UUID of the domain (empty for CONNECTED and DISCONNECTED)."""

    change: Change
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class ActiveConsole:
    """The console of an active domain."""

    uuid: str
    name: str
    vnc: Vnc


class IDriver(Interface):
    """The hypervisor of this host.  No method blocks, and every Deferred fires or fails within a deadline."""

    clock = Attribute("An IReactorTime.")

    def start(listener: Callable[[DomainEvent], None]) -> Deferred[None]:
        """Begin to connect, and call the listener with each event.  The Deferred does not wait for the connection.

        While the hypervisor is down, the driver keeps trying.
        """

    def stop() -> Deferred[None]:
        """Close the connections."""

    def list_domains() -> Deferred[list[Domain]]:
        """Return all domains, stopped ones as well."""

    def get_domain(uuid: str) -> Deferred[Domain]:
        """Return one domain; fails with InstanceNotFound if this host does not have it."""

    def domain_with_conflicts(uuid: str) -> Deferred[tuple[Domain, list[ActiveConsole]]]:
        """Return a domain, and the consoles of other active domains that have the same VNC address.

        Fails like ``get_domain``.
        """

    def active_consoles() -> Deferred[list[ActiveConsole]]:
        """Return the consoles of all active domains that have a VNC server."""

    def is_persistent(uuid: str) -> Deferred[bool]:
        """Whether the domain stays defined when it is stopped; fails like ``get_domain``."""

    def operate(uuid: str, operations: Sequence[Operation]) -> Deferred[None]:
        """Do operations one after the other.  This may take minutes, and does not delay the calls of other methods.

        Fails like ``get_domain``, and with ServiceUnavailable if the hypervisor refuses an operation.
        """

    def screenshot(uuid: str, kind: str, width: int | None) -> Deferred[Picture]:
        """Return a picture of an active domain's screen; fails like ``get_domain``.

        ``kind`` is one of :data:`novnc_twisted.contract.screenshot.FORMATS`; ``width`` is the maximum width in pixels;
        None: the screen's own width.
        """

    def send_keys(uuid: str, codes: Sequence[int], hold: int) -> Deferred[None]:
        """Let the hypervisor press keys together, and release them.  Does not wait until they are released.

        ``codes`` are Linux's key codes.  ``hold`` is the time in milliseconds between two events; each press and each
        release of a key is an event.  Fails like ``get_domain``.
        """

    def get_vnc_password(uuid: str) -> Deferred[str | None]:
        """Return the VNC password, which may be empty; None: there is no password.  Fails like ``get_domain``."""
