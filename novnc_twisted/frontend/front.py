"""What both proxies share: a bounded head within its deadline, then a session; and a factory that can end them all."""

from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IAddress, IDelayedCall, IHandshakeListener, ISSLTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from novnc_twisted.access.connection_limits import ConnectionLimits, ConnectionSlot
from novnc_twisted.access.failures import Check, Failures
from novnc_twisted.access.forwarded import read_address
from novnc_twisted.access.request_head import BadHead, HeadBuffer, HeadTooBig, RequestHead, read_request
from novnc_twisted.errors import (
    MessageTooBig,
    ProtocolViolation,
    Refusal,
    SetupTimeout,
    Stopping,
    TooManyFailures,
)
from novnc_twisted.events.log import EventLog
from novnc_twisted.events.records import Observer, RefusalCause, RequestRefused
from novnc_twisted.frontend.viewer import FrontViewer
from novnc_twisted.relay.stream_end import StreamEnd
from novnc_twisted.relay.transports import tune
from novnc_twisted.session.context import AskPassword, Authorise
from novnc_twisted.session.limits import SessionLimits
from novnc_twisted.session.sessions import Sessions
from novnc_twisted.session.settings import SessionSettings
from novnc_twisted.session.token_lease import KeepToken


class FrontFactory(Factory):
    """Makes the protocols of one proxy, and knows its sessions.

    :cvar name: the proxy's name in the log.
    :ivar settings: the sessions' settings.
    :ivar reactor: what drives them.
    :ivar failures: failed guesses of a token by client address.
    :ivar connection_limits: how many connections there may be.
    :ivar observer: called with each event.
    """

    name = "proxy"
    noisy = False
    _protocol: "type[FrontProtocol]"

    def __init__(
        self,
        reactor: Any,
        authorise: Authorise,
        *,
        settings: SessionSettings,
        ask_password: AskPassword | None = None,
        keep_token: KeepToken | None = None,
        limits: SessionLimits | None = None,
        failures: Failures | None = None,
        connection_limits: ConnectionLimits | None = None,
        observer: Observer | None = None,
    ) -> None:
        """See the proxies' own factories."""
        self.reactor = reactor
        self.settings = settings
        self.failures = Failures(settings.max_failures_per_minute, reactor.seconds) if failures is None else failures
        self.connection_limits = ConnectionLimits() if connection_limits is None else connection_limits
        self._log = EventLog(reactor) if observer is None else None
        self.observer: Observer = observer or self._log or EventLog(reactor)
        self.connections: set[FrontProtocol] = set()
        self._sessions = Sessions(
            reactor,
            authorise,
            settings=settings,
            ask_password=ask_password,
            keep_token=keep_token,
            limits=limits,
            ended=self._ended,
        )

    @property
    def sessions(self) -> int:
        """How many sessions there are, those being set up and those being closed among them."""
        return len(self._sessions)

    def buildProtocol(  # type: ignore[override]  # its factory is a subclass
        self, addr: IAddress | None
    ) -> "FrontProtocol | None":
        """A protocol for a new connection; None where there are too many."""
        slot = self.connection_limits.admit(getattr(addr, "host", ""))
        return None if slot is None else self.build(addr, slot)

    def build(self, addr: IAddress | None, slot: ConnectionSlot) -> "FrontProtocol":
        """A protocol for a connection that has its slot already."""
        protocol = self._protocol()
        protocol.factory = self
        protocol.slot = slot
        return protocol

    def stopFactory(self) -> None:
        """See Factory: nobody listens any more."""
        if self._log is not None:
            self._log.stop()

    def begin(self, viewer: FrontViewer, accepted_at: float) -> None:
        """Begin a session."""
        self._sessions.begin(viewer, accepted_at)

    def _ended(self, viewer: Any, cause: Refusal) -> None:
        viewer.slot.release()

    def stop_sessions(self) -> Deferred[None]:
        """End all sessions with Stopping (1001), those being set up too; fires when no connection is left.

        Connections that are no session yet are closed.  A session that comes later ends the same way.
        """
        waiting: list[Deferred[None]] = [connection.gone for connection in self.connections]
        for connection in list(self.connections):
            connection.hang_up()
        waiting.append(self._sessions.stop())
        return gatherResults(waiting).addCallback(lambda _: None)


