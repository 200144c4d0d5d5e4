"""The engine: one edge-triggered epoll for the sockets of all sessions, and one buffer that all of them read into.

epoll reports each edge once.  A side that stops reading before its socket is empty therefore remembers that it is
readable (``StreamSide._readable``).  A side that stopped because its peer's buffer was full resumes when the buffer
drains.  A side that used up its share resumes in the next round.
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
"""Bytes read at a time at most: what a loopback or a fast network has ready."""

TURNS: Final = 4
"""Full buffers that one side may read in a row while no other is ready; one while others are ready too."""

EVENTS: Final = 128
"""Maximum number of descriptors handled in one round."""

SLICE: Final = 0.01
"""Seconds after which control returns to the reactor before the next round."""

IN: Final = getattr(select, "EPOLLIN", 0)
OUT: Final = getattr(select, "EPOLLOUT", 0)
DEAD: Final = getattr(select, "EPOLLHUP", 0) | getattr(select, "EPOLLERR", 0)
ENDING: Final = DEAD | getattr(select, "EPOLLRDHUP", 0)
_WATCH = IN | OUT | getattr(select, "EPOLLRDHUP", 0) | getattr(select, "EPOLLET", 0)

_engines: "WeakKeyDictionary[Any, Engine]" = WeakKeyDictionary()


def engine_of(reactor: Any) -> "Engine | None":
    """The reactor's engine, made where there is none yet; None where there can be none."""
    engine = _engines.get(reactor)
    if engine is None and hasattr(select, "epoll") and IReactorFDSet.providedBy(reactor):
        engine = _engines[reactor] = Engine(reactor)
    return engine


@implementer(IReadDescriptor)
class Engine:
    """All detached relays of one reactor.

    :ivar buffer: what is read into, by everyone.
    :ivar now: the reactor's seconds at the present round.
    :ivar turns: how many full buffers a side may have in the present round.
    :ivar held: bytes that could not be sent yet, of all sessions.
    """

    log = Logger()

    def __init__(self, reactor: Any) -> None:
        self.buffer = bytearray(BUFFER)
        self.view = memoryview(self.buffer)
        self.now = reactor.seconds()
        self.turns = TURNS
        self.held = 0
        self._reactor = reactor
        self._seconds = reactor.seconds
        self._epoll = select.epoll()
        self._poll = self._epoll.poll
        self._sides: dict[int, StreamSide] = {}
        self._removed: set[int] = set()  # in the present round
        self._again: dict[StreamSide, None] = {}

    def __len__(self) -> int:
        return len(self._sides)

    def add(self, side: "StreamSide") -> None:
        """Watch a socket; events that are ready already are reported as well."""
        if not self._sides:
            self._reactor.addReader(self)
        self._sides[side.descriptor] = side
        self._epoll.register(side.descriptor, _WATCH)

    def remove(self, side: "StreamSide") -> None:
        """Stop watching a socket; does nothing if it is not watched."""
        if self._sides.pop(side.descriptor, None) is None:
            return
        self._removed.add(side.descriptor)
        self._again.pop(side, None)
        self._epoll.unregister(side.descriptor)
        if not self._sides:
            self._reactor.removeReader(self)

    def go_on(self, side: "StreamSide") -> None:
        """It has more to read, once the others had their turn."""
        if not self._again:
            self._reactor.callLater(0, self._second_turn)
        self._again[side] = None

    def _second_turn(self) -> None:
        self.now = self._seconds()
        again, self._again = self._again, {}
        self.turns = TURNS if len(again) == 1 else 1
        for side in again:
            try:
                side.pump()
            except Exception:
                self._mistake(side)

    def _mistake(self, side: "StreamSide") -> None:
        """Ours, in one session: it ends, and not the relay of all (the reactor lets go of a reader that raises)."""
        self.log.failure("a session failed because of a bug in this program")
        side.end_lost(ServiceUnavailable("a mistake in the relay, logged before this"))

    # IReadDescriptor

    def fileno(self) -> int:
        """The epoll's own descriptor: readable while any of its sockets is ready."""
        return self._epoll.fileno()

    def logPrefix(self) -> str:
        """For Twisted's log."""
        return "relay"

    def doRead(self) -> None:
        """Some sockets are ready.

        They are looked at until none is: a peer on this machine has often answered before the reactor would ask again,
        and the way through the reactor costs as much as the message.
        """
        sides, removed = self._sides, self._removed
        ready = self._poll(0, EVENTS)
        self.now = self._seconds()
        self.turns = TURNS if len(ready) == 1 else 1
        until = self.now + SLICE
        while ready:
            if removed:
                removed.clear()
            for descriptor, events in ready:
                side = sides.get(descriptor)  # an earlier one may have ended it, and its number be another's by now
                if side is not None and descriptor not in removed:
                    try:
                        side.ready(events)
                    except Exception:
                        self._mistake(side)
            if self._again or self.now > until:
                return
            ready = self._poll(0, EVENTS)
            self.now = self._seconds()
            self.turns = 1

    def connectionLost(self, reason: Any) -> None:
        """The reactor stops; the sessions were ended before."""
