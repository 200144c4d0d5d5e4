"""An accepted connection of a proxy: its slot, its deadline, its transport layer security, its end."""

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
from novnc_twisted.events.records import RefusalCause, RequestRefused
from novnc_twisted.relay.stream_end import StreamEnd
from novnc_twisted.relay.transports import tune

if TYPE_CHECKING:
    from novnc_twisted.frontend.factory import FrontFactory


@implementer(IHandshakeListener)
class FrontConnection(Protocol):
    """A connection that waits for its client, until it becomes the stream of a session or of a final response.

    :ivar factory: the proxy's factory, which sets these two right after it has made the protocol:
    :ivar slot: the connection's slot in the connection limits.
    :ivar peer_address: the address of the connection's other side; empty for a unix socket.
    :ivar peer: the same with the port, for the log.
    :ivar accepted_at: from when the set-up of a session is timed, in the reactor's seconds.
    :ivar gone: fires when the connection is closed.
    :ivar end: the stream of the session or of the final response, once there is one; it gets every byte from then on.
    """

    factory: "FrontFactory"
    slot: ConnectionSlot
    transport: Any  # of whatever endpoint it listens on
    accepted_at: float
    began: float | None = None
    """When the connection was accepted, in the reactor's seconds, if a listener read its first bytes before us."""

    _tls_is_up = False

    def connectionMade(self) -> None:
        """See Protocol."""
        # On the socket at once: a client that vanishes during the set-up is noticed as well.
        tune(self.transport)
        peer = self.transport.getPeer()
        host: str = getattr(peer, "host", "")
        self.peer_address = (read_address(host) or host) if ":" in host else host  # IPv4 inside of IPv6 is IPv4
        self.peer = f"{self.peer_address}:{peer.port}" if self.peer_address else "unix socket"
        self.end: StreamEnd | None = None
        self.gone: Deferred[None] = Deferred()
        self._timer: IDelayedCall | None = None
        self.factory.connections.add(self)
        self.await_head()
        # A client must not gain time by being slow with its first bytes.
        if self.began is not None:
            self.accepted_at = self.began
            due = self.began + self.factory.settings.head_deadline - self.factory.reactor.seconds()
            self.set_deadline(max(0.0, due), self.head_is_late)
        if ISSLTransport.providedBy(self.transport):  # the deadline of the head begins when TLS is up
            self.set_deadline(self.factory.settings.tls_deadline, self._tls_is_late)

    def handshakeCompleted(self) -> None:
        """See IHandshakeListener: TLS is up."""
        self._tls_is_up = True
        # A request may have arrived together with the last message of the TLS handshake.
        if self.end is None and not self.busy:
            self.set_deadline(self.factory.settings.head_deadline, self.head_is_late)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See Protocol.  It leaves no log line by itself, since load balancers connect every second."""
        self.factory.connections.discard(self)
        self.slot.release()
        self.set_deadline(None)
        if self.end is not None:
            self.end.connectionLost(reason)
        elif isinstance(reason.value, SSL.Error) and not self._tls_is_up:
            self.refused("TLSFailed", self.peer_address, None, f"the TLS handshake failed: {_reason_of(reason.value)}")
        self.gone.callback(None)

    def become(self, end: StreamEnd, rest: bytes) -> None:
        """Give every byte to ``end`` from now on, beginning with ``rest``, which arrived together with the head."""
        self.set_deadline(None)
        self.end = end
        end.makeConnection(self.transport)
        # After makeConnection, since the socket leaves for the relay only when the session is live.
        end.on_detach = self.left
        if rest:
            end.dataReceived(rest)

    def left(self) -> None:
        """Forget the transport: the session's stream has taken the socket, and the session releases the slot."""
        # Only sessions are long-lived; without these references a live session does not keep this object in memory.
        self.factory.connections.discard(self)
        self.transport = self.end = None
        self.gone.callback(None)

    def hang_up(self) -> None:
        """Close the connection, unless it belongs to a session, which ends by itself."""
        if self.end is None:
            self.set_deadline(None)
            self.transport.abortConnection()

    def make_room(self) -> None:
        """Close the connection, since another one needs its slot."""
        self.set_deadline(None)
        self.transport.abortConnection()

    def send_final_response(self, data: bytes, cause: Refusal) -> None:
        """Send a response and close; the client has a bounded time to read it."""
        # linger: a client that is still sending (a body) would otherwise be reset before it reads the response.
        end = StreamEnd(self.factory.reactor, self.peer, linger=True)
        self.become(end, b"")
        end.write(data)
        end.close(cause)
        self.slot.reading(self.make_room)

    def set_deadline(self, seconds: float | None, late: Callable[[], None] | None = None) -> None:
        """Call ``late`` after so many seconds, instead of what the previous deadline would call; None: no deadline."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None if seconds is None else self.factory.reactor.callLater(seconds, late)

    def refused(self, cause: RefusalCause, address: str, status: int | None, detail: str, option: str = "") -> None:
        """Notify the observer that a request was refused before it became a session.

        :param option: the option to change, with what to do, if a legitimate client may have been refused.
        """
        service, severe = self.factory.name, option != ""
        event = RequestRefused(
            service=service, cause=cause, address=address, status=status, detail=detail, option=option, severe=severe
        )
        self.factory.observer(event)

    def _tls_is_late(self) -> None:
        if self.began is not None:  # the client has sent its first byte, for which the listener waited
            late = "the TLS handshake did not end in time"
            self.refused("HeadTimeout", self.peer_address, None, late)
        self.hang_up()

    # What reads the request's head

    busy: bool
    """Whether a whole head has arrived and is being answered."""

    def waits_for_request(self, *, first: bool) -> bool:
        """Whether it waits for a request, or is reading one.

        :param first: whether a connection that waits for its first request counts as well.
        """
        raise NotImplementedError

    def await_head(self) -> None:
        """Wait for the head of the first request, or of the next one."""
        raise NotImplementedError

    def head_is_late(self) -> None:
        """Refuse a client whose head did not arrive in time."""
        raise NotImplementedError


def _reason_of(error: SSL.Error) -> str:
    """OpenSSL's reasons in words, such as ``peer did not return a certificate``."""
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return ", ".join(str(reason) for _, _, reason in queue) or type(error).__name__
