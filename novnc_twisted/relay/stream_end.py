"""One end of a session (see :class:`IEnd`) on a transport of Twisted: TCP, unix socket or TLS."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IProtocol, IReactorTime, ISSLTransport, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from novnc_twisted.errors import ClientLeft, MessageTooBig, Refusal
from novnc_twisted.relay.frames import FrameDecoder
from novnc_twisted.relay.interfaces import IEnd, IReceiver
from novnc_twisted.relay.loss_reasons import loss_reason
from novnc_twisted.relay.transport_end import TransportEnd
from novnc_twisted.relay.transports import closed_at_once, send

CLOSE_GRACE = 2.0
"""Seconds from ``close`` until a connection that has not ended is aborted.

In this time, the peer must read all written bytes.
"""

VIEWER_STALL = 300.0
"""If our send buffer is full, and the viewer accepts no byte for this number of seconds, the viewer counts as lost."""

HOLD_LIMIT = 65536
"""Maximum number of bytes that an end holds while it has no receiver."""


@implementer(IEnd, IProtocol)
class StreamEnd(TransportEnd):
    """An end that reads and writes a stream of bytes on a transport.

    This object is the protocol of the transport, or the protocol passes the transport's calls on to this object.

    RFB has no half-closed streams: a peer that closes its sending direction counts as gone.  Bytes that the peer sent
    before are still delivered.

    :ivar frames: the decoder of the stream's frames, made by a subclass; None: the stream has no frames.
    """

    __slots__ = (
        *("_abort_timer", "_closing", "_held", "_linger", "_over", "_receiver", "_waiting"),
        *("bytes_in", "bytes_out", "heard_at"),
    )

    frames: FrameDecoder | None = None

    def __init__(
        self,
        clock: IReactorTime,
        peer: str = "",
        *,
        lost: type[Refusal] = ClientLeft,
        linger: bool = False,
        stall: float = 0,
    ) -> None:
        """Prepare; :meth:`makeConnection` follows.

        :param peer: the peer's address as text.
        :param lost: the class of the cause to report if the peer leaves, or counts as lost.
        :param linger: whether :meth:`close` closes only our sending direction, and waits until the peer closes the
            connection.  If we closed the connection while the peer still sends, the kernel would reset it and discard
            our last bytes, which contain the refusal.  With TLS, ``linger`` does nothing.
        :param stall: if our send buffer is full, and the peer accepts no byte for this number of seconds, the peer
            counts as lost; 0: no limit.
        """
        super().__init__(clock, peer, lost, stall)
        self.bytes_in = 0
        self.bytes_out = 0
        self.heard_at = clock.seconds()
        self._linger = linger
        self._receiver: IReceiver | None = None
        self._held = b""
        self._over: Refusal | None = None  # why no more bytes come from the peer; None: more may come
        self._closing = False
        self._abort_timer: IDelayedCall | None = None
        self._waiting: tuple[Deferred[None], ...] = ()

    # IEnd

    def attach(self, receiver: IReceiver) -> None:
        """See :class:`IEnd`."""
        # Set this first: the receiver's methods, which are called below, may attach another receiver.
        self._receiver = receiver
        if self._full:
            receiver.pause_writing()
        if self._held:
            data, self._held = self._held, b""
            receiver.data_received(data)
        # While the receiver handled the held bytes, it may have closed this end, or may have been replaced or detached.
        # In these cases, it is not notified of the loss.
        if self._over is not None and self._receiver is receiver and not self._closing:
            receiver.end_lost(self._over)

    def give_back(self, data: bytes) -> None:
        """See :class:`IEnd`."""
        self._receiver = None
        # In front, because these bytes arrived before those that are held now.
        self._held = bytes(data) + self._held

    def write(self, data: bytes) -> None:
        """See :class:`IEnd`."""
        if self._closing or self._gone:
            return
        self.bytes_out += len(data)
        send(self.transport, data)

    def pause_reading(self) -> None:
        """See :class:`IEnd`."""
        if not (self._paused or self._closing or self._gone):
            self._paused = True
            self.transport.pauseProducing()

    def resume_reading(self) -> None:
        """See :class:`IEnd`."""
        if self._paused and not self._gone:
            self._paused = False
            self.transport.resumeProducing()

    def close(self, cause: Refusal) -> None:
        """See :class:`IEnd`."""
        if self._closing or self._gone:
            return
        if self._side is not None:
            # The detached relay has the socket.  Take it back into a transport, which sends the final bytes and closes
            # it.
            self._side.release()
        # Write this before _closing is set: after that, write() discards everything.
        self._write_final(cause)
        self._closing = True
        self._receiver = None
        self._held = b""
        self._stop_watching_stall()
        # Twisted keeps a transport open until its producer has unregistered.
        self.transport.unregisterProducer()
        # A peer that can send no more cannot answer the close, so do not wait for an answer.
        if self._ended:
            self._close_when_sent()
        else:
            self._hang_up()
        # If nothing was left to send, the calls above may have closed the connection already.
        if not self._gone:
            self._abort_timer = self.clock.callLater(CLOSE_GRACE, self.transport.abortConnection)

    def closed(self) -> Deferred[None]:
        """See :class:`IEnd`."""
        waiting: Deferred[None] = Deferred(self._waiting_cancelled)
        if self._gone:
            waiting.callback(None)
        else:
            self._waiting += (waiting,)
        return waiting

    def can_leave(self) -> bool:
        """See :class:`TransportEnd`."""
        return self._over is None and not self._closing and super().can_leave()

    # IProtocol

    def connectionMade(self) -> None:
        """Do nothing: :meth:`makeConnection` has done everything."""

    def dataReceived(self, data: bytes) -> None:
        """Receive bytes of the stream."""
        self._deliver(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See IProtocol: the connection is gone."""
        if self._gone:
            return
        self._gone = True
        self._stop_watching_stall()
        if self._abort_timer is not None and self._abort_timer.active():
            self._abort_timer.cancel()
        # If we closed the connection, the receiver knows the cause already.
        if not self._closing:
            self._end(self._lost(loss_reason(reason)))
        # Do not keep Deferreds that have fired.
        waiting, self._waiting = self._waiting, ()
        for each in waiting:
            if not each.called:  # the callback of one may cancel another
                each.callback(None)

    def pauseProducing(self) -> None:
        """See :class:`TransportEnd`."""
        super().pauseProducing()
        if self._receiver is not None:
            self._receiver.pause_writing()

    def come_back(self, taken: Any, waiting: bytes) -> None:
        """See :class:`TransportEnd`."""
        # The receiver was a StreamSide of the detached relay, which has stopped.  Remove the receiver first, because
        # the new transport may report a full buffer during the call below.
        self._receiver = None
        super().come_back(taken, waiting)

    # Methods that subclasses override

    def _write_final(self, cause: Refusal) -> None:
        """Write the last bytes, if this kind of end has any."""

    def _hang_up(self) -> None:
        """Close the connection when everything that was written has been sent."""
        transport = self.transport
        # TLS has its own closing alert, which half-closing the TCP connection would break.
        if self._linger and ITCPTransport.providedBy(transport) and not ISSLTransport.providedBy(transport):
            # Keep reading: the only proof that the peer has received everything is that it closes its direction.
            self.resume_reading()
            transport.loseWriteConnection()
        else:
            self._close_when_sent()

    def _close_when_sent(self) -> None:
        if not closed_at_once(self.transport):
            self.resume_reading()  # a paused transport does not notice that its peer leaves
            self.transport.loseConnection()

    def _deliver(self, data: bytes) -> None:
        """Pass bytes of the stream on, or hold them."""
        if self._closing or self._over is not None:
            return
        self.bytes_in += len(data)
        self.heard_at = self.clock.seconds()
        if self._receiver is not None:
            self._receiver.data_received(data)
        elif len(self._held) + len(data) > HOLD_LIMIT:
            # A viewer may send its handshake early, but must not fill our memory before it is authorized.
            self._end(MessageTooBig(f"more than {HOLD_LIMIT} bytes before the next step of the session"))
        else:
            self._held += data

    def _has_room(self) -> None:
        if self._receiver is not None:
            self._receiver.resume_writing()

    def _end(self, cause: Refusal) -> None:
        """Notify the receiver, once, that no more bytes come from the peer.

        Keep the cause, so that :meth:`attach` notifies a later receiver.
        """
        if self._over is None:
            self._over = cause
            if self._receiver is not None:
                self._receiver.end_lost(cause)

    def _waiting_cancelled(self, waiting: Deferred[None]) -> None:
        self._waiting = tuple(each for each in self._waiting if each is not waiting)
