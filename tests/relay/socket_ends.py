"""Ends on real sockets, with the buffers of Twisted and of the kernel."""

import socket
import struct
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, UNIXClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from novnc_twisted.errors import Refusal, Stopping
from novnc_twisted.relay import join
from novnc_twisted.relay.detached.side import StreamSide
from tests.session.harness import Raw, bound_kernel_buffers


class Owner(Protocol):
    """A server-side protocol that passes everything to an end."""

    def __init__(self, made: Deferred[Any], kind: Any, how: dict[str, Any]) -> None:
        self.made, self.kind, self.how = made, kind, how

    def connectionMade(self) -> None:
        self.end = self.kind(reactor, "peer", **self.how)
        self.end.makeConnection(self.transport)
        self.made.callback(self.end)

    def dataReceived(self, data: bytes) -> None:
        self.end.dataReceived(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.end.connectionLost(reason)


def flow(client: Any, upstream: Any, filters: Any = (), *, detached: bool = True) -> Deferred[Refusal]:
    """Join two ends and start; the Deferred fires with the cause, and stops the relay when it is cancelled."""
    relay = join(client, upstream, filters, detached=detached)
    cause: Deferred[Refusal] = Deferred(lambda _: relay.stop())
    relay.start(cause.callback)
    return cause


def buffered(end: Any) -> int:
    """The number of bytes in our send buffer for the peer."""
    transport = end.transport
    if isinstance(transport, StreamSide):
        return transport.waiting
    return len(transport.dataBuffer) - transport.offset + transport._tempDataLen


def reset(peer: Raw) -> None:
    """Reset the connection from the peer's side."""
    taken = peer.transport.socket
    if taken.family != socket.AF_UNIX:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.transport.abortConnection()


class SocketEnds:
    """A mixin for test cases: makes an end and its peer.

    :cvar unix: True: connect them by a unix socket; False: by TCP.
    """

    timeout = 300
    unix = False

    async def connected(self, kind: Any, **how: Any) -> tuple[Any, Raw]:
        """Return an end and its peer, which reads into memory."""
        made: Deferred[Any] = Deferred()
        factory = Factory.forProtocol(lambda: Owner(made, kind, how))
        factory.noisy = False
        peers = Factory.forProtocol(Raw)
        peers.noisy = False
        if self.unix:
            folder = TemporaryDirectory()  # the path of a unix socket must be short
            self.addCleanup(folder.cleanup)
            path = f"{folder.name}/s"
            port: Any = reactor.listenUNIX(path, factory)
            endpoint: Any = UNIXClientEndpoint(reactor, path)
        else:
            port = reactor.listenTCP(0, factory, interface="127.0.0.1")
            endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        peer = await endpoint.connect(peers)
        end = await made
        for transport in (peer.transport, end.transport):
            bound_kernel_buffers(transport.socket)
        await port.stopListening()

        async def gone() -> None:
            peer.transport.abortConnection()
            await peer.gone
            end.close(Stopping())
            await end.closed()

        self.addCleanup(gone)
        return end, peer
