"""A TCP relay that records what clients send."""

from twisted.internet import reactor
from twisted.protocols.portforward import ProxyFactory, ProxyServer
from twisted.trial.unittest import TestCase


class Tap:
    """Relays connections to a port of 127.0.0.1, and keeps what the clients send.

    :ivar port: the port on which it listens.
    :ivar sent: for each connection, all bytes from its client.
    """

    def __init__(self, case: TestCase, target: int) -> None:
        self.sent: list[bytes] = []
        tap = self

        class Recorded(ProxyServer):  # type: ignore[misc]
            def connectionMade(self) -> None:
                self.number = len(tap.sent)
                tap.sent.append(b"")
                super().connectionMade()

            def dataReceived(self, data: bytes) -> None:
                tap.sent[self.number] += data
                super().dataReceived(data)

        factory = ProxyFactory("127.0.0.1", target)
        factory.protocol, factory.noisy = Recorded, False
        listening = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[attr-defined]
        case.addCleanup(listening.stopListening)
        self.port: int = listening.getHost().port
