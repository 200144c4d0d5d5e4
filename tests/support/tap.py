"""A TCP relay that records what clients send."""

from twisted.internet import reactor
from twisted.protocols.portforward import ProxyFactory, ProxyServer
from twisted.trial.unittest import TestCase


class Tap:
    """Relays connections to a port of 127.0.0.1, and keeps what their clients sent.

    :ivar port: the port on which it listens.
    :ivar said: everything that the client of each connection sent.
    """

    def __init__(self, case: TestCase, target: int) -> None:
        self.said: list[bytes] = []
        tap = self

        class Recorded(ProxyServer):  # type: ignore[misc]
            def connectionMade(self) -> None:
                self.number = len(tap.said)
                tap.said.append(b"")
                super().connectionMade()

            def dataReceived(self, data: bytes) -> None:
                tap.said[self.number] += data
                super().dataReceived(data)

        factory = ProxyFactory("127.0.0.1", target)
        factory.protocol, factory.noisy = Recorded, False
        listening = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[attr-defined]
        case.addCleanup(listening.stopListening)
        self.port: int = listening.getHost().port
