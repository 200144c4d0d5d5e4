"""What stands before a front on its port: the PROXY protocol, then TLS or plain, told apart by the first byte.

Where neither is configured there is no entrance, and the front listens itself.  A plain connection is handed to the
front as it is: its transport is the socket's own, so that the detached relay can take it.

A connection takes its slot of the front's connection limits here, and hands it over with itself.
"""

from typing import Any, Final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IAddress, IDelayedCall, IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from novnc_twisted.access.connection_limits import ConnectionSlot
from novnc_twisted.access.forwarded import Network, is_trusted
from novnc_twisted.access.proxy_protocol import BadProxyHeader, ProxyHeader, read_proxy_header
from novnc_twisted.errors import ProtocolViolation
from novnc_twisted.events.records import RefusalCause, RequestRefused
from novnc_twisted.frontend.tls_transport import TLSTransport
from novnc_twisted.relay.stream_end import StreamEnd

CLIENT_HELLO: Final = 0x16
"""The first byte of TLS (the record type ``handshake``); that of an HTTP method is a letter."""

PROXY_DEADLINE = 5.0
"""Seconds from accept that a proxy has for its header."""

TLS_DEADLINE = 5.0
"""Seconds for the first byte, where only TLS is taken; the fronts give the handshake as many."""

PLAIN_DEADLINE = 10.0
"""Seconds from accept for the first byte, where plain is taken, too: as for a head."""

_SENTENCE = "This port takes TLS only: use https:// or wss://."
TLS_WANTED: Final = (
    f"HTTP/1.1 400 {_SENTENCE}\r\nContent-Type: text/plain\r\nContent-Length: {len(_SENTENCE) + 1}\r\n"
    f"Cache-Control: no-store\r\nConnection: close\r\n\r\n{_SENTENCE}\n"
).encode()


class Listener(ServerFactory):
    """Listens in place of a front."""

    noisy = False

    def __init__(
        self,
        reactor: Any,
        front: Any,
        *,
        tls: IOpenSSLServerConnectionCreator | None = None,
        tls_only: bool = False,
        proxies: tuple[Network, ...] | None = None,
    ) -> None:
        """Prepare.

        :param tls: makes TLS; None: everybody comes in plain.
        :param tls_only: turn away who comes in plain.
        :param proxies: who alone may connect, and says by the PROXY protocol for whom; None: there is no such proxy.
        """
        self.reactor, self.front, self.tls, self.tls_only, self.proxies = reactor, front, tls, tls_only, proxies
        self.over_tls = None if tls is None else TLSMemoryBIOFactory(tls, False, front, reactor)
        self.waiting: set[_Entering] = set()

    def doStart(self) -> None:
        """See Factory: the front listens, too."""
        super().doStart()
        self.front.doStart()

    def doStop(self) -> None:
        """See Factory."""
        self.front.doStop()
        super().doStop()

    def buildProtocol(self, addr: IAddress | None) -> "_Entering | None":
        """A connection that has sent nothing yet; None where it must not come."""
        host = getattr(addr, "host", "")
        if self.proxies is not None and not is_trusted(host, self.proxies):
            self.refused(
                "NotATrustedProxy",
                host,
                "[console] proxy_protocol is on",
                "[console] trusted_proxies, if this is a proxy",
            )
            return None
        slot = self.front.connection_limits.admit(host)
        return None if slot is None else _Entering(self, addr, slot)

    def refused(
        self, cause: RefusalCause, address: str, detail: str, option: str = "", status: int | None = None
    ) -> None:
        """Notify the front's observer that a connection was refused."""
        self.front.observer(
            RequestRefused(
                service=self.front.name,
                cause=cause,
                address=address,
                detail=detail,
                option=option,
                status=status,
                severe=option != "",
            )
        )

    def stop(self) -> Deferred[None]:
        """Close the connections that no front has yet; fires when all are gone."""
        gone = [one.gone for one in self.waiting]
        for one in list(self.waiting):
            one.leave()
        return gatherResults(gone).addCallback(lambda _: None)


