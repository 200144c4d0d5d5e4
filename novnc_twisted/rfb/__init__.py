"""RFB, the grammar of VNC, without I/O: usable from any transport, or none (RFC 6143, rfbproto).

:func:`login` is the client's side of the handshake, :func:`offer` and :func:`refuse` are the server's;
:class:`Conversation` drives them.
"""

from typing import TYPE_CHECKING

from novnc_twisted._lazy import lazy

if TYPE_CHECKING:
    from .client_messages import ClientMessage as ClientMessage
    from .client_messages import ClientMessages as ClientMessages
    from .constants import SecurityResult as SecurityResult
    from .constants import SecurityType as SecurityType
    from .login import login as login
    from .offer import ClientInit as ClientInit
    from .offer import offer as offer
    from .offer import refuse as refuse
    from .security import SCHEMES as SCHEMES
    from .security.vnc import response as response
    from .server_init import ServerInit as ServerInit
    from .talk import Ask as Ask
    from .talk import Conversation as Conversation
    from .talk import Flooded as Flooded
    from .talk import Need as Need
    from .talk import Talk as Talk
    from .talk import Write as Write

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Ask": "talk",
        "ClientInit": "offer",
        "ClientMessage": "client_messages",
        "ClientMessages": "client_messages",
        "Conversation": "talk",
        "Flooded": "talk",
        "Need": "talk",
        "SCHEMES": "security",
        "SecurityResult": "constants",
        "SecurityType": "constants",
        "ServerInit": "server_init",
        "Talk": "talk",
        "Write": "talk",
        "login": "login",
        "offer": "offer",
        "refuse": "offer",
        "response": "security.vnc",
    },
)
