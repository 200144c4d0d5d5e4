"""The engine: one edge-triggered epoll for the sockets of all sessions, and one buffer that all of them read into.

An edge is told once.  So whoever stops reading before the socket is empty has to remember it: ``Half._readable``.  Who
stopped because the other side was full goes on when it has room, who had his turns goes on in the next.
"""

import select
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

from novnc_twisted.errors import ServiceUnavailable

if TYPE_CHECKING:
    from novnc_twisted.relay.lean.half import Half

BUFFER: Final = 1 << 18
"""Bytes read at a time at most: what a loopback or a fast network has ready."""

TURNS: Final = 4
"""Full buffers that one side may have in a row before the others have their turn; one where others are ready too."""

EVENTS: Final = 128
"""Descriptors that are looked at in one round."""

SLICE: Final = 0.01
"""Seconds after which no further round begins before the reactor has its turn."""

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
    """All lean relays of one reactor.

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
        self._halves: dict[int, Half] = {}
        self._removed: set[int] = set()  # in the present round
        self._again: dict[Half, None] = {}

    def __len__(self) -> int:
        return len(self._halves)

    def add(self, half: "Half") -> None:
        """Watch a socket; what it has ready already is told as well."""
        if not self._halves:
            self._reactor.addReader(self)
        self._halves[half.descriptor] = half
        self._epoll.register(half.descriptor, _WATCH)

    def remove(self, half: "Half") -> None:
        """Watch it no longer."""
        del self._halves[half.descriptor]
        self._removed.add(half.descriptor)
        self._again.pop(half, None)
        self._epoll.unregister(half.descriptor)
        if not self._halves:
            self._reactor.removeReader(self)

    def go_on(self, half: "Half") -> None:
        """It has more to read, once the others had their turn."""
        if not self._again:
            self._reactor.callLater(0, self._second_turn)
        self._again[half] = None

    def _second_turn(self) -> None:
        self.now = self._seconds()
        again, self._again = self._again, {}
        self.turns = TURNS if len(again) == 1 else 1
        for half in again:
            try:
                half.pump()
            except Exception:
                self._mistake(half)

    def _mistake(self, half: "Half") -> None:
        """Ours, in one session: it ends, and not the relay of all (the reactor lets go of a reader that raises)."""
        self.log.failure("a session failed by a mistake of ours")
        half.end_lost(ServiceUnavailable("a mistake in the relay, logged before this"))

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
        halves, removed = self._halves, self._removed
        ready = self._poll(0, EVENTS)
        self.now = self._seconds()
        self.turns = TURNS if len(ready) == 1 else 1
        until = self.now + SLICE
        while ready:
            if removed:
                removed.clear()
            for descriptor, events in ready:
                half = halves.get(descriptor)  # an earlier one may have ended it, and its number be another's by now
                if half is not None and descriptor not in removed:
                    try:
                        half.ready(events)
                    except Exception:
                        self._mistake(half)
            if self._again or self.now > until:
                return
            ready = self._poll(0, EVENTS)
            self.now = self._seconds()
            self.turns = 1

    def connectionLost(self, reason: Any) -> None:
        """The reactor stops; the sessions were ended before."""
