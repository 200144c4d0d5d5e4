"""The listener in front of a proxy or the API: reads PROXY headers, and accepts TLS and plain HTTP on one port.

The proxy or the API behind a listener is called its front.  A front that uses neither TLS nor the PROXY protocol needs
no listener: it accepts connections itself.
"""

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IAddress, IOpenSSLServerConnectionCreator
from twisted.internet.protocol import ServerFactory
from twisted.protocols.tls import TLSMemoryBIOFactory

from novnc_twisted.access.forwarded import Network, is_trusted
from novnc_twisted.events.refused import RefusalCause, RequestRefused
from novnc_twisted.frontend.interfaces import IFront
from novnc_twisted.frontend.pending import PendingConnection


class Listener(ServerFactory):
    """Accepts connections for a front, and passes each one on after its first bytes, which show whether it uses TLS.

    :ivar waiting: the connections that have not been passed on yet.
    """

    noisy = False

    def __init__(
        self,
        reactor: Any,
        front: IFront,
        *,
        tls: IOpenSSLServerConnectionCreator | None = None,
        tls_only: bool = False,
        proxies: tuple[Network, ...] | None = None,
    ) -> None:
        """Prepare to listen.

        :param tls: makes the TLS of a connection; None: every connection is plain.
        :param tls_only: refuse plain connections.
        :param proxies: the addresses that may connect; each connection must begin with a PROXY header.  None: anybody
            may connect, and no connection has such a header.
        """
        self.reactor, self.front, self.tls, self.tls_only, self.proxies = reactor, front, tls, tls_only, proxies
        self.over_tls: Any = None
        if tls is not None:
            # All TLS connections share this factory.  False: we are the TLS server.
            self.over_tls = TLSMemoryBIOFactory(tls, False, front, reactor)  # type: ignore[arg-type]  # a Factory
        self.waiting: set[PendingConnection] = set()

    def doStart(self) -> None:
        """See Factory: the front starts, too."""
        super().doStart()
        self.front.doStart()

    def doStop(self) -> None:
        """See Factory: the front stops, too."""
        self.front.doStop()
        super().doStop()

    def buildProtocol(self, addr: IAddress | None) -> PendingConnection | None:
        """See Factory; None if the client may not connect, or if there are too many connections."""
        host = getattr(addr, "host", "")
        # A client that may send a PROXY header can pretend to have any address.
        if self.proxies is not None and not is_trusted(host, self.proxies):
            self.refused(
                "NotATrustedProxy",
                host,
                "[console] proxy_protocol is on",
                "[console] trusted_proxies, if the address is that of a reverse proxy",
            )
            return None
        return self.front.connection_limits.admit_and_build(host, partial(PendingConnection, self, addr))

    def refused(
        self, cause: RefusalCause, address: str, detail: str, option: str = "", status: int | None = None
    ) -> None:
        """Notify the front's observer that a connection was refused.

        :param option: the option to change so that such clients are admitted, and how to change it; empty: no
            option helps.
        """
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
        """Close the connections that have not been passed on yet.

        :return: fires when they are closed.
        """
        gone = [connection.gone for connection in self.waiting]
        for connection in list(self.waiting):
            connection.hang_up()
        return gatherResults(gone).addCallback(lambda _: None)

    async def passed_on(self) -> None:
        """Wait until each connection was passed on or closed.  The deadlines of the connections limit this time."""
        await gatherResults([connection.gone for connection in self.waiting])
