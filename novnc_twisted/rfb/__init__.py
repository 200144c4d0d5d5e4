"""RFB, the protocol of VNC (RFC 6143, rfbproto), without I/O: usable with any transport, or without one.

:func:`login` is the client's side of the handshake; :func:`offer` and :func:`refuse` are the server's side.
:class:`HandshakeDriver` drives them.  After the handshake, :class:`Shield` checks the messages of a viewer, and
:class:`ViewOnly` removes all messages that do more than ask for the screen.
"""

from typing import TYPE_CHECKING

from novnc_twisted._lazy import lazy

if TYPE_CHECKING:
    from .client_messages import ClientMessage as ClientMessage
    from .constants import SecurityResult as SecurityResult
    from .constants import SecurityType as SecurityType
    from .handshake import Ask as Ask
    from .handshake import Flooded as Flooded
    from .handshake import Handshake as Handshake
    from .handshake import HandshakeDriver as HandshakeDriver
    from .handshake import Injected as Injected
    from .handshake import Need as Need
    from .handshake import StartTLS as StartTLS
    from .handshake import Write as Write
    from .login import login as login
    from .offer import ClientInit as ClientInit
    from .offer import offer as offer
    from .offer import refuse as refuse
    from .security import SCHEMES as SCHEMES
    from .security.vencrypt import SUBTYPES as SUBTYPES
    from .security.vnc import response as response
    from .server_init import ServerInit as ServerInit
    from .shield import Shield as Shield
    from .view_only import ViewOnly as ViewOnly

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Ask": "handshake",
        "ClientInit": "offer",
        "ClientMessage": "client_messages",
        "HandshakeDriver": "handshake",
        "Flooded": "handshake",
        "Injected": "handshake",
        "Need": "handshake",
        "SCHEMES": "security",
        "SUBTYPES": "security.vencrypt",
        "SecurityResult": "constants",
        "SecurityType": "constants",
        "ServerInit": "server_init",
        "Shield": "shield",
        "StartTLS": "handshake",
        "ViewOnly": "view_only",
        "Handshake": "handshake",
        "Write": "handshake",
        "login": "login",
        "offer": "offer",
        "refuse": "offer",
        "response": "security.vnc",
    },
)
