"""A connection while a listener waits for its first bytes: a PROXY header, then TLS or plain HTTP.

After its first bytes, a connection is passed on to the front: the proxy or the API behind the listener.  A plain
connection keeps the transport of its socket, so that a detached relay (:mod:`novnc_twisted.relay.detached`) can take
over the socket later.  The connection has a slot in the connection limits from the beginning; the front takes over the
slot.
"""

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from novnc_twisted.access import deadlines
from novnc_twisted.access.connection_limits import ConnectionSlot
from novnc_twisted.access.proxy_protocol import BadProxyHeader, ProxyHeader, read_proxy_header
from novnc_twisted.errors import ProtocolViolation
from novnc_twisted.frontend.tls_transport import TLSTransport
from novnc_twisted.relay.stream_end import StreamEnd

if TYPE_CHECKING:
    from novnc_twisted.frontend.listener import Listener

CLIENT_HELLO: Final = 0x16
"""The first byte of TLS (the record type ``handshake``); an HTTP request begins with a letter."""

PROXY_DEADLINE: Final = deadlines.PROXY_HEADER
"""Seconds from accept within which a reverse proxy must have sent its PROXY header."""

TLS_DEADLINE: Final = deadlines.TLS
"""Seconds from accept for the first byte, if only TLS is accepted.  The TLS handshake after it has its own deadline."""

PLAIN_DEADLINE: Final = deadlines.HEAD
"""Seconds from accept for the first byte, if plain HTTP is accepted: the deadline of an HTTP head."""

_SENTENCE = "This port takes TLS only: use https:// or wss://."
TLS_WANTED: Final = (
    f"HTTP/1.1 400 {_SENTENCE}\r\nContent-Type: text/plain\r\nContent-Length: {len(_SENTENCE) + 1}\r\n"
    f"Cache-Control: no-store\r\nConnection: close\r\n\r\n{_SENTENCE}\n"
).encode()
"""The response to plain HTTP on a port that accepts TLS only."""


