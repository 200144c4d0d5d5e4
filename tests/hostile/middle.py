"""A TCP relay between a client and a server that leaves after a given number of bytes."""

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory

from tests.support.script import Script
from tests.support.scripted import Peer


class Middle(Factory):
    """The relay: the client connects to it instead of to the server.

    :ivar leave: the steps that end the connection to the receiver once ``count`` bytes are passed on.
    :ivar count: how many bytes of the sender are passed on in each connection; ``of_server`` selects the sender.
    :ivar passed: how many bytes the sender sent in all connections.
    """

    noisy = False

    def __init__(self, port: int, *, of_server: bool) -> None:
        self.port, self.of_server = port, of_server
        self.count, self.passed = 1 << 30, 0
        self.leave: Script = ()
        self.ways: list[_Near] = []

    def buildProtocol(self, addr: object) -> "_Near":
        near = _Near(self)
        self.ways.append(near)
        return near


class _Way(Peer):
    """One side; it plays no script of its own."""

    def __init__(self) -> None:
        super().__init__(())
        self.other: _Way | None = None

    def connectionMade(self) -> None:
        super().connectionMade()
        self.transport.setTcpNoDelay(True)  # otherwise, a second small piece waits 40 ms for an acknowledgement

    def connectionLost(self, reason: Any = None) -> None:
        super().connectionLost(reason)
        if self.other is not None:
            self.other.leave()


class _Far(_Way):
    def __init__(self, near: "_Near") -> None:
        super().__init__()
        self.near = self.other = near

    def dataReceived(self, data: bytes) -> None:
        self.near.pass_on(data, self.near, of_server=True)


class _Near(_Way):
    def __init__(self, middle: Middle) -> None:
        super().__init__()
        self.middle, self.left = middle, middle.count
        self.held = b""

    def connectionMade(self) -> None:
        super().connectionMade()
        factory = Factory.forProtocol(lambda: _Far(self))
        factory.noisy = False
        connecting: Deferred[Any] = TCP4ClientEndpoint(reactor, "127.0.0.1", self.middle.port).connect(factory)
        connecting.addCallback(self._connected)

    def _connected(self, far: _Far) -> None:
        self.other = far
        data, self.held = self.held, b""
        if self.lost:
            far.leave()
        else:
            self.pass_on(data, far, of_server=False)

    def dataReceived(self, data: bytes) -> None:
        if self.other is None:
            self.held += data
        else:
            self.pass_on(data, self.other, of_server=False)

    def pass_on(self, data: bytes, to: _Way, *, of_server: bool) -> None:
        if to.lost:
            return
        middle = self.middle
        if of_server is not middle.of_server:
            to.transport.write(data)
            return
        to.transport.write(data[: self.left])
        self.left = max(0, self.left - len(data))
        middle.passed += len(data)
        if not self.left:
            for step in middle.leave:
                Deferred.fromCoroutine(to.do(step))
