"""The connection to a VNC server, on which TLS may start in mid-stream (VeNCrypt)."""

from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener, IOpenSSLClientConnectionCreator, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from novnc_twisted.errors import ConsoleClosed
from novnc_twisted.relay.loss_reasons import loss_reason
from novnc_twisted.relay.stream_end import StreamEnd
from novnc_twisted.relay.transports import tune

STALL: Final = 60.0
"""Seconds after which a VNC server counts as lost, if it accepts nothing while our send buffer is full.

During this time, the session does not read from the viewer, so it can miss that the viewer has left.  The detached
relay still notices a reset.
"""


@implementer(IHandshakeListener)
class UpstreamEnd(StreamEnd):
    """A connection to a VNC server.

    :ivar dropped: whether the connection was lost with an error, such as a reset, before any byte came.
    """

    __slots__ = ("_tls_handshake", "dropped")

    def __init__(self, clock: IReactorTime, peer: str) -> None:
        super().__init__(clock, peer, lost=ConsoleClosed, stall=STALL)
        self._tls_handshake: Deferred[None] | None = None
        self.dropped = False

    def makeConnection(self, transport: Any) -> None:
        """See :class:`StreamEnd`."""
        # Without keep-alive, sessions with a compute host that lost power would stay open for hours.
        tune(transport)
        super().makeConnection(transport)

    def start_tls(self, creator: IOpenSSLClientConnectionCreator) -> Deferred[None]:
        """Start TLS on this connection, as the TLS client.

        :return: fires when the TLS handshake is done.  If the connection is lost before that, the Deferred fails with
            the reason, and the receiver of the connection's bytes is not notified.
        """
        done: Deferred[None] = Deferred(self._tls_cancelled)
        if self._gone or self._closing:
            done.errback(connectionDone)
        else:
            self._tls_handshake = done
            self.transport.startTLS(creator)
        return done

    def handshakeCompleted(self) -> None:
        """See IHandshakeListener: the TLS handshake is done."""
        done, self._tls_handshake = self._tls_handshake, None
        if done is not None:
            done.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See :class:`StreamEnd`."""
        done, self._tls_handshake = self._tls_handshake, None
        self.dropped = not self.bytes_in and reason.check(ConnectionDone) is None
        if done is not None:
            # Only the Deferred reports a loss during the TLS handshake: if _over is set, super().connectionLost() does
            # not notify the receiver.
            self._over = self._lost(loss_reason(reason))
        super().connectionLost(reason)
        if done is not None:
            done.errback(reason)

    def _tls_cancelled(self, _: Deferred[None]) -> None:
        self._tls_handshake = None
