"""The ``twistd`` commands: which services each of them runs, and its role on the bus."""

from typing import Final

from novnc_twisted.contract import roles

PROXIES: Final = ("novncproxy", "xvpvncproxy")
"""The services that relay consoles; only they can have several worker processes."""

LISTENING: Final = ("consoleapi", *PROXIES)
"""The services that listen on a port.  Sockets that systemd passes without names belong to them in this order."""

SERVICES: Final = {
    "consoleauth": ("consoleauth",),
    "consolecompute": ("consolecompute",),
    "consoleapi": ("consoleapi",),
    "novncproxy": ("novncproxy",),
    "xvpvncproxy": ("xvpvncproxy",),
    "console": ("consoleauth", "consolecompute", "consoleapi", "novncproxy", "xvpvncproxy"),
}
"""The services that each command runs."""

ROLES: Final = {
    "consoleauth": roles.CONSOLEAUTH,
    "consolecompute": roles.COMPUTE,
    "consoleapi": roles.API,
    "novncproxy": roles.PROXY,
    "xvpvncproxy": roles.PROXY,
    "console": "",
}
"""The role of each command on the bus; ``console`` runs all services and has no role."""


def listening_services(command: str) -> tuple[str, ...]:
    """Return the services of a command that listen on a port."""
    return tuple(service for service in SERVICES[command] if service in LISTENING)


def has_proxy(command: str) -> bool:
    """Return whether the command runs a proxy."""
    return any(service in PROXIES for service in SERVICES[command])
