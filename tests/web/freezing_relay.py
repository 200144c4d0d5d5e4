"""A TCP relay that can freeze, like a network that fails without closing any connection."""

from twisted.internet.interfaces import IReactorTCP
from twisted.protocols.portforward import ProxyFactory, ProxyServer


class _Server(ProxyServer):
    def connectionMade(self):
        self.factory.relay.connections.append(self)
        if self.factory.relay.frozen:
            self.transport.pauseProducing()  # accepted, as by the kernel for a stopped process
        else:
            super().connectionMade()


class FreezingRelay:
    """Listens on a free port of loopback and relays to another one.

    :ivar frozen: whether it is frozen; connections that are made meanwhile stay frozen forever.
    """

    def __init__(self, reactor: IReactorTCP, port: int) -> None:
        self.frozen = False
        self.connections: list[ProxyServer] = []
        factory = ProxyFactory("127.0.0.1", port)
        factory.protocol = _Server
        factory.noisy = False
        factory.relay = self
        self._listener = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.port = self._listener.getHost().port

    def freeze(self, *, only_present: bool = False) -> None:
        """Stop relaying.

        :param only_present: freeze only the present connections, and relay new ones.
        """
        self.frozen = not only_present
        for side in self._sides():
            side.transport.pauseProducing()

    def thaw(self) -> None:
        """Relay again, beginning with the data that was held back."""
        self.frozen = False
        for side in self._sides():
            side.transport.resumeProducing()

    def _sides(self):
        return [side for one in self.connections if one.peer is not None for side in (one, one.peer) if side.connected]

    async def stop(self) -> None:
        """Close everything."""
        await self._listener.stopListening()
        for one in self.connections:
            for side in (one, one.peer):
                if side is not None and side.connected:
                    side.transport.abortConnection()
