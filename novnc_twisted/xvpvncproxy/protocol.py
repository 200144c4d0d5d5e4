"""The XVP front's protocol, as the unmodified Java viewer speaks it.

It sends ``CONNECT /console?token=T HTTP/1.0`` without any header, and accepts a reply only if its first line begins
with ``HTTP/1.1 200`` and a space; a refusal's status line is what it shows to its user.
"""

from novnc_twisted.access.request_head import RequestHead
from novnc_twisted.access.tokens import token_of
from novnc_twisted.contract.connect_info import XVPVNC
from novnc_twisted.errors import ClientLeft, ProtocolViolation, Refusal, TokenMissing, TooManyFailures
from novnc_twisted.frontend.protocol import FrontProtocol
from novnc_twisted.frontend.refusals import cause_of
from novnc_twisted.frontend.viewer import FrontViewer
from novnc_twisted.http.checks import check_response
from novnc_twisted.relay.stream_end import VIEWER_STALL, StreamEnd
from novnc_twisted.rfb.handshake import Handshake

METHODS = "CONNECT, GET, HEAD, OPTIONS"
"""HEAD for health checks alone."""

READY = b"HTTP/1.1 200 OK\r\n\r\n"


def status_line(cause: Refusal) -> bytes:
    """The refusal as the viewer shows it."""
    return f"HTTP/1.1 {cause.status or 503} {cause.sentence}\r\n\r\n".encode()


class XVPVNCProxyProtocol(FrontProtocol):
    """One connection of a Java viewer."""

    def head_received(self, head: RequestHead, rest: bytes) -> None:
        """Begin the session that it asks for, or answer."""
        token = token_of(head.target)
        if any(name == "origin" or name.startswith("sec-fetch-") for name, _ in head.fields):
            # A page in a browser can make its visitor send requests; each would count as a guess of the visitor's.
            self.refused("Browser", self.peer_address, ProtocolViolation.status, "a web browser sent the request")
            self.refuse(ProtocolViolation("a web browser"))
        elif not token and (response := check_response(head, METHODS, close=True)) is not None:
            self.send_final_response(response, ClientLeft())
        elif head.method in ("GET", "HEAD") and not token:
            self.refuse(TokenMissing())  # a health check: it leaves no line in the log
        elif head.method not in ("CONNECT", "GET"):
            self.bad_head(ProtocolViolation(f"the method is {head.method[:20]}, not CONNECT or GET"))
        else:
            self._begin(token, rest)

    def _begin(self, token: str | None, rest: bytes) -> None:
        check = self.begin_check(token, self.peer_address)
        if check is None:
            self.refuse(TooManyFailures())
            return
        end = StreamEnd(self.factory.reactor, self.peer, linger=True, stall=VIEWER_STALL)
        self.become(end, rest)
        self.begin(XVPViewer, end, token, self.peer_address, check)

    def bad_head(self, cause: Refusal) -> None:
        """Refuse a request that is not a viewer's."""
        self.refused(cause_of(cause), self.peer_address, cause.status, cause.detail)
        self.refuse(cause)

    def refuse(self, cause: Refusal) -> None:
        """Send the reason, and close."""
        self.send_final_response(status_line(cause), cause)


class XVPViewer(FrontViewer):
    """A Java viewer as its session knows it."""

    console_type = XVPVNC

    def welcome(self) -> None:
        """Send the reply that it waits for; RFB follows."""
        self.end.write(READY)

    def refusal(self, cause: Refusal) -> Handshake[None] | None:
        """Send a status line in place of the reply."""
        self.end.write(status_line(cause))
        return None
