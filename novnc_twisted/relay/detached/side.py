"""One side of a session in the detached relay: its socket, and what could not be sent on it yet."""

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from novnc_twisted.errors import Refusal
from novnc_twisted.relay.detached.engine import BUFFER, DEAD, ENDING, IN, OUT, Engine

if TYPE_CHECKING:
    from novnc_twisted.relay.detached.relay import DetachedRelay
    from novnc_twisted.relay.filters import Look
    from novnc_twisted.relay.stream_end import StreamEnd

PIECE: Final = 1 << 14
"""Bytes read at a time at most for a reader that may be slow: what it does not take is held."""

SLOW: Final = 0.1
"""Seconds for which a reader takes nothing, after which it counts as slow."""

QUICK: Final = 1 << 22
"""Bytes in full pieces that a reader takes before it counts as quick: more than its socket's buffer can hide."""

HELD: Final = 1 << 25
"""Bytes that may be held in all before every reader counts as slow."""

_READABLE: Final = IN | ENDING
_NOTHING: Final = memoryview(b"")


class StreamSide:
    """A plain stream: what it reads is passed on unchanged from the engine's buffer.

    :ivar end: the end that the socket belongs to.
    :ivar look: what the bytes that are read pass through; None: they pass unread.
    :ivar other: the other side, on which they are sent.
    """

    __slots__ = (
        "_calm",
        "_ending",
        "_engine",
        "_readable",
        "_relay",
        "_rest",
        "_since",
        "descriptor",
        "end",
        "look",
        "other",
        "socket",
    )

    end: "StreamEnd"
    other: "StreamSide"

    def __init__(self, engine: Engine, relay: "DetachedRelay", end: "StreamEnd") -> None:
        self.look: Look = None
        self._engine = engine
        self._relay = relay
        self._readable = False  # whether there may be something to read of which no edge will tell
        self._ending = False  # whether its peer sends no more: then only the end of the data reports the end
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
        if self._rest and events & OUT:
            self._flush()
        if events & _READABLE:
            self._readable = True
            if events & ENDING:
                self._ending = True
                if events & DEAD and self.other._rest and self._relay.live and self is self._relay.client:
                    # It can be sent nothing any more, and what it sent last would wait for a server that hangs.
                    self.end.fail("connection reset")
                    return
            self.pump()

    def pump(self) -> None:
        """Read what there is and send it on, as long as the other side takes it."""
        engine, end, other, relay = self._engine, self.end, self.other, self._relay
        for _ in range(engine.turns):
            if other._rest or not relay.live:
                return
            size = BUFFER if other._calm >= QUICK and engine.held < HELD else PIECE
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
            end.bytes_in += count
            end.heard_at = engine.now
            if self.look is None:
                other.send(engine.view[:count])
            else:
                self.pass_on(engine.view[:count].tobytes())
            if count < size:
                if not self._ending:  # it is empty: an edge reports whatever comes now
                    self._readable = False
                    return
            elif not other._rest:
                other._calm += count
        if relay.live:
            engine.go_on(self)

    def pass_on(self, data: bytes) -> None:
        """Send on what the filter, where there is one, lets pass; what it refuses is the end."""
        if self.look is not None:
            try:
                data = self.look(data)
            except Refusal as cause:
                self._relay.over(cause)
                return
        if data:
            self.other.send(data)

    def send(self, data: bytes | memoryview) -> None:
        """Send a piece of the stream: at once, or behind what waits."""
        self.end.bytes_out += len(data)
        try:
            self._send(data)
        except OSError as error:
            self._broken(error)

    def write(self, data: bytes) -> None:
        """Send something of the end's own (a ping, an answer to one); where that fails, what it reads will tell."""
        with suppress(OSError):
            self._send(data)

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
        self._relay.stop()

    def stop(self) -> None:
        """Give the socket back to a transport."""
        self._engine.remove(self)
        self._engine.held -= len(self._rest)
        rest, self._rest = bytes(self._rest), _NOTHING
        self.end.come_back(self.socket, rest)

    def _send(self, data: bytes | memoryview) -> None:
        if self._rest:
            self._keep(data)
            return
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._hold(bytes(data[sent:]))

    def _keep(self, data: bytes | memoryview) -> None:
        """Put it behind what waits."""
        self._engine.held += len(data)
        self._rest = memoryview(b"".join((self._rest, data)))

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
            if not self._relay.live:
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
        if self is self._relay.client:
            self.end.fail(error.strerror or "")
        else:
            self._readable = self._ending = True
            self._engine.go_on(self)

    # What its end reports: the transport's part and IReceiver

    def end_lost(self, cause: Refusal) -> None:
        """The end is over: so is the session."""
        self._relay.over(cause)

    def data_received(self, data: bytes) -> None:
        """Bytes that the end held."""
        self.pass_on(data)

    def pause_writing(self) -> None:
        """Known already: we reported it."""

    resume_writing = unregisterProducer = pause_writing
