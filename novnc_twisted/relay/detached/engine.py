"""The engine: one edge-triggered epoll for all detached relays, and one buffer for reading plain streams.

A detached relay takes the two sockets of a session from their Twisted transports, and returns them at the end.  A side
(:class:`.side.StreamSide`) has one of these sockets.  The other side of the session sends what this side reads.  A
plain stream has no WebSocket frames.

The engine works in rounds.  In a round, each side that is ready reads its share: once, or a few times if no other side
is ready (:data:`AMONG_OTHERS`, :data:`ALONE`).

Edge-triggered epoll reports new data once, even if the data is not read.  Therefore a side that stops reading before
its socket is empty remembers that the socket is readable (``StreamSide._readable``).  When the side resumes depends on
why it stopped:

* It has read its share: in the next round.
* The other side could not send everything: when the other side has sent the rest.
"""

import select
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

from novnc_twisted.errors import ServiceUnavailable

if TYPE_CHECKING:
    from novnc_twisted.relay.detached.side import StreamSide

BUFFER: Final = 1 << 18
"""Maximum number of bytes of one read from a plain stream: as many as a fast network has ready."""

HEADROOM: Final = 10
"""Bytes in the buffer before the received data: room for the longest header of a WebSocket frame."""

ALONE: Final = range(4)
"""How often a side may read in a round if no other side is ready, as a range for a loop."""

AMONG_OTHERS: Final = range(1)
"""How often a side may read if several sides are ready.  Also used in all later rounds of one :meth:`Engine.doRead`."""

EVENTS: Final = 128
"""Maximum number of descriptors that epoll reports for one round."""

SLICE: Final = 0.01
"""Seconds for which rounds may follow one another before the engine returns to the reactor."""

IN: Final = getattr(select, "EPOLLIN", 0)
OUT: Final = getattr(select, "EPOLLOUT", 0)
DEAD: Final = getattr(select, "EPOLLHUP", 0) | getattr(select, "EPOLLERR", 0)
ENDING: Final = DEAD | getattr(select, "EPOLLRDHUP", 0)
_WATCH = IN | OUT | getattr(select, "EPOLLRDHUP", 0) | getattr(select, "EPOLLET", 0)

# An entry is never freed, despite the weak key, because the engine refers to its reactor.  This does no harm, because
# only tests make many reactors.
_engines: "WeakKeyDictionary[Any, Engine]" = WeakKeyDictionary()


def engine_of(reactor: Any) -> "Engine | None":
    """Return the engine of a reactor.  The first call for this reactor makes the engine.

    :return: None if the platform has no epoll, or if the reactor cannot watch descriptors (IReactorFDSet).
    """
    engine = _engines.get(reactor)
    if engine is None and hasattr(select, "epoll") and IReactorFDSet.providedBy(reactor):
        engine = _engines[reactor] = Engine(reactor)
    return engine


@implementer(IReadDescriptor)
class Engine:
    """All detached relays of one reactor.

    :ivar buffer: :data:`HEADROOM` bytes, then the bytes that a side has just read from a plain stream.
    :ivar view: the whole buffer.
    :ivar space: the buffer without its first :data:`HEADROOM` bytes: plain streams are read into this part.
    :ivar now: the reactor's seconds at the start of the present round.
    :ivar turns: :data:`ALONE` or :data:`AMONG_OTHERS`, for the present round.
    :ivar held: the number of bytes of all sessions that could not be sent yet.
    """

    log = Logger()

    def __init__(self, reactor: Any) -> None:
        self.buffer = bytearray(HEADROOM + BUFFER)
        self.view = memoryview(self.buffer)
        self.space = self.view[HEADROOM:]
        self.now = reactor.seconds()
        self.turns = ALONE
        self.held = 0
        self._reactor = reactor
        self._seconds = reactor.seconds
        self._epoll = select.epoll()
        self._poll = self._epoll.poll
        self._sides: dict[int, StreamSide] = {}
        self._removed: set[int] = set()  # descriptors that were removed in the present round
        self._again: dict[StreamSide, None] = {}  # sides that read more in the next round

    def __len__(self) -> int:
        return len(self._sides)

    def add(self, side: "StreamSide") -> None:
        """Watch a socket.  epoll also reports data that is ready already."""
        if not self._sides:
            self._reactor.addReader(self)
        self._sides[side.descriptor] = side
        self._epoll.register(side.descriptor, _WATCH)

    def remove(self, side: "StreamSide") -> None:
        """Stop watching a socket; do nothing if it is not watched."""
        if self._sides.pop(side.descriptor, None) is None:
            return
        # The events of this round are fetched already.  One of them may be for this descriptor, and a new socket may
        # get the descriptor's number.
        self._removed.add(side.descriptor)
        self._again.pop(side, None)
        # Unregister before the socket returns to a transport.  The socket stays open there, so epoll would continue to
        # report it.
        self._epoll.unregister(side.descriptor)
        # Leave no reader in the reactor when there are no sessions.
        if not self._sides:
            self._reactor.removeReader(self)

    def go_on(self, side: "StreamSide") -> None:
        """Let a side read more in the next round."""
        if not self._again:
            # Edge-triggered epoll does not report the sockets of these sides again, so a delayed call lets them read.
            self._reactor.callLater(0, self._next_round)
        self._again[side] = None

    def _next_round(self) -> None:
        self.now = self._seconds()
        # pump() may add sides again, for the round after this one.
        again, self._again = self._again, {}
        # A single side may read several times, which saves rounds.  If several sides are ready, each reads only once,
        # so that no side has to wait for long.
        self.turns = ALONE if len(again) == 1 else AMONG_OTHERS
        for side in again:
            try:
                side.pump()
            except Exception:
                self._fault(side)

    def _fault(self, side: "StreamSide") -> None:
        """Log the exception that is being handled, which is a bug in the program, and end the session of this side.

        If the exception reached the reactor, the reactor would drop the engine, with all sessions.
        """
        self.log.failure("a session failed because of a bug in this program")
        side.end_lost(ServiceUnavailable("a bug in the relay; the proxy's log has the traceback"))

    # IReadDescriptor

    def fileno(self) -> int:
        """Return the epoll's own descriptor, which is readable while epoll has events to report."""
        return self._epoll.fileno()

    def logPrefix(self) -> str:
        """Return the name in Twisted's log."""
        return "relay"

    def doRead(self) -> None:
        """Serve the sockets that are ready, in rounds, until no socket is ready or the reactor must run.

        After a round, poll again at once: a peer on this machine has often answered already, and an iteration of the
        reactor would cost as much CPU time as the message.
        """
        sides, removed = self._sides, self._removed
        ready = self._poll(0, EVENTS)
        # Read the clock once for all sockets of a round.
        self.now = self._seconds()
        self.turns = ALONE if len(ready) == 1 else AMONG_OTHERS
        until = self.now + SLICE
        while ready:
            if removed:
                removed.clear()
            for descriptor, events in ready:
                # A side earlier in this round may have ended the session of this descriptor, and a new socket may have
                # got the descriptor's number.
                side = sides.get(descriptor)
                if side is not None and descriptor not in removed:
                    try:
                        side.ready(events)
                    except Exception:
                        self._fault(side)
            # The reactor must run: it calls _next_round() for sides that have read their share, and it serves timers
            # and new connections.
            if self._again or self.now > until:
                return
            ready = self._poll(0, EVENTS)
            self.now = self._seconds()
            self.turns = AMONG_OTHERS

    def connectionLost(self, reason: Any) -> None:
        """Do nothing: the reactor stops, and the sessions were ended before."""
