"""A port before another port, which hears what clients say."""

from twisted.internet import reactor
from twisted.protocols.portforward import ProxyFactory, ProxyServer
from twisted.trial.unittest import TestCase


class Tap:
    """Passes connections on to a port of 127.0.0.1, and keeps what their clients said.

    :ivar port: its own.
    :ivar said: all of each connection.
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
