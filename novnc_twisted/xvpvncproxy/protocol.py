"""The protocol of the XVP proxy, for the unmodified Java viewer.

The viewer sends ``CONNECT /console?token=T HTTP/1.0`` without any header.  It accepts a reply only if the first line
begins with ``HTTP/1.1 200`` and a space.  It shows the status line of any other reply to its user.
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
"""The methods of this port, for the Allow field of the response to OPTIONS.

GET with a token is accepted in place of CONNECT.  Without a token, OPTIONS of any path, and GET and HEAD of
``/healthz``, are health checks.
"""

READY = b"HTTP/1.1 200 OK\r\n\r\n"
"""The response to CONNECT, after which RFB begins."""


def status_line(cause: Refusal) -> bytes:
    """Return the response for a refusal: only a status line, which the viewer shows."""
    return f"HTTP/1.1 {cause.status or 503} {cause.sentence}\r\n\r\n".encode()


class XVPVNCProxyProtocol(FrontProtocol):
    """One connection of a Java viewer."""

    def head_received(self, head: RequestHead, rest: bytes) -> None:
        """Begin a session, answer a health check, or refuse the request."""
        token = token_of(head.target)
        if any(name == "origin" or name.startswith("sec-fetch-") for name, _ in head.fields):
            # Any web page can make a visitor's browser send requests here.  Such requests do not count as guesses of a
            # token.  If they did, the page could use up the failures allowed for the visitor's address.
            self.refused("Browser", self.peer_address, ProtocolViolation.status, "a web browser sent the request")
            self.refuse(ProtocolViolation("a web browser"))
        elif not token and (response := check_response(head, METHODS, close=True)) is not None:
            self.send_final_response(response, ClientLeft())
        elif head.method in ("GET", "HEAD") and not token:
            self.refuse(TokenMissing())  # it may be a health check of another path, so it is not logged
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
        """Refuse a request whose head is malformed, too long or too late, or whose method is not allowed.

        The observer of the factory is notified.
        """
        self.refused(cause_of(cause), self.peer_address, cause.status, cause.detail)
        self.refuse(cause)

    def refuse(self, cause: Refusal) -> None:
        """Send the reason as a status line, and close the connection.  The observer is not notified."""
        self.send_final_response(status_line(cause), cause)


class XVPViewer(FrontViewer):
    """The viewer of a session: the Java viewer."""

    console_type = XVPVNC
    preface = READY

    def refusal(self, cause: Refusal) -> Handshake[None] | None:
        """Send the reason as a status line, instead of :data:`READY`; no handshake has to follow."""
        self.end.write(status_line(cause))
        return None