@implementer(IHandshakeListener)
class FrontProtocol(Protocol):
    """A connection that sends an HTTP head, and then is a session, or is answered and closed."""

    factory: FrontFactory
    slot: ConnectionSlot
    transport: Any  # of whatever endpoint it listens on
    accepted_at: float
    _tls_is_up = False
    began: float | None = None
    """When the connection was accepted (the reactor's seconds), where something stood before us on it."""

    def connectionMade(self) -> None:
        """Wait for the head."""
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
        if self.began is not None:
            self.accepted_at = self.began
            due = self.began + self.factory.settings.head_deadline - self.factory.reactor.seconds()
            self.set_deadline(max(0.0, due), self._head_is_late)
        if ISSLTransport.providedBy(self.transport):  # the head's time begins when its words can come
            self.set_deadline(self.factory.settings.tls_deadline, self._tls_is_late)

    def handshakeCompleted(self) -> None:
        """TLS is up."""
        self._tls_is_up = True
        if self.end is None and not self.busy:
            self.set_deadline(self.factory.settings.head_deadline, self._head_is_late)

    def await_head(self) -> None:
        """A head must come now, whole, within its deadline, however it trickles."""
        self.accepted_at = self.factory.reactor.seconds()  # as far as this request is concerned
        self._buffer = HeadBuffer()
        self.busy = False
        self.slot.silent(self.make_room)
        self.set_deadline(self.factory.settings.head_deadline, self._head_is_late)

    def dataReceived(self, data: bytes) -> None:
        """Part of a head, or of a session."""
        if self.end is not None:
            self.end.dataReceived(data)
            return
        if self.busy:
            self.unexpected(data)
            return
        try:
            raw = self._buffer.receive(data)
            if raw is None:
                return
            self.busy = True
            self.slot.busy()
            self.set_deadline(None)
            head = read_request(raw)
        except HeadTooBig as error:
            self.bad_head(MessageTooBig(str(error)))
        except BadHead as error:
            self.bad_head(ProtocolViolation(str(error)))
        else:
            self.head_received(head, self._buffer.rest)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Gone: nobody is told but the session, if there is one (load balancers look in every second)."""
        self.factory.connections.discard(self)
        self.slot.release()
        self.set_deadline(None)
        if self.end is not None:
            self.end.connectionLost(reason)
        elif isinstance(reason.value, SSL.Error) and not self._tls_is_up:
            self.refused("TLSFailed", self.peer_address, None, f"the TLS handshake failed: {_reason_of(reason.value)}")
        self.gone.callback(None)

    def left(self) -> None:
        """The session's end took the socket with it; the slot is released when the session ends."""
        self.factory.connections.discard(self)
        self.transport = self.end = None
        self.gone.callback(None)

    def hang_up(self) -> None:
        """Close, if it is no session; those end by themselves."""
        if self.end is None:
            self.set_deadline(None)
            self.transport.abortConnection()

    def set_deadline(self, seconds: float | None, late: Any = None) -> None:
        """Run ``late`` then, in place of the deadline before; None: no deadline now."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None if seconds is None else self.factory.reactor.callLater(seconds, late)

    def become(self, end: StreamEnd, rest: bytes) -> None:
        """From now on the connection is this end; ``rest`` came with the head."""
        self.set_deadline(None)
        self.end = end
        end.left = self.left
        if rest:
            end.dataReceived(rest)

    def send_final_response(self, data: bytes, cause: Refusal) -> None:
        """Answer and close; the peer has a bounded time to read it."""
        end = StreamEnd(self.factory.reactor, self.transport, self.peer, linger=True)
        self.become(end, b"")
        end.write(data)
        end.close(cause)
        self.slot.reading(self.make_room)

    def begin_check(self, token: str | None, address: str) -> Check | None:
        """Begin the check of a token.  None: the client has to wait, and the observer was notified."""
        if not token:
            return Check()  # no token is no guess
        failures = self.factory.failures
        check = failures.begin_check(address)
        if check is None:
            self.refused(
                "TooManyFailures",
                address,
                TooManyFailures.status,
                f"at least {failures.limit} unknown or expired tokens came from this address in a minute, and one is "
                "being checked",
                "[console] max_failures_per_minute, or trusted_proxies where a reverse proxy has this address",
            )
        return check

    def refused(self, cause: RefusalCause, address: str, status: int | None, detail: str, option: str = "") -> None:
        """Notify the observer that a request was refused before it became a session.

        :param option: the option to change, with what to do, if a legitimate client may have been refused.
        """
        service, severe = self.factory.name, option != ""
        event = RequestRefused(
            service=service, cause=cause, address=address, status=status, detail=detail, option=option, severe=severe
        )
        self.factory.observer(event)

    def begin(self, kind: type[FrontViewer], end: StreamEnd, token: str | None, address: str, check: Check) -> None:
        """Begin a session; ``become`` was called."""
        viewer = kind(
            end,
            token,
            address,
            slot=self.slot,
            make_room=self.make_room,
            failures=self.factory.failures,
            check=check,
        )
        self.factory.begin(viewer, self.accepted_at)

    def _tls_is_late(self) -> None:
        if self.began is not None:  # its first byte has come: what stood before us waited for it
            late = "the TLS handshake did not end in time"
            self.refused("HeadTimeout", self.peer_address, None, late)
        self.hang_up()

    def make_room(self) -> None:
        """Another connection needs the place of this one, which waits for its client."""
        self.set_deadline(None)
        self.transport.abortConnection()

    def _head_is_late(self) -> None:
        if self._buffer.empty:
            self.send_final_response(b"", Stopping())
        else:
            self.bad_head(SetupTimeout("the head did not come in time"))

    # What each front does in its own way

    def head_received(self, head: RequestHead, rest: bytes) -> None:
        """A proper head came, and maybe bytes behind it."""
        raise NotImplementedError

    def bad_head(self, cause: Refusal) -> None:
        """Something else came."""
        raise NotImplementedError

    def unexpected(self, data: bytes) -> None:
        """Bytes came while the last request is being answered."""
        self.refused("BadRequest", self.peer_address, None, "bytes came before the last request was answered")
        self.hang_up()


def _reason_of(error: SSL.Error) -> str:
    """OpenSSL's reasons in words, as ``peer did not return a certificate``."""
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return ", ".join(str(reason) for _, _, reason in queue) or type(error).__name__
