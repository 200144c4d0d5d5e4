"""The protocol of the noVNC proxy: answers requests for the page, and turns WebSocket upgrades into sessions."""

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ISSLTransport
from twisted.protocols.basic import FileSender
from twisted.python.failure import Failure

from novnc_twisted.access.forwarded import UNKNOWN, client_address, forwarded_proto, is_trusted
from novnc_twisted.access.framing import FRAMES, blocked_framer, list_source
from novnc_twisted.access.hosts import is_host
from novnc_twisted.access.origin import read_origin
from novnc_twisted.access.request_head import RequestHead
from novnc_twisted.access.tokens import token_of
from novnc_twisted.contract.connect_info import NOVNC
from novnc_twisted.errors import ClientLeft, MessageTooBig, ProtocolViolation, Refusal, SetupTimeout, TooManyFailures
from novnc_twisted.events.refused import FrameBlocked, RefusalCause
from novnc_twisted.frontend.protocol import FrontProtocol
from novnc_twisted.frontend.refusals import cause_of
from novnc_twisted.frontend.viewer import FrontViewer
from novnc_twisted.http.checks import check_response
from novnc_twisted.http.response_head import plain, response_head
from novnc_twisted.http.static_files import StaticFile
from novnc_twisted.novncproxy.page_response import PageResponse, page_response
from novnc_twisted.novncproxy.upgrade import UpgradeRefused
from novnc_twisted.relay.channel_end import ChannelEnd
from novnc_twisted.relay.transports import send
from novnc_twisted.relay.websocket_end import WebSocketEnd
from novnc_twisted.rfb.handshake import Handshake
from novnc_twisted.rfb.offer import refuse

if TYPE_CHECKING:
    from novnc_twisted.novncproxy.factory import NoVNCProxyFactory

RESPONSE_DEADLINE: Final = 120.0
"""Seconds from sending the head of a response until the client must have received the file of the page."""

REQUESTS: Final = 100
"""Maximum number of requests on one connection."""

METHODS: Final = "GET, HEAD, OPTIONS"


