"""The lean relay: both sockets leave their transports for one nested epoll inside of the reactor.

What a byte costs on a transport is mostly the reactor's way to it: each write changes what the reactor waits for, each
read makes a bytes object of its own.  Here a session is two :class:`Half` objects; all of them share one buffer and one
edge-triggered epoll, which is itself a single reader of the reactor.  What was read is sent at once; what the other
side does not take is kept, and nothing more is read for it until it is gone, so that at most one buffer is held for
each direction.  (Measured against transports: half the CPU for pictures, two thirds for a round trip.)

When the session is over the sockets go back to transports, where hanging up is done as for every other connection.

An edge is told once.  So whoever stops reading before the socket is empty has to remember it: ``Half._readable``.  Who
stopped because the other side was full goes on when it has room, who had his turns goes on in the next.
"""

import select
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

from novnc_twisted.errors import Refusal, ServiceUnavailable
from novnc_twisted.relay.frames import FrameDecoder, binary_header
from novnc_twisted.relay.interfaces import IFilter

if TYPE_CHECKING:
    from novnc_twisted.relay.ends import StreamEnd

BUFFER: Final = 1 << 18
"""Bytes read at a time at most: what a loopback or a fast network has ready."""

FRAMED: Final = 1 << 16
"""The same where frames have to be told apart: a flood of small ones shall not keep the others for long."""

PIECE: Final = 1 << 14
"""The same for a reader that may be slow: what it does not take is held."""

SLOW: Final = 0.1
"""Seconds for which a reader takes nothing, after which it counts as slow."""

QUICK: Final = 1 << 22
"""Bytes in full pieces that a reader takes before it counts as quick: more than its socket's buffer can hide."""

HELD: Final = 1 << 25
"""Bytes that may be held in all before every reader counts as slow."""

TURNS: Final = 4
"""Full buffers that one side may have in a row before the others have their turn; one where others are ready too."""

EVENTS: Final = 128
"""Descriptors looked at before the reactor has its turn."""

_IN = getattr(select, "EPOLLIN", 0)
_OUT = getattr(select, "EPOLLOUT", 0)
_DEAD = getattr(select, "EPOLLHUP", 0) | getattr(select, "EPOLLERR", 0)
_ENDING = _DEAD | getattr(select, "EPOLLRDHUP", 0)
_WATCH = _IN | _OUT | getattr(select, "EPOLLRDHUP", 0) | getattr(select, "EPOLLET", 0)

_NOTHING: Final = memoryview(b"")

_engines: "WeakKeyDictionary[Any, Engine]" = WeakKeyDictionary()


def lean_join(client: "StreamEnd", upstream: "StreamEnd", filter: IFilter | None = None) -> Deferred[Refusal] | None:
    """Join two ends as :func:`novnc_twisted.relay.join.join` does, or None where one can't leave its transport."""
    reactor = client.clock
    if not (hasattr(select, "epoll") and IReactorFDSet.providedBy(reactor)):
        return None
    if not (client.can_leave() and upstream.can_leave()):
        return None
    engine = _engines.get(reactor)
    if engine is None:
        engine = _engines[reactor] = Engine(reactor)
    return _Pair(engine, client, upstream, filter).start()


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
        self._epoll = select.epoll()
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
        self.now = self._reactor.seconds()
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
        """Some sockets are ready."""
        self.now = self._reactor.seconds()
        ready = self._epoll.poll(0, EVENTS)
        self.turns = TURNS if len(ready) == 1 else 1
        halves, removed = self._halves, self._removed
        removed.clear()
        for descriptor, events in ready:
            half = halves.get(descriptor)  # an earlier one may have ended it, and its number may be another's by now
            if half is not None and descriptor not in removed:
                try:
                    half.ready(events)
                except Exception:
                    self._mistake(half)

    def connectionLost(self, reason: Any) -> None:
        """The reactor stops; the sessions were ended before."""


