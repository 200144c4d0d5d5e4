"""The transport of a command, from ``transport_url``."""

from typing import TYPE_CHECKING, Any

from novnc_twisted.contract import roles
from novnc_twisted.messaging import TracedTransport, transport_from_url
from novnc_twisted.service.exits import Unusable

if TYPE_CHECKING:
    from novnc_twisted.messaging.interfaces import ITransport

ROLES = {
    "consoleauth": roles.CONSOLEAUTH,
    "consolecompute": roles.COMPUTE,
    "consoleapi": roles.API,
    "novncproxy": roles.PROXY,
    "xvpvncproxy": roles.PROXY,
    "console": "",
}
"""The role of each command on the bus; ``console`` runs all services and has none."""


def make_transport(command: str, conf: Any, reactor: Any) -> "ITransport":
    """The transport that ``transport_url`` names, not started yet.

    :raises Unusable: with one line that names transport_url.
    """
    url = conf.transport_url
    if url.startswith("memory:") and command != "console":
        raise Unusable(
            f"transport_url: memory:// is for twistd console; {command} needs redis://, where the others are"
        )
    try:
        transport: ITransport = transport_from_url(reactor, url, ROLES[command])
    except ValueError as error:
        text = str(error)
        if text.startswith("transport_url "):
            text = f"transport_url: it {text.removeprefix('transport_url ')}"
        raise Unusable(text if text.startswith("transport_url:") else f"transport_url: {text}") from None
    if not conf.debug:
        return transport
    traced: ITransport = TracedTransport(transport, reactor)
    return traced
