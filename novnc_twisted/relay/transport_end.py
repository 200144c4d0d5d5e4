"""The base class of a session's ends, which are its connections to the viewer and to the VNC server.

The class watches the send buffer, and lends the socket to a detached relay (:mod:`novnc_twisted.relay.detached`).
"""

import socket
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.interfaces import IPushProducer, IReactorTime
from zope.interface import implementer

from novnc_twisted.errors import Refusal
from novnc_twisted.relay.timer_wheel import Timer, timer_wheel_of
from novnc_twisted.relay.transports import give_back, in_kernel, is_plain, take, unsent, waits_for_its_producer

if TYPE_CHECKING:
    from collections.abc import Callable

    from novnc_twisted.relay.detached.side import StreamSide


_CHECKS: Final = 10
"""Number of checks of a full buffer before a peer that accepts nothing counts as lost."""


@implementer(IPushProducer)
class TransportEnd:
    """Owns a transport: notices a full or stalled buffer, and lends its socket to a detached relay.

    An end registers as the producer of its transport.  So the transport calls the end when its buffer is full.

    :ivar clock: the reactor, or a test's clock.
    :ivar peer: the peer's address as text, for the log.
    :ivar transport: the transport; while a detached relay has the socket, the relay's ``StreamSide`` in its place.
    :ivar on_detach: called once, when the socket leaves its first transport; None: no call.  In this call, a
        protocol that passes the transport's calls on to this end drops its references to the transport.
    """

    __slots__ = (
        *("_ended", "_full", "_gone", "_lost", "_paused", "_side", "_stall", "_stall_timer"),
        *("_took_at", "_unsent_before"),
        *("clock", "on_detach", "peer", "transport"),
    )

    def __init__(self, clock: IReactorTime, peer: str, lost: type[Refusal], stall: float) -> None:
        """Prepare; :meth:`makeConnection` follows.

        :param lost: the class of the refusal to report if the peer leaves, or counts as lost.
        :param stall: seconds for which the peer may accept nothing while the send buffer is full, before it counts as
            lost; 0: no limit.
        """
        self.clock = clock
        self.peer = peer
        self.on_detach: Callable[[], None] | None = None
        self._lost = lost
        self._stall = stall
        self._stall_timer: Timer | None = None  # set while the buffer is full
        self._took_at = 0.0  # when the buffer became full, or when a check last found progress of the peer
        self._unsent_before = 0  # the bytes in our and the kernel's buffer when they were last counted
        self._full = False  # whether the transport's buffer is full
        self._paused = False  # whether we have stopped reading
        self._ended = False  # whether the peer can send no more
        self._gone = False  # whether the connection is lost
        self.transport: Any = None
        self._side: StreamSide | None = None  # it has the socket while a detached relay is live

    def makeConnection(self, transport: Any) -> None:
        """Take over a connected transport."""
        self.transport = transport
        transport.registerProducer(self, True)

    # IPushProducer: the transport reports the state of its buffer

    def pauseProducing(self) -> None:
        """See IPushProducer: the buffer is full."""
        self._full = True
        if self._stall and self._stall_timer is None:
            self._took_at = self.clock.seconds()
            self._unsent_before = self._waiting_bytes()
            self._watch_stall()

    def resumeProducing(self) -> None:
        """See IPushProducer: the buffer has room again."""
        self._full = False
        self._stop_watching_stall()
        if waits_for_its_producer(self.transport):
            self.transport.unregisterProducer()
        else:
            self._has_room()

    def stopProducing(self) -> None:
        """Do nothing: connectionLost follows."""

    def _watch_stall(self) -> None:
        left = self._took_at + self._stall - self.clock.seconds()
        delay = min(left, self._stall / _CHECKS)
        self._stall_timer = timer_wheel_of(self.clock).callLater(delay, self._check_stall)

    def _check_stall(self) -> None:
        """Report the peer as lost if it has accepted nothing for too long.

        After its buffer was full, a transport of Twisted reports nothing until the buffer is empty.  A slow peer may
        take longer than the limit to empty the buffer, so this method looks for any progress.
        """
        self._stall_timer = None
        now, waiting = self.clock.seconds(), self._waiting_bytes()
        if waiting < self._unsent_before:
            self._took_at = now
        self._unsent_before = waiting
        if now - self._took_at >= self._stall:
            self._end(self._lost(f"took nothing for {self._stall:g} s"))
        else:
            self._watch_stall()

    def _waiting_bytes(self) -> int:
        side = self._side
        return unsent(self.transport) if side is None else side.waiting + in_kernel(side.socket)

    def _stop_watching_stall(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    # Lending the socket to a detached relay

    def can_leave(self) -> bool:
        """Return whether the socket can leave: it is connected, and its transport is Twisted's own, without TLS."""
        return not self._gone and is_plain(self.transport)

    def leave(self, side: "StreamSide") -> tuple[socket.socket, bytes]:
        """Take the socket out of the transport; return it with the unsent bytes.

        :param side: replaces the transport until :meth:`come_back`.
        """
        taken, waiting = take(self.transport)
        if self.on_detach is not None:
            self.on_detach()
            self.on_detach = None
        # Meanwhile, the end calls the methods of a transport, such as write(), on the side.
        self.transport = self._side = side
        self._paused = False
        return taken, waiting

    def come_back(self, taken: socket.socket, waiting: bytes) -> None:
        """Give the socket and the unsent bytes to a new transport.

        The new transport does not read yet, since usually the end is closed next.
        """
        self._side = None
        self._full, self._paused = False, True
        self._stop_watching_stall()
        self.transport = give_back(self.clock, taken, waiting, self)

    def fail(self, detail: str) -> None:
        """Handle an error or the end of the stream that the socket has reported."""
        self._ended = True
        self._end(self._lost(detail))

    # Methods of subclasses

    def _has_room(self) -> None:
        """Report that the buffer has room again."""
        raise NotImplementedError

    def _end(self, cause: Refusal) -> None:
        """Report that the peer sends no more bytes, or accepts no more."""
        raise NotImplementedError
