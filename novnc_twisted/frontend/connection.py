"""An accepted connection of a proxy: its slot, its deadline, its TLS handshake, and how it is closed."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener, ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from novnc_twisted.access.connection_limits import ConnectionSlot
from novnc_twisted.access.forwarded import read_address
from novnc_twisted.errors import Refusal
from novnc_twisted.events.refused import RefusalCause, RequestRefused
from novnc_twisted.relay.loss_reasons import tls_error
from novnc_twisted.relay.stream_end import StreamEnd
from novnc_twisted.relay.transports import tune

if TYPE_CHECKING:
    from novnc_twisted.frontend.factory import FrontFactory


@implementer(IHandshakeListener)
class FrontConnection(Protocol):
    """A connection that receives HTTP heads until it is used for a session or for a final response.

    A final response is the last one on its connection, which is then closed.

    :ivar factory: the proxy's factory.  The factory sets ``factory`` and ``slot`` when it makes the protocol.
    :ivar slot: the connection's slot in the connection limits.
    :ivar peer_address: the address of the connection's other side or, if the connection began with a PROXY header, the
        client's address in this header; empty for a unix socket.
    :ivar peer: ``peer_address`` with its port, or ``unix socket``; for the log.
    :ivar accepted_at: when the set-up of a session began, in the reactor's seconds: at accept, or after the response to
        the previous request.
    :ivar gone: fires when the connection is closed, or when a detached relay (:mod:`novnc_twisted.relay.detached`) has
        taken over its socket.
    :ivar end: the stream of the session or of the final response.  It gets every byte that arrives.  None: there is no
        session and no final response yet, or a detached relay has taken over the socket.
    """

    factory: "FrontFactory"
    slot: ConnectionSlot
    transport: Any  # depends on the endpoint
    accepted_at: float
    began: float | None = None
    """When a listener accepted the connection, in the reactor's seconds; None: the connection did not come
    through a :class:`~novnc_twisted.frontend.listener.Listener`."""

    _tls_is_up = False

    def __init__(self) -> None:
        self.end: StreamEnd | None = None
        self.gone: Deferred[None] = Deferred()
        self._timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """See Protocol."""
        # Before the set-up, so that TCP keep-alive notices a client that vanishes during the set-up.
        tune(self.transport)
        peer = self.transport.getPeer()
        host: str = getattr(peer, "host", "")
        if ":" in host:
            host = read_address(host) or host  # turns ::ffff:192.0.2.1 into 192.0.2.1
        self.peer_address = host
        shown = f"[{host}]" if ":" in host else host
        self.peer = f"{shown}:{peer.port}" if host else "unix socket"
        self.factory.connections.add(self)
        self.await_head()
        # A Listener passes a connection on when its first bytes have arrived.  Measure the time for the head from
        # accept, so that a client gains no time by sending these bytes late.
        if self.began is not None:
            self.accepted_at = self.began
            due = self.began + self.factory.settings.head_deadline - self.factory.reactor.seconds()
            self.set_deadline(max(0.0, due), self.head_is_late)
        if ISSLTransport.providedBy(self.transport):  # then the deadline of the head begins after the handshake
            self.set_deadline(self.factory.settings.tls_deadline, self._tls_is_late)

    def handshakeCompleted(self) -> None:
        """See IHandshakeListener: TLS is up."""
        self._tls_is_up = True
        # A request may have arrived together with the last message of the TLS handshake.
        if self.end is None and not self.busy:
            self.set_deadline(self.factory.settings.head_deadline, self.head_is_late)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See Protocol.  Also called if the connection could not begin.

        A failed TLS handshake is reported.  A client that leaves without a request is not reported, because load
        balancers do so every second.
        """
        self.factory.connections.discard(self)
        self.slot.release()
        self.set_deadline(None)
        if self.end is not None:
            self.end.connectionLost(reason)
        elif isinstance(reason.value, SSL.Error) and not self._tls_is_up:
            self.refused("TLSFailed", self.peer_address, None, f"the TLS handshake failed: {tls_error(reason.value)}")
        self.gone.callback(None)

    def become(self, end: StreamEnd, rest: bytes) -> None:
        """Pass every byte to ``end`` from now on.

        :param rest: bytes that arrived together with the head; they are passed first.
        """
        self.set_deadline(None)
        self.end = end
        end.makeConnection(self.transport)
        # on_detach is not called earlier: only the relay of a live session can be detached, and the session begins
        # after this method.
        end.on_detach = self.detached
        if rest:
            end.dataReceived(rest)

    def detached(self) -> None:
        """Forget the transport, whose socket a detached relay has taken over.  The session releases the slot."""
        # Drop the references, so that neither this object nor the transport stays in memory during the session.
        self.factory.connections.discard(self)
        self.transport = self.end = None
        self.gone.callback(None)

    def hang_up(self) -> None:
        """Close the connection, unless a session or a final response uses it.  Both close the connection themselves."""
        if self.end is None:
            self.set_deadline(None)
            self.transport.abortConnection()

    def make_room(self) -> None:
        """Close the connection, to give its slot to another connection."""
        self.set_deadline(None)
        self.transport.abortConnection()

    def send_final_response(self, data: bytes, cause: Refusal) -> None:
        """Send a response and close; the client has a bounded time to read it.

        :param cause: the argument that the stream's ``close`` needs; it is not sent.
        """
        # Without linger, a client that is still sending a body would get a reset, and lose the response.
        end = StreamEnd(self.factory.reactor, self.peer, linger=True)
        self.become(end, b"")
        end.write(data)
        end.close(cause)
        self.slot.reading(self.make_room)

    def set_deadline(self, seconds: float | None, late: Callable[[], None] | None = None) -> None:
        """Call ``late`` after this many seconds, and cancel the previous deadline; None: no deadline."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None if seconds is None else self.factory.reactor.callLater(seconds, late)

    def refused(self, cause: RefusalCause, address: str, status: int | None, detail: str, option: str = "") -> None:
        """Notify the observer that a request was refused before it became a session.

        :param option: the option to change so that such clients are admitted, and how to change it; empty: no
            option helps.
        """
        service, severe = self.factory.name, option != ""
        event = RequestRefused(
            service=service, cause=cause, address=address, status=status, detail=detail, option=option, severe=severe
        )
        self.factory.observer(event)

    def _tls_is_late(self) -> None:
        # Do not report a health check that only connects.  If ``began`` is set, a listener has received the client's
        # first byte, so this is not a health check.
        if self.began is not None:
            late = "the TLS handshake did not end in time"
            self.refused("HeadTimeout", self.peer_address, None, late)
        self.hang_up()

    # A subclass implements the reading of the head:

    busy: bool
    """Whether a whole head has arrived and is being answered."""

    def waits_for_request(self, *, first: bool) -> bool:
        """Return whether the connection waits for a request, or is receiving one.

        :param first: whether its first request counts, too.  False: return True only for later requests.
        """
        raise NotImplementedError

    def await_head(self) -> None:
        """Wait for the head of the first request, or of the next one."""
        raise NotImplementedError

    def head_is_late(self) -> None:
        """End the connection of a client whose head did not arrive in time."""
        raise NotImplementedError
