"""The viewer of a session, as its front provides it."""

from zope.interface import Attribute, Interface

from novnc_twisted.errors import Refusal
from novnc_twisted.relay.interfaces import IEnd
from novnc_twisted.rfb.handshake import Handshake


class IViewer(Interface):
    """A viewer: its connection, what it asked for, and how to greet or refuse it."""

    end: IEnd = Attribute("The client's IEnd.")
    console_type: str = Attribute("``novnc`` or ``xvpvnc``.")
    token: str | None = Attribute("The plain token, or None if the viewer sent no token.")
    address: str = Attribute("The client's address, as it is passed to the check of the token.")

    def token_checked(cause: Refusal | None) -> None:
        """Called once, when the check of the token is over: it is valid (None), or refused."""

    def welcome() -> None:
        """Send what precedes RFB: the VNC server is ready and logged in."""

    def refusal(cause: Refusal) -> Handshake[None] | None:
        """Send the reason of a refusal before RFB began: write it, or return the handshake that sends it."""
