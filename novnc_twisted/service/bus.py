"""Makes the transport of a command from ``transport_url``."""

from typing import TYPE_CHECKING, Any

from novnc_twisted.messaging import TracedTransport, transport_from_url
from novnc_twisted.service.commands import ROLES
from novnc_twisted.service.exits import Unusable
from novnc_twisted.service.nova_backend import uses_nova
from novnc_twisted.service.token_plugin_backend import uses_plugin

if TYPE_CHECKING:
    from novnc_twisted.messaging.interfaces import ITransport


def make_transport(command: str, conf: Any, reactor: Any) -> "ITransport":
    """Make the transport that ``transport_url`` names.

    If nova or a token plug-in checks the tokens, the command calls none of our other services.  The transport is then
    ``memory://``.

    :raises Unusable: the command cannot use this ``transport_url`` or ``[consoleauth] backend``; the text is
        one line that begins with the option.
    """
    alone = uses_nova(command, conf) or uses_plugin(command, conf)
    url = "memory://" if alone else conf.transport_url
    if url.startswith("memory:") and command != "console" and not alone:
        raise Unusable(
            f"transport_url: memory:// is for twistd console; {command} needs redis://, the bus of the other services"
        )
    try:
        transport: ITransport = transport_from_url(reactor, url, ROLES[command])
    except ValueError as error:
        # Every Unusable about an option begins with the option's name and a colon; some texts of ValueError do not.
        text = str(error)
        if text.startswith("transport_url "):
            text = f"transport_url: it {text.removeprefix('transport_url ')}"
        raise Unusable(text if text.startswith("transport_url:") else f"transport_url: {text}") from None
    if not conf.debug:
        return transport
    traced: ITransport = TracedTransport(transport, reactor)
    return traced
