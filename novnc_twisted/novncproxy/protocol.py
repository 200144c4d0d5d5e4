"""The noVNC front's protocol: a request is for the page, or for an upgrade that becomes a session."""

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ISSLTransport
from twisted.protocols.basic import FileSender
from twisted.python.failure import Failure

from novnc_twisted.access.forwarded import UNKNOWN, client_address, forwarded_proto
from novnc_twisted.access.hosts import is_host
from novnc_twisted.access.origin import ALLOWED, FORBIDDEN, explain_refusal, judge_origin
from novnc_twisted.access.request_head import RequestHead
from novnc_twisted.access.tokens import token_of
from novnc_twisted.contract.connect_info import NOVNC
from novnc_twisted.errors import ClientLeft, MessageTooBig, ProtocolViolation, Refusal, SetupTimeout, TooManyFailures
from novnc_twisted.events.records import RefusalCause
from novnc_twisted.frontend.protocol import FrontProtocol
from novnc_twisted.frontend.refusals import cause_of
from novnc_twisted.frontend.viewer import FrontViewer
from novnc_twisted.http.checks import check_response
from novnc_twisted.http.response_head import ALONE, content_security_policy, plain, response_head
from novnc_twisted.http.static_files import StaticFile, accepted_encodings
from novnc_twisted.novncproxy.handshake import HandshakeFailed
from novnc_twisted.novncproxy.page import NOT_BUILT, redirect_of
from novnc_twisted.relay.transports import send
from novnc_twisted.relay.websocket_end import WebSocketEnd
from novnc_twisted.rfb.handshake import Handshake
from novnc_twisted.rfb.offer import refuse

if TYPE_CHECKING:
    from novnc_twisted.novncproxy.factory import NoVNCProxyFactory

RESPONSE_DEADLINE: Final = 120.0
"""Seconds that a client has to read a file of the page."""

REQUESTS: Final = 100
"""Requests that one connection may make."""

METHODS: Final = "GET, HEAD, OPTIONS"

_FOREIGN_ORIGIN = "This console may not be opened from another site."


