"""What a session asks of its front."""

from zope.interface import Attribute, Interface

from novnc_twisted.errors import Refusal
from novnc_twisted.relay.interfaces import IEnd
from novnc_twisted.rfb.handshake import Handshake


class IViewer(Interface):
    """The viewer of a session, as its front knows it."""

    end: IEnd = Attribute("The client's IEnd.")
    console_type: str = Attribute("``novnc`` or ``xvpvnc``.")
    token: str | None = Attribute("The plain token, or None where none came.")
    address: str = Attribute("The client's address, as the token's owner is told it.")

    def token_checked(cause: Refusal | None) -> None:
        """The check of the token is over: it is good, or there is a cause not to admit it.  Called once a session."""

    def welcome() -> None:
        """The VNC server is ready and logged in: RFB follows."""

    def refusal(cause: Refusal) -> Handshake[None] | None:
        """Show why there is no console, before RFB began: write it, or give the handshake that tells it."""
