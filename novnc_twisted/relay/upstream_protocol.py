"""The protocol of a connection that we made."""

from typing import Any

from twisted.internet.interfaces import IHandshakeListener, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from novnc_twisted.relay.stream_end import StreamEnd
from novnc_twisted.relay.transports import tune


@implementer(IHandshakeListener)
class EndProtocol(Protocol):
    """The protocol of a connection that is nothing but an end: what a dial gives."""

    end: StreamEnd
    transport: Any  # of whatever endpoint it is

    def __init__(self, clock: IReactorTime, peer: str, **how: Any) -> None:
        self._clock, self._peer, self._how = clock, peer, how

    def connectionMade(self) -> None:
        """Make the end."""
        tune(self.transport)
        self.end = StreamEnd(self._clock, self.transport, self._peer, **self._how)
        self.end.left = self.left

    def dataReceived(self, data: bytes) -> None:
        """Hand on."""
        self.end.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Hand on."""
        self.end.connectionLost(reason)

    def handshakeCompleted(self) -> None:
        """Hand on."""
        self.end.tls_started()

    def left(self) -> None:
        """The end took the socket with it."""
        self.transport = None