class Half:
    """One side of a session: its socket, and what could not be sent on it yet."""

    __slots__ = (
        "_calm",
        "_ending",
        "_engine",
        "_frames",
        "_look",
        "_most",
        "_pair",
        "_readable",
        "_rest",
        "_since",
        "descriptor",
        "end",
        "other",
        "socket",
    )

    other: "Half"

    def __init__(
        self, engine: Engine, pair: "_Pair", end: "StreamEnd", look: Callable[[bytes], bytes] | None = None
    ) -> None:
        self._frames: FrameDecoder | None = end.frames
        self._look = look
        self._most = BUFFER if self._frames is None else FRAMED
        self._engine = engine
        self._pair = pair
        self._readable = False  # whether there may be something to read of which no edge will tell
        self._ending = False  # whether its peer sends no more: then only the end of what it sent tells the end
        self._calm = 0  # bytes that it took without being slow
        self._since = 0.0  # when it began to take nothing
        self._rest = _NOTHING
        self.end = end
        self.socket, waiting = end.leave(self)
        self.descriptor = self.socket.fileno()
        if waiting:
            self._hold(waiting)

    def ready(self, events: int) -> None:
        """The socket can be read or written, or its peer is gone."""
        if events & _OUT and self._rest:
            self._flush()
        if events & (_IN | _ENDING):
            self._readable = True
            if events & _ENDING:
                self._ending = True
                if events & _DEAD and self.other._rest and self._pair.live and self is self._pair.client:
                    # It can be sent nothing any more, and what it sent last would wait for a server that hangs.
                    self.end.fail("connection reset")
                    return
            self.pump()

    def pump(self) -> None:
        """Read what there is and send it on, as long as the other side takes it."""
        engine, end, other, pair = self._engine, self.end, self.other, self._pair
        frames, look, most = self._frames, self._look, self._most
        data: bytes | memoryview
        for _ in range(engine.turns):
            if other._rest or not pair.live:
                return
            size = most if other._calm >= QUICK and engine.held < HELD else PIECE
            try:
                count = self.socket.recv_into(engine.buffer, size)
            except BlockingIOError:
                self._readable = False
                return
            except OSError as error:
                end.fail(error.strerror or "")
                return
            if not count:
                end.fail("")
                return
            data = engine.view[:count]
            if frames is not None:
                data = frames.receive(data.tobytes())
            if data:
                end.bytes_in += len(data)
                end.heard_at = engine.now
                if look is not None:
                    try:
                        data = look(bytes(data))
                    except Refusal as cause:
                        pair.over(cause)
                        return
                if data:
                    other.send(data)
            if frames is not None and pair.live:
                end.look()
            if count < size:
                if not self._ending:  # it is empty: an edge tells of whatever comes now
                    self._readable = False
                    return
            elif not other._rest:
                other._calm += count
        engine.go_on(self)

    def send(self, data: bytes | memoryview) -> None:
        """Send a piece of the stream; ``_rest`` is empty."""
        size = len(data)
        self.end.bytes_out += size
        try:
            if self._frames is None:
                sent = self.socket.send(data)
                if sent == size:
                    return
                rest = bytes(data[sent:])
            else:
                header = binary_header(size)
                sent = self.socket.sendmsg((header, data))
                if sent == len(header) + size:
                    return
                rest = b"".join((header, data))[sent:]
        except BlockingIOError:
            rest = bytes(data) if self._frames is None else b"".join((binary_header(size), data))
        except OSError as error:
            self._broken(error)
            return
        self._hold(rest)

    def write(self, data: bytes) -> None:
        """Send something of the end's own (a ping, an answer to one): behind what waits."""
        if self._rest:
            self._engine.held += len(data)
            self._rest = memoryview(b"".join((self._rest, data)))
            return
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # what it reads tells
        if sent < len(data):
            self._hold(data[sent:])

    def writeSequence(self, parts: tuple[bytes, ...]) -> None:
        """The same."""
        self.write(b"".join(parts))

    @property
    def waiting(self) -> int:
        """Bytes that could not be sent yet."""
        return len(self._rest)

    @property
    def unread(self) -> bool:
        """Whether what its peer says is not read now: the other side is full."""
        return bool(self.other._rest)

    def release(self) -> None:
        """Its end is being closed: the session's sockets go back first."""
        self._pair.stop()

    def stop(self) -> None:
        """Give the socket back to a transport."""
        self._engine.remove(self)
        self._engine.held -= len(self._rest)
        rest, self._rest = bytes(self._rest), _NOTHING
        self.end.come_back(self.socket, rest)

    def _hold(self, rest: bytes) -> None:
        """Keep what is not taken: from now on nothing is read for it."""
        self._rest = memoryview(rest)
        self._engine.held += len(rest)
        self._since = self._engine.now
        self.end.pauseProducing()

    def _flush(self) -> None:
        engine = self._engine
        try:
            sent = self.socket.send(self._rest)
        except BlockingIOError:
            return
        except OSError as error:
            sent = len(self._rest)
            self._broken(error)
            if not self._pair.live:
                return
        self._rest = self._rest[sent:]
        engine.held -= sent
        if self._rest:
            self.end.takes_some()
            return
        self._rest = _NOTHING  # an empty view would keep what it was a view of
        if engine.now - self._since > SLOW:
            self._calm = 0
        self.end.resumeProducing()
        if self.other._readable:
            self.other.pump()

    def _broken(self, error: OSError) -> None:
        """Nothing can be sent to its peer any more.

        For the viewer that is the end.  What the VNC server said before it went is still to reach a slow viewer: there
        the end of what it said is the end.
        """
        if self is self._pair.client:
            self.end.fail(error.strerror or "")
        else:
            self._readable = self._ending = True
            self._engine.go_on(self)

    # What its end tells: the transport's part and IReceiver

    def end_lost(self, cause: Refusal) -> None:
        """The end is over: so is the session."""
        self._pair.over(cause)

    def data_received(self, data: bytes) -> None:
        """Bytes that the end held."""
        if self._look is not None:
            try:
                data = self._look(data)
            except Refusal as cause:
                self._pair.over(cause)
                return
        if not data:
            return
        other = self.other
        if other._rest:
            header = b"" if other._frames is None else binary_header(len(data))
            other.end.bytes_out += len(data)
            other.write(header + data)
        else:
            other.send(data)

    def pause_writing(self) -> None:
        """Known already: it was told by us."""

    resume_writing = unregisterProducer = pause_writing


