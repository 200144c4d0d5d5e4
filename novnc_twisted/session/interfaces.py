"""The interface of a viewer, which a front (the noVNC proxy or the XVP proxy) passes to the session."""

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
    preface: bytes = Attribute("What precedes RFB, such as the response to CONNECT.  Sent with the first RFB message.")

    def token_checked(cause: Refusal | None) -> None:
        """Called once after the check of the token.

        :param cause: why the token was refused, or why the check ended without an answer; None: the token is valid.
        """

    def refusal(cause: Refusal) -> Handshake[None] | None:
        """Tell the viewer why it is refused.  Called only before the preface is sent.

        :return: the handshake that sends the reason; None if this method has sent it already.
        """