class NoVNCProxyProtocol(FrontProtocol):
    """One connection: requests for the page, one after the other, until an upgrade turns it into a session."""

    factory: "NoVNCProxyFactory"

    def head_received(self, head: RequestHead, rest: bytes) -> None:
        """Answer a request for the page, or begin a session."""
        upgrade = "websocket" in head.lists("upgrade") or head.all("sec-websocket-key")
        body = head.all("transfer-encoding") or head.all("content-length") not in ([], ["0"])
        hosts = head.all("host")
        # This server does not read bodies, so a body would be taken for the next request (request smuggling).  Bytes
        # that follow the head at once may be a body.  So pipelined requests are refused, too.  Bytes behind an upgrade
        # are not a body: they belong to the session.
        if body or (rest and not upgrade):
            self._refuse(400, "A request to this port must have no body, and must wait for the previous response.")
        elif len(hosts) > 1 or (head.minor and not hosts) or not all(map(is_host, hosts)):
            # Required by RFC 9112, section 3.2.  A request with HTTP/1.0 may have no Host.
            self._refuse(400, "A request must have exactly one valid Host.")
        elif upgrade:
            self._upgrade(head, rest)
        elif (response := check_response(head, METHODS, close=self._is_last(head))) is not None:
            # Send the response at once: some health checks close their sending side after the request, and are then
            # treated like a client that has left.
            send(self.transport, response)
            self._answered(self._is_last(head))
        elif head.method not in ("GET", "HEAD"):
            self.send_final_response(
                plain(405, "This port accepts only GET, HEAD and OPTIONS.", fields=(("Allow", METHODS),)), ClientLeft()
            )
        else:
            self._serve(head)

    def bad_head(self, cause: Refusal) -> None:
        """Answer a head that is malformed, too long or too slow."""
        status = 400
        if isinstance(cause, MessageTooBig):
            status = 431
        elif isinstance(cause, SetupTimeout):
            status = 408
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

    def _upgrade(self, head: RequestHead, rest: bytes) -> None:
        """Begin a session, unless the upgrade is refused."""
        factory = self.factory
        forwarded_for = head.all("x-forwarded-for")
        address = client_address(self.peer_address, forwarded_for, factory.trusted_proxies)
        if address == UNKNOWN:
            factory.unreadable.warn(self.peer_address, forwarded_for)
        try:
            accepted = factory.upgrades.admit(head, self.peer_address)
        except UpgradeRefused as why:
            self._refuse(
                why.status, why.sentence, address=address, cause=why.cause, detail=why.detail, option=why.option
            )
            return
        token = token_of(head.target, head.all("cookie"))
        check = self.begin_check(token, address)
        if check is None:
            self.send_final_response(
                plain(429, TooManyFailures.sentence, fields=(("Retry-After", "60"),)), TooManyFailures()
            )
            return
        # The token is checked after the upgrade: browsers hide the status of a failed upgrade and show only "1006".
        send(self.transport, accepted.response)
        kind = ChannelEnd if accepted.channel else WebSocketEnd
        end = kind(factory.reactor, self.peer, ping_every=factory.settings.ping_interval)
        # become() gives ``end`` its transport, to which a session that refuses at once writes.
        self.become(end, rest)
        self.begin(NoVNCViewer, end, token, address, check)

    def _serve(self, head: RequestHead) -> None:
        """Answer a request for the page."""
        factory = self.factory
        proto = forwarded_proto(self.peer_address, head.all("x-forwarded-proto"), factory.trusted_proxies)
        secure = proto == "https" if proto else ISSLTransport.providedBy(self.transport)
        # Our API's page with the list of servers may show the console page in a frame.  Behind a reverse proxy, Host is
        # the name of the reverse proxy, where our API does not listen.
        listening = () if is_trusted(self.peer_address, factory.trusted_proxies) else factory.list_addresses
        list_page = list_source(factory.frame_ancestors, head.one("host"), listening)
        framers = (*factory.frame_ancestors, list_page) if list_page else factory.frame_ancestors
        response = page_response(head, factory.page, frame_ancestors=framers, secure=secure)
        if response.sentence:
            whole = plain(response.status, response.sentence, body=head.method == "GET")
            self.send_final_response(whole, ClientLeft())
        elif response.file is not None:
            if response.file.html and not FRAMES.isdisjoint(head.all("sec-fetch-dest")):
                self._report_frame(head, framers, list_page, secure=secure)
            self._send(head, response, response.file)
        else:
            close = self._is_last(head)
            self.transport.write(response_head(response.status, length=0, fields=response.fields, close=close))
            self._answered(close)

    def _report_frame(self, head: RequestHead, framers: tuple[str, ...], list_page: str, *, secure: bool) -> None:
        """Report a request for the page in a frame of another site, if the browser will not show the page there."""
        factory = self.factory
        own = read_origin(f"{'https' if secure else 'http'}://{head.one('host') or ''}")
        if own is None:  # the request has no Host (HTTP/1.0)
            return
        origin = blocked_framer(
            framers, own=own, referrers=head.all("referer"), sites=head.all("sec-fetch-site"), own_list=list_page
        )
        if origin is not None:
            address = client_address(self.peer_address, head.all("x-forwarded-for"), factory.trusted_proxies)
            factory.observer(
                FrameBlocked(service="novncproxy", address=address, origin=origin, option="[console] frame_ancestors")
            )

    def _send(self, head: RequestHead, response: PageResponse, file: StaticFile) -> None:
        close, kind = self._is_last(head), file.content_type
        self.transport.write(
            response_head(response.status, length=file.size, content_type=kind, fields=response.fields, close=close)
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
            if not isinstance(result, Failure):  # a failure means that the connection is gone
                self._answered(close)

        sent.addBoth(over)

    def _is_last(self, head: RequestHead) -> bool:
        """Whether the connection is closed after the response to this request."""
        last = self.factory.draining or self.requests >= REQUESTS
        return last or head.minor == 0 or "close" in head.lists("connection")

    def _answered(self, close: bool) -> None:
        # Draining may have begun while the file was being sent.
        if close or self.factory.draining:
            self.send_final_response(b"", ClientLeft())
        else:
            self.await_head()


class NoVNCViewer(FrontViewer):
    """The viewer of a session: a browser."""

    console_type = NOVNC

    def refusal(self, cause: Refusal) -> Handshake[None] | None:
        """Return an RFB handshake that sends the reason, because every viewer shows it.  The close frame repeats it."""
        return refuse(cause.sentence)