class _Pair:
    """A session's two halves, which end together."""

    __slots__ = ("_cause", "_engine", "client", "live", "upstream")

    def __init__(self, engine: Engine, client: "StreamEnd", upstream: "StreamEnd", filter: IFilter | None) -> None:
        self.live = True
        self._engine = engine
        self._cause: Deferred[Refusal] = Deferred(self._cancelled)
        self.client = Half(engine, self, client, getattr(filter, "from_client", None))
        self.upstream = Half(engine, self, upstream, getattr(filter, "from_upstream", None))
        self.client.other, self.upstream.other = self.upstream, self.client

    def start(self) -> Deferred[Refusal]:
        """Watch both; what the ends held goes first."""
        halves = self.upstream, self.client
        for half in halves:
            self._engine.add(half)
        for half in halves:
            if self.live:
                half.end.attach(half)  # type: ignore[arg-type]  # it is one, without the price of saying so
        return self._cause

    def over(self, cause: Refusal) -> None:
        """Once."""
        if self.live:
            self.stop()
            self._cause.callback(cause)

    def stop(self) -> None:
        """Both sockets go back."""
        if self.live:
            self.live = False
            self.client.stop()
            self.upstream.stop()

    def _cancelled(self, _: Deferred[Refusal]) -> None:
        self.stop()