class PendingConnection(Protocol):
    """A connection that the listener has not passed on to the front yet.

    :ivar gone: fires when the connection is closed or passed on.
    """

    transport: Any  # Twisted's transport of the socket

    def __init__(self, listener: "Listener", address: IAddress | None, slot: ConnectionSlot) -> None:
        self._listener, self._address = listener, address
        self._slot: ConnectionSlot | None = slot  # None after the front took it over
        self._held = b""
        self._header_due = listener.proxies is not None
        self._timer: IDelayedCall | None = None
        self._end: StreamEnd | None = None  # sends the response of a refused connection
        self.gone: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """See Protocol."""
        self._listener.waiting.add(self)
        if self._slot is not None:
            self._slot.silent(self.hang_up)
        self._began = self._listener.reactor.seconds()
        self._set_deadline(PROXY_DEADLINE if self._header_due else self._first_byte_due)

    def dataReceived(self, data: bytes) -> None:
        """See Protocol."""
        # The connection was refused, and its response is being sent.  Discard everything else.
        if self._end is not None:
            return
        self._held += data
        if self._header_due and not self._read_header():
            return
        if self._held:
            self._pass_on()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See Protocol."""
        self._set_deadline(None)
        self._listener.waiting.discard(self)
        if self._slot is not None:
            self._slot.release()
        if self._end is not None:
            self._end.connectionLost(reason)
        self.gone.callback(None)

    def hang_up(self) -> None:
        """Close the connection without a response."""
        self._set_deadline(None)
        self.transport.abortConnection()

    @property
    def _host(self) -> str:
        """The client's address; empty for a client on a unix socket."""
        return str(getattr(self._address, "host", ""))

    @property
    def _first_byte_due(self) -> float:
        """Seconds from accept until the first byte of TLS or HTTP must have arrived."""
        return TLS_DEADLINE if self._listener.tls_only else PLAIN_DEADLINE

    def _is_late(self) -> None:
        # A health check sends nothing, or nothing after its PROXY header.  It is not worth an event.  If bytes are held
        # here, they are part of a PROXY header: any other byte would have been passed on at once.
        if self._held:
            why = f"the PROXY header was not complete within {PROXY_DEADLINE:g} s"
            self._listener.refused("HeadTimeout", self._host, why)
        self.hang_up()

    def _read_header(self) -> bool:
        """Read the PROXY header if it is complete.

        :return: True: the header was read.  False: the header is incomplete, or this method has closed the connection.
        """
        try:
            header = read_proxy_header(self._held)
        except BadProxyHeader as error:
            self._listener.refused(
                "BadProxyHeader",
                self._host,
                str(error),
                "[console] proxy_protocol, or the setting of the reverse proxy (send-proxy)",
            )
            self.hang_up()
            return False
        if header is None:
            return False
        self._header_due = False
        self._held = self._held[header.length :]
        if not self._set_client(header):
            self.hang_up()
            return False
        self._set_deadline(self._first_byte_due)
        return True

    def _set_client(self, header: ProxyHeader) -> bool:
        """Use the client in the PROXY header as the peer; return False if the connection limits refuse this client."""
        if header.host is None:  # the connection is the reverse proxy's own: a health check
            return True
        kind = IPv6Address if ":" in header.host else IPv4Address
        address = self._address = kind("TCP", header.host, header.port)
        self.transport.getPeer = lambda: address
        if self._slot is not None:
            # Until now, the connection counted for the network of the reverse proxy, which has no limit of its own.
            # Count it for the client's network, which has one (see ConnectionLimits).
            self._slot.release()
        self._slot = self._listener.front.connection_limits.admit(header.host)
        if self._slot is not None:
            self._slot.silent(self.hang_up)
        return self._slot is not None

    def _pass_on(self) -> None:
        """Pass the connection on to the front, through TLS if the port has TLS and the first byte is that of TLS."""
        listener = self._listener
        over_tls = listener.over_tls if self._held[0] == CLIENT_HELLO else None
        if listener.tls_only and over_tls is None:
            self._refuse_plain()
            return
        slot = self._slot
        assert slot is not None  # it is held until here
        inner: Any = listener.front.build(self._address, slot)
        inner.began = self._began
        if over_tls is not None:
            inner = TLSTransport(over_tls, inner)
        # From now on, the front has the slot, and releases it when the connection ends.  After an error before this
        # line, the reactor closes the connection, and connectionLost() of this object releases the slot.
        self._slot = None
        self._set_deadline(None)
        # Removed before the front gets the first byte, because the front may close the connection at once.
        listener.waiting.discard(self)
        transport, held, self._held = self.transport, self._held, b""
        self.transport = None
        transport.protocol = inner  # as startTLS does
        try:
            inner.makeConnection(transport)
        except BaseException:
            slot.release()  # after some errors, the front does not release it
            raise
        finally:
            # A shutdown waits for ``gone`` first, and then for the connections of the front.  So the front must have
            # this connection before ``gone`` fires.
            self.gone.callback(None)
        inner.dataReceived(held)

    def _refuse_plain(self) -> None:
        """Refuse a plain connection on a port for TLS only.  A client that speaks HTTP gets a response."""
        self._set_deadline(None)
        # An HTTP request begins with the letters of its method.
        if not self._held[:1].isalpha():
            self.hang_up()
            return
        self._held = b""
        self._listener.refused("PlainText", self._host, "this port takes TLS only", status=400)
        self._end = StreamEnd(self._listener.reactor, linger=True)
        self._end.makeConnection(self.transport)
        self._end.write(TLS_WANTED)
        self._end.close(ProtocolViolation())

    def _set_deadline(self, seconds: float | None) -> None:
        """Close the connection this many seconds after accept; None: no deadline."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if seconds is not None:
            reactor = self._listener.reactor
            self._timer = reactor.callLater(max(0.0, self._began + seconds - reactor.seconds()), self._is_late)