class _Entering(Protocol):
    """A connection whose first bytes are awaited."""

    transport: Any  # a socket's own

    def __init__(self, entrance: Listener, address: IAddress | None, slot: ConnectionSlot) -> None:
        self._listener, self._address = entrance, address
        self._slot: ConnectionSlot | None = slot  # until the front has it
        self._held = b""
        self._header_due = entrance.proxies is not None
        self._timer: IDelayedCall | None = None
        self._end: StreamEnd | None = None  # of who was turned away
        self.gone: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self._listener.waiting.add(self)
        if self._slot is not None:
            self._slot.silent(self.leave)
        self._began = self._listener.reactor.seconds()
        self._set_deadline(PROXY_DEADLINE if self._header_due else self._first_byte_due)

    @property
    def _first_byte_due(self) -> float:
        """Seconds from accept."""
        return TLS_DEADLINE if self._listener.tls_only else PLAIN_DEADLINE

    def dataReceived(self, data: bytes) -> None:
        if self._end is not None:
            return
        self._held += data
        if self._header_due:
            try:
                header = read_proxy_header(self._held)
            except BadProxyHeader as error:
                self._listener.refused(
                    "BadProxyHeader",
                    self.transport.getPeer().host,
                    f"no PROXY header: {error}",
                    "[console] proxy_protocol, or the proxy's own setting (send-proxy)",
                )
                self.leave()
                return
            if header is None:
                return
            self._header_due = False
            self._held = self._held[header.length :]
            if not self._believe(header):
                self.leave()
                return
            self._set_deadline(self._first_byte_due)
        if self._held:
            self._enter()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._set_deadline(None)
        self._listener.waiting.discard(self)
        if self._slot is not None:
            self._slot.release()
        if self._end is not None:
            self._end.connectionLost(reason)
        self.gone.callback(None)

    def _is_late(self) -> None:
        if self._held:  # else it is a health check
            self._listener.refused(
                "HeadTimeout", self.transport.getPeer().host, "the PROXY header did not come in time, or not whole"
            )
        self.leave()

    def leave(self) -> None:
        """Turn it away without a word."""
        self._set_deadline(None)
        self.transport.abortConnection()

    def _believe(self, header: ProxyHeader) -> bool:
        """From now on the peer is the client that the proxy names; False where that client has too many connections."""
        if header.host is None:
            return True
        kind = IPv6Address if ":" in header.host else IPv4Address
        address = self._address = kind("TCP", header.host, header.port)
        self.transport.getPeer = lambda: address
        if self._slot is not None:
            self._slot.release()  # the proxy's
        self._slot = self._listener.front.connection_limits.admit(header.host)
        if self._slot is not None:
            self._slot.silent(self.leave)
        return self._slot is not None

    def _enter(self) -> None:
        """Hand over to the front, within TLS or not."""
        entrance = self._listener
        over_tls = entrance.over_tls if self._held[0] == CLIENT_HELLO else None
        if entrance.tls_only and over_tls is None:
            self._explain()
            return
        slot, self._slot = self._slot, None
        inner: Any = entrance.front.build(self._address, slot)
        inner.began = self._began
        if over_tls is not None:
            inner = TLSTransport(over_tls, inner)
        self._set_deadline(None)
        entrance.waiting.discard(self)
        transport, held, self._held = self.transport, self._held, b""
        self.transport = None
        self.gone.callback(None)
        # As startTLS does it: the transport has another protocol from here.
        transport.protocol = inner
        inner.makeConnection(transport)
        inner.dataReceived(held)

    def _explain(self) -> None:
        """It is plain where only TLS is taken: a client that speaks HTTP gets the reason."""
        self._set_deadline(None)
        if not self._held[:1].isalpha():
            self.leave()
            return
        self._held = b""
        self._listener.refused("PlainText", self.transport.getPeer().host, "this port takes TLS only", status=400)
        self._end = StreamEnd(self._listener.reactor, self.transport, linger=True)
        self._end.write(TLS_WANTED)
        self._end.close(ProtocolViolation())

    def _set_deadline(self, seconds: float | None) -> None:
        """So many seconds from accept; None: no deadline."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if seconds is not None:
            reactor = self._listener.reactor
            self._timer = reactor.callLater(max(0.0, self._began + seconds - reactor.seconds()), self._is_late)
