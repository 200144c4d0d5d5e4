"""The XVP front's protocol, as the unmodified Java viewer speaks it.

It sends ``CONNECT /console?token=T HTTP/1.0`` without any header, and accepts a reply only if its first line begins
with ``HTTP/1.1 200`` and a space; a refusal's status line is what it shows to its user.
"""

from zope.interface import implementer

from novnc_twisted.access.connect_info import XVPVNC
from novnc_twisted.access.request_head import RequestHead
from novnc_twisted.access.tokens import token_of
from novnc_twisted.errors import ClientLeft, ProtocolViolation, Refusal, TooManyFailures
from novnc_twisted.http.checks import answer_check
from novnc_twisted.http.responses import response_head
from novnc_twisted.relay.ends import VIEWER_STALL, StreamEnd
from novnc_twisted.relay.interfaces import IEnd
from novnc_twisted.rfb.talk import Talk
from novnc_twisted.session.front import FrontProtocol
from novnc_twisted.session.interfaces import IViewer

METHODS = "CONNECT, GET, HEAD, OPTIONS"
"""HEAD for health checks alone."""

READY = b"HTTP/1.1 200 OK\r\n\r\n"


def status_line(cause: Refusal) -> bytes:
    """The refusal as the viewer shows it."""
    return f"HTTP/1.1 {cause.status or 503} {cause.sentence}\r\n\r\n".encode()


class XVPVNCProxyProtocol(FrontProtocol):
    """One connection of a Java viewer."""

    def head_received(self, head: RequestHead, rest: bytes) -> None:
        """Begin the session that it asks for."""
        if not token_of(head.target) and (check := answer_check(head, METHODS)) is not None:
            response = response_head(check.status, length=len(check.body), fields=check.fields, close=True)
            self.last_words(response + (check.body if head.method == "GET" else b""), ClientLeft())
        elif self.factory.failures.too_many(self.peer_address):
            self.refuse(TooManyFailures())
        elif head.method not in ("CONNECT", "GET"):
            self.bad_head(ProtocolViolation(f"the method {head.method[:20]}"))
        else:
            end = StreamEnd(self.factory.reactor, self.transport, self.peer, linger=True, stall=VIEWER_STALL)
            self.become(end, rest)
            self.begin(XVPViewer(end, token_of(head.target), self.peer_address))

    def bad_head(self, cause: Refusal) -> None:
        """Refuse what is no head of a viewer."""
        self.factory.failures.count(self.peer_address)
        self.refuse(cause)

    def refuse(self, cause: Refusal) -> None:
        """Say why, and close."""
        self.last_words(status_line(cause), cause)


@implementer(IViewer)
class XVPViewer:
    """A Java viewer as its session knows it."""

    console_type = XVPVNC

    def __init__(self, end: IEnd, token: str | None, address: str) -> None:
        self.end, self.token, self.address = end, token, address

    def welcome(self) -> None:
        """The reply that it waits for; RFB follows."""
        self.end.write(READY)

    def refusal(self, cause: Refusal) -> Talk[None] | None:
        """A status line in place of the reply."""
        self.end.write(status_line(cause))
        return None
