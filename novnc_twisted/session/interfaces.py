"""What a session asks of its front."""

from zope.interface import Attribute, Interface

from novnc_twisted.errors import Refusal
from novnc_twisted.relay.interfaces import IEnd
from novnc_twisted.rfb.handshake import Handshake


class IViewer(Interface):
    """The viewer of a session, as its front provides it."""

    end: IEnd = Attribute("The client's IEnd.")
    console_type: str = Attribute("``novnc`` or ``xvpvnc``.")
    token: str | None = Attribute("The plain token; None if the viewer sent none.")
    address: str = Attribute("The client's address, as the authority receives it.")

    def token_checked(cause: Refusal | None) -> None:
        """The token has been checked: it is valid (None), or refused with a cause.  Called once for each session."""

    def welcome() -> None:
        """The VNC server is ready and logged in: RFB follows."""

    def refusal(cause: Refusal) -> Handshake[None] | None:
        """Send the reason before RFB has begun: write it, or return the handshake that sends it."""
