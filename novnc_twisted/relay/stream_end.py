"""The end of a session on a plain stream: TCP, unix socket or TLS, on Twisted's transports."""

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IOpenSSLClientConnectionCreator,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from novnc_twisted.errors import ClientLeft, MessageTooBig, Refusal
from novnc_twisted.relay.frames import FrameDecoder
from novnc_twisted.relay.interfaces import IEnd, IReceiver
from novnc_twisted.relay.loss_reasons import loss_reason
from novnc_twisted.relay.timer_wheel import Timer, timer_wheel_of
from novnc_twisted.relay.transports import give_back, hang_up, is_plain, send, take, waits_for_its_producer

CLOSE_GRACE = 2.0
"""Seconds that a peer has to read what was written, once we hang up; then the connection is aborted."""

VIEWER_STALL = 300.0
"""Seconds for which a viewer may leave our buffer (of some 128 KiB) full: it is suspended, or not there any more."""

HOLD_LIMIT = 65536
"""Bytes that an end holds while it has no receiver."""


@implementer(IEnd, IPushProducer)
class StreamEnd:
    """A stream of bytes, to and from a transport.

    It is the transport's producer (so that a full buffer is told to whoever feeds it); its owner, the protocol of that
    transport, hands it ``dataReceived`` and ``connectionLost``.

    RFB knows no half-closed stream: a peer that ends its direction has left.  What it sent before is still delivered.

    :cvar frames: what tells the frames of the stream apart, where it has any.
    :ivar clock: the reactor, or a clock.
    :ivar left: told when the socket leaves the transport, of which its owner must then let go.
    """

    __slots__ = (
        "_abort",
        "_closing",
        "_ended",
        "_full",
        "_gone",
        "_held",
        "_keeper",
        "_linger",
        "_lost",
        "_over",
        "_paused",
        "_receiver",
        "_stall",
        "_stalled",
        "_starting",
        "_transport",
        "_waiting",
        "bytes_in",
        "bytes_out",
        "clock",
        "heard_at",
        "left",
        "peer",
    )

    frames: FrameDecoder | None = None

    def __init__(
        self,
        clock: IReactorTime,
        transport: Any,
        peer: str = "",
        *,
        lost: type[Refusal] = ClientLeft,
        linger: bool = False,
        stall: float = 0,
    ) -> None:
        """Take a connected transport over.

        :param peer: the peer's address as text.
        :param lost: what its leaving means.
        :param linger: when hanging up, end our direction and let the peer close: whatever it is still sending would
            otherwise make the kernel throw away what we wrote last (a reset overtakes the refusal).
        :param stall: seconds for which the peer may leave our buffer full before it counts as lost; 0: for ever.
        """
        self.peer = peer
        self.bytes_in = 0
        self.bytes_out = 0
        self.heard_at = clock.seconds()
        self.clock = clock
        self._transport = transport
        self._lost = lost
        self._linger = linger
        self._stall = stall
        self._receiver: IReceiver | None = None
        self._held = b""
        self._over: Refusal | None = None  # why nothing more comes
        self._full = False  # the transport's buffer
        self._paused = False  # our reading
        self._closing = False
        self._ended = False  # whether its peer can send no more
        self._gone = False
        self._abort: IDelayedCall | None = None
        self._stalled: Timer | None = None
        self._waiting: tuple[Deferred[None], ...] = ()
        self._starting: Deferred[None] | None = None  # TLS
        self.left: Callable[[], None] | None = None
        self._keeper: Any = None  # who has the socket while the end is in a detached relay
        transport.registerProducer(self, True)

    # IEnd

    def attach(self, receiver: IReceiver) -> None:
        """See :class:`IEnd`."""
        self._receiver = receiver
        if self._full:
            receiver.pause_writing()
        if self._held:
            data, self._held = self._held, b""
            receiver.data_received(data)
        if self._over is not None and self._receiver is receiver and not self._closing:
            receiver.end_lost(self._over)

    def give_back(self, data: bytes) -> None:
        """See :class:`IEnd`."""
        self._receiver = None
        self._held = bytes(data) + self._held

    def write(self, data: bytes) -> None:
        """See :class:`IEnd`."""
        if self._closing or self._gone:
            return
        self.bytes_out += len(data)
        send(self._transport, data)

    def pause_reading(self) -> None:
        """See :class:`IEnd`."""
        if not (self._paused or self._closing or self._gone):
            self._paused = True
            self._transport.pauseProducing()

    def resume_reading(self) -> None:
        """See :class:`IEnd`."""
        if self._paused and not self._gone:
            self._paused = False
            self._transport.resumeProducing()

    def close(self, cause: Refusal) -> None:
        """See :class:`IEnd`."""
        if self._closing or self._gone:
            return
        if self._keeper is not None:
            self._keeper.release()
            self.close(cause)
            return
        self._say_goodbye(cause)
        self._closing = True
        self._receiver = None
        self._held = b""
        self._drop_stall()
        # A producer left registered would keep the transport open for ever (Twisted waits for its end).
        self._transport.unregisterProducer()
        self.resume_reading()
        if self._ended:
            hang_up(self._transport)
        else:
            self._hang_up()
        if not self._gone:
            self._abort = self.clock.callLater(CLOSE_GRACE, self._transport.abortConnection)

    def closed(self) -> Deferred[None]:
        """See :class:`IEnd`."""
        waiting: Deferred[None] = Deferred(self._waiting_cancelled)
        if self._gone:
            waiting.callback(None)
        else:
            self._waiting += (waiting,)
        return waiting

    # TLS, where it begins in mid-stream

    def start_tls(self, creator: IOpenSSLClientConnectionCreator) -> Deferred[None]:
        """From now on everything goes through TLS, in which we are the client.

        :return: fires when the handshake is done; fails with why the connection was lost before, which the receiver is
            then not told.  The owner of the transport tells by :meth:`tls_started`.
        """
        started: Deferred[None] = Deferred(self._starting_cancelled)
        if self._gone or self._closing:
            started.errback(connectionDone)
        else:
            self._starting = started
            self._transport.startTLS(creator)
        return started

    def tls_started(self) -> None:
        """The TLS handshake is done."""
        starting, self._starting = self._starting, None
        if starting is not None:
            starting.callback(None)

    def _starting_cancelled(self, _: Deferred[None]) -> None:
        self._starting = None

    # For the detached relay, which has the socket meanwhile

    def can_leave(self) -> bool:
        """Whether the transport is a plain socket of Twisted's, with nothing in the way."""
        return not (self._over or self._closing or self._gone or self._paused) and is_plain(self._transport)

    def leave(self, keeper: Any) -> tuple[socket.socket, bytes]:
        """Take the socket, and what it was still to send, away from the transport, which is let go.

        :param keeper: what stands for the transport until :meth:`come_back`; its ``release`` brings that about.
        """
        taken, waiting = take(self._transport)
        if self.left is not None:
            self.left()
            self.left = None
        self._transport = self._keeper = keeper
        return taken, waiting

    def come_back(self, taken: socket.socket, waiting: bytes) -> None:
        """Give the socket, and what is still to be sent on it, back to a transport: a new one."""
        self._receiver = self._keeper = None
        self._full = self._paused = False
        self._drop_stall()
        self._transport = give_back(self.clock, taken, waiting, _Forwarding(self), self)

    def fail(self, detail: str) -> None:
        """The peer is gone, the socket says."""
        self._ended = True
        self._end(self._lost(detail))

    def takes_some(self) -> None:
        """The peer takes at least something of what waits for it."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = timer_wheel_of(self.clock).callLater(self._stall, self._has_stalled)

    # What the protocol of the transport hands over

    def dataReceived(self, data: bytes) -> None:
        """Bytes came."""
        self._deliver(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        if self._gone:
            return
        self._gone = True
        self._drop_stall()
        if self._abort is not None and self._abort.active():
            self._abort.cancel()
        starting, self._starting = self._starting, None
        if starting is not None:
            self._over = self._lost(loss_reason(reason))
            starting.errback(reason)
        elif not self._closing:
            self._end(self._lost(loss_reason(reason)))
        waiting, self._waiting = self._waiting, ()
        for each in waiting:
            each.callback(None)

    # IPushProducer: the transport tells us about its buffer

    def pauseProducing(self) -> None:
        """The transport's buffer is full."""
        self._full = True
        if self._stall and self._stalled is None:
            self._stalled = timer_wheel_of(self.clock).callLater(self._stall, self._has_stalled)
        if self._receiver is not None:
            self._receiver.pause_writing()

    def resumeProducing(self) -> None:
        """The transport's buffer is empty again."""
        self._full = False
        self._drop_stall()
        if waits_for_its_producer(self._transport):
            self._transport.unregisterProducer()
            return
        if self._receiver is not None:
            self._receiver.resume_writing()

    def stopProducing(self) -> None:
        """The transport is gone; connectionLost follows."""

    # What the kinds of ends do in their own manner

    def _say_goodbye(self, cause: Refusal) -> None:
        """Write the last bytes, if this kind of end has any."""

    def _hang_up(self) -> None:
        """Close, once what is written has gone out."""
        transport = self._transport
        if self._linger and ITCPTransport.providedBy(transport) and not ISSLTransport.providedBy(transport):
            transport.loseWriteConnection()
        else:
            hang_up(transport)

    def _deliver(self, data: bytes) -> None:
        """Hand bytes of the stream on, or hold them."""
        if self._closing or self._over is not None:
            return
        self.bytes_in += len(data)
        self.heard_at = self.clock.seconds()
        if self._receiver is not None:
            self._receiver.data_received(data)
        elif len(self._held) + len(data) > HOLD_LIMIT:
            self._end(MessageTooBig("bytes before anybody asked for them"))
        else:
            self._held += data

    def _end(self, cause: Refusal) -> None:
        """Nothing more comes from this end: tell the receiver, once."""
        if self._over is None:
            self._over = cause
            if self._receiver is not None:
                self._receiver.end_lost(cause)

    def _has_stalled(self) -> None:
        self._stalled = None
        self._end(self._lost(f"took nothing for {self._stall:g} s"))

    def _drop_stall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _waiting_cancelled(self, waiting: Deferred[None]) -> None:
        self._waiting = tuple(each for each in self._waiting if each is not waiting)


class _Forwarding(Protocol):
    """The protocol of a socket that came back."""

    def __init__(self, end: StreamEnd) -> None:
        self.dataReceived = end.dataReceived  # type: ignore[method-assign]
        self.connectionLost = end.connectionLost  # type: ignore[method-assign]