class NoVNCProxyProtocol(FrontProtocol):
    """One connection: requests for the page, one after the other, or a session."""

    factory: "NoVNCProxyFactory"
    _requests = 0

    def head_received(self, head: RequestHead, rest: bytes) -> None:
        """Serve a file of the page, or begin a session."""
        self._requests += 1
        upgrade = "websocket" in head.lists("upgrade") or head.all("sec-websocket-key")
        body = head.all("transfer-encoding") or head.all("content-length") not in ([], ["0"])
        hosts = head.all("host")
        if body or (rest and not upgrade):
            self._refuse(400, "A request to this port has no body, and waits for its answer.")
        elif len(hosts) > 1 or (head.minor and not hosts) or not all(map(is_host, hosts)):
            self._refuse(400, "A request names one Host.")
        elif upgrade:
            self._upgrade(head, rest)
        elif (response := check_response(head, METHODS, close=self._last(head))) is not None:
            self.transport.write(response)
            self._answered(self._last(head))
        elif head.method not in ("GET", "HEAD"):
            self.send_final_response(
                plain(405, "Only GET and HEAD are served.", fields=(("Allow", METHODS),)), ClientLeft()
            )
        else:
            self._serve(head)

    def bad_head(self, cause: Refusal) -> None:
        """Answer a head that is malformed, too long or too slow."""
        status = 431 if isinstance(cause, MessageTooBig) else 408 if isinstance(cause, SetupTimeout) else 400
        self._refuse(status, cause.sentence, cause=cause_of(cause), detail=cause.detail)

    def _refuse(
        self,
        status: int,
        sentence: str,
        *,
        address: str = "",
        cause: RefusalCause = "BadRequest",
        detail: str = "",
        option: str = "",
    ) -> None:
        self.refused(cause, address or self.peer_address, status, detail or sentence, option)
        self.send_final_response(plain(status, sentence), ProtocolViolation())

    # The WebSocket

    def _upgrade(self, head: RequestHead, rest: bytes) -> None:
        factory = self.factory
        forwarded_for = head.all("x-forwarded-for")
        address = client_address(self.peer_address, forwarded_for, factory.trusted_proxies)
        if address == UNKNOWN:
            factory.unreadable.warn(self.peer_address, forwarded_for)
        try:
            accepted = factory.handshaker.accept(head)
        except HandshakeFailed as error:
            self._refuse(400, ProtocolViolation.sentence, address=address, detail=f"no WebSocket handshake: {error}")
            return
        if not self._origin_is_good(head, address):
            return
        token = token_of(head.target, head.all("cookie"))
        check = self.begin_check(token, address)
        if check is None:
            self.send_final_response(
                plain(429, TooManyFailures.sentence, fields=(("Retry-After", "60"),)), TooManyFailures()
            )
            return
        send(self.transport, accepted)
        end = WebSocketEnd(factory.reactor, self.peer)
        self.become(end, rest)
        self.begin(NoVNCViewer, end, token, address, check)

    def _origin_is_good(self, head: RequestHead, address: str) -> bool:
        """Whether the page that opens the console may do so; if not, the request is answered."""
        factory = self.factory
        origins, hosts, protos = head.all("origin"), head.all("host"), head.all("x-forwarded-proto")
        proto = forwarded_proto(self.peer_address, protos, factory.trusted_proxies)
        allowed, scheme = factory.allowed_origins, factory.scheme
        verdict = judge_origin(origins, hosts, scheme=scheme, allowed=allowed, forwarded_proto=proto)
        if verdict == FORBIDDEN:
            why, option = explain_refusal(origins, hosts, scheme=scheme, allowed=allowed, forwarded_proto=proto)
            self._refuse(403, _FOREIGN_ORIGIN, address=address, cause="ForeignOrigin", detail=why, option=option)
        elif verdict != ALLOWED:
            self._refuse(verdict, ProtocolViolation.sentence, address=address, detail="it has two Origin fields")
        return verdict == ALLOWED

    # The page

    def _serve(self, head: RequestHead) -> None:
        path, _, query = head.target.partition("?")
        body = head.method == "GET"
        page = self.factory.page
        file = page.find(path, accepted_encodings(head.lists("accept-encoding"))) if page.exists else None
        if file is None:
            if path == "/favicon.ico":
                self._finish(head, 204)
            elif not page.exists:
                self.send_final_response(plain(503, NOT_BUILT, body=body), ClientLeft())
            else:
                self.send_final_response(plain(404, "There is no such page.", body=body), ClientLeft())
            return
        location = redirect_of(file, query) if page.foreign else None
        if location is not None:
            file.content.close()
            self._finish(head, 302, (("Location", location), ("Cache-Control", "no-store")))
            return
        fields = self._fields(head, file)
        if not file.html and file.tag in head.lists("if-none-match"):
            file.content.close()
            self._finish(head, 304, fields)
            return
        self._send(head, file, fields)

    def _fields(self, head: RequestHead, file: StaticFile) -> tuple[tuple[str, str], ...]:
        policy = content_security_policy(
            head.one("host"), self.factory.frame_ancestors, foreign=self.factory.page.foreign
        )
        proto = forwarded_proto(self.peer_address, head.all("x-forwarded-proto"), self.factory.trusted_proxies)
        secure = proto == "https" if proto else ISSLTransport.providedBy(self.transport)
        if file.html:
            cache = "no-store"
        elif file.unchanging:
            cache = "public, max-age=31536000, immutable"
        else:
            cache = "no-cache"
        tag = () if file.html else (("ETag", file.tag),)
        alone = ALONE if file.html and secure else ()
        encoding = (("Content-Encoding", file.encoding),) if file.encoding else ()
        varies = (("Vary", "Accept-Encoding"),) if file.varies else ()
        return (("Content-Security-Policy", policy), ("Cache-Control", cache), *alone, *tag, *encoding, *varies)

    def _send(self, head: RequestHead, file: StaticFile, fields: tuple[tuple[str, str], ...]) -> None:
        close = self._last(head)
        self.transport.write(
            response_head(200, length=file.size, content_type=file.content_type, fields=fields, close=close)
        )
        if head.method == "HEAD":
            file.content.close()
            self._answered(close)
            return
        self.set_deadline(RESPONSE_DEADLINE, self.hang_up)
        self.slot.reading(self.make_room)
        sent: Deferred[bytes] = FileSender().beginFileTransfer(file.content, self.transport)

        def over(result: bytes | Failure) -> None:
            file.content.close()
            if not isinstance(result, Failure):  # else the client left
                self._answered(close)

        sent.addBoth(over)

    def _finish(self, head: RequestHead, status: int, fields: tuple[tuple[str, str], ...] = ()) -> None:
        close = self._last(head)
        self.transport.write(response_head(status, length=0, fields=fields, close=close))
        self._answered(close)

    def _last(self, head: RequestHead) -> bool:
        return head.minor == 0 or "close" in head.lists("connection") or self._requests >= REQUESTS

    def _answered(self, close: bool) -> None:
        if close:
            self.send_final_response(b"", ClientLeft())
        else:
            self.await_head()


class NoVNCViewer(FrontViewer):
    """A browser's viewer as its session knows it."""

    console_type = NOVNC

    def welcome(self) -> None:
        """Nothing: RFB is the first that it waits for."""

    def refusal(self, cause: Refusal) -> Handshake[None] | None:
        """RFB's own way to give a reason, which every viewer shows; the close frame has the same."""
        return refuse(cause.sentence)
