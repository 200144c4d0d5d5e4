"""Limits each VNC server to one new connection at a time, because QEMU loses connections that are made together.

QEMU listens with a backlog of 1, so the kernel of its host queues at most two connections that QEMU has not accepted.
With more connections, the following happens (Linux, ``net/ipv4/tcp_input.c``, ``tcp_conn_request``):

1. While the queue is full, QEMU's kernel drops our SYN.  We send another SYN: our kernel repeats it, or the proxy
   begins a new attempt (:mod:`.dial`).
2. If the queue has room again, but TCP handshakes of other connections are not complete, QEMU's kernel answers the
   second SYN with a SYN cookie, without storing anything.  For us, the connection is made.
3. If the queue is full again when our ACK arrives, QEMU's kernel drops the ACK, and there is no connection on that
   side.

So we wait for bytes that never arrive.  Of 8 connections made together, 4 stayed silent (measured).
"""

from collections import deque

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime


class Turns:
    """The queues of one proxy, one queue for each VNC server.  Other proxies and workers have their own queues."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[Turn]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def take(self, clock: IReactorTime, place: str) -> "Turn":
        """Join the queue of a VNC server.  The caller must call :meth:`Turn.give_back`, even after a failure.

        :param place: a text that differs for each VNC server, such as ``host:port``.
        """
        queue = self._queues.setdefault(place, deque())
        turn = Turn(self, clock, place, begun=not queue)
        queue.append(turn)
        return turn

    def leave(self, turn: "Turn", clock: IReactorTime, place: str) -> None:
        """Remove a turn from its queue.  If it was the first one, let the next turn begin."""
        queue = self._queues[place]
        was_first = queue[0] is turn
        queue.remove(turn)
        if not queue:
            del self._queues[place]
        elif was_first:
            # In the next reactor iteration.  Otherwise, hundreds of turns that fail at once would call each other
            # recursively.
            clock.callLater(0, queue[0].begin)


class Turn:
    """One session's right to make a new connection to a VNC server.

    :ivar begins: fires when the turn begins; None if it has begun at once.
    """

    __slots__ = ("_clock", "_given_back", "_place", "_turns", "begins")

    def __init__(self, turns: Turns, clock: IReactorTime, place: str, *, begun: bool) -> None:
        self._turns, self._clock, self._place = turns, clock, place
        self._given_back = False
        self.begins: Deferred[None] | None = None if begun else Deferred()

    def begin(self) -> None:
        """Begin the turn."""
        # The wait may have been cancelled after leave() scheduled this call.
        if self.begins is not None and not self.begins.called:
            self.begins.callback(None)

    def give_back(self) -> None:
        """End this turn, so that the next one begins.  Later calls do nothing."""
        if not self._given_back:
            self._given_back = True
            self._turns.leave(self, self._clock, self._place)
