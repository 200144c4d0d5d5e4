"""The address of the console of a running domain."""

from novnc_twisted.compute.domain_xml import Domain, Vnc
from novnc_twisted.errors import ConsoleTypeUnavailable, InstanceNotRunning


def console_address(domain: Domain) -> Vnc:
    """Return where the VNC server of a running domain listens.

    :raises InstanceNotRunning: the port is not known yet.
    :raises ConsoleTypeUnavailable: the domain has no VNC server that listens.
    """
    vnc = domain.vnc
    if vnc is None:
        raise ConsoleTypeUnavailable(f"{domain.name} has no <graphics type='vnc'>")
    if vnc.socket is None and vnc.nowhere:
        raise ConsoleTypeUnavailable(f"{domain.name} has <listen type='none'/>: its VNC server listens nowhere")
    if vnc.socket is None and vnc.port is None:
        raise InstanceNotRunning(f"{domain.name} has no VNC port yet (-1); try again in a moment")
    return vnc
