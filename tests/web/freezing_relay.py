"""A TCP relay that can freeze, like a network that fails without closing any connection."""

from twisted.internet.interfaces import IReactorTCP
from twisted.protocols.portforward import ProxyFactory, ProxyServer


class _Server(ProxyServer):
    def connectionMade(self):
        self.factory.relay.connections.append(self)
        if self.factory.relay.frozen:
            self.transport.pauseProducing()  # accepted, as a kernel does for a process that is stopped
        else:
            super().connectionMade()


class FreezingRelay:
    """Listens on a free port of loopback and relays to another one.

    :ivar frozen: whether it is frozen; connections that are made meanwhile stay frozen for ever.
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
        for end in self._ends():
            end.transport.pauseProducing()

    def thaw(self) -> None:
        """Continue, beginning with what was held back."""
        self.frozen = False
        for end in self._ends():
            end.transport.resumeProducing()

    def _ends(self):
        return [end for one in self.connections if one.peer is not None for end in (one, one.peer) if end.connected]

    async def stop(self) -> None:
        """Close everything."""
        await self._listener.stopListening()
        for one in self.connections:
            for end in (one, one.peer):
                if end is not None and end.connected:
                    end.transport.abortConnection()
