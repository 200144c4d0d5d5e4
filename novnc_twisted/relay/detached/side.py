"""One side of a session in the detached relay: its socket, and the bytes that could not be sent on it yet."""

from typing import TYPE_CHECKING, Final

from novnc_twisted.errors import Refusal
from novnc_twisted.relay.detached.engine import BUFFER, DEAD, ENDING, IN, OUT, Engine

if TYPE_CHECKING:
    from novnc_twisted.relay.detached.relay import DetachedRelay
    from novnc_twisted.relay.filters import FilterFunction
    from novnc_twisted.relay.stream_end import StreamEnd

PIECE: Final = 1 << 14
"""Maximum number of bytes of one read if the peer to which they are sent may be slow.

Bytes that this peer does not accept are held, so a small read bounds the memory.
"""

SLOW: Final = 0.1
"""Seconds for which bytes may wait for a peer before the peer counts as slow."""

QUICK: Final = 1 << 22
"""Number of bytes that a peer must accept without being slow before it counts as quick.

Only the bytes of full reads count: reads that return as many bytes as were requested.  "Accept" means that our kernel
takes the bytes.  If the peer does not read, the kernel takes hardly more than this number: Linux's default maximum for
a send buffer is 4 MiB.  If such a peer counts as quick anyway, at most one read of ``BUFFER`` bytes is held for it.
"""

HELD: Final = 1 << 25
"""If at least this number of bytes is held for all sessions together, every peer counts as slow."""

_READABLE: Final = IN | ENDING

_ORDINARY: Final = IN | OUT
_NOTHING: Final = memoryview(b"")


class StreamSide:
    """The side of a plain stream, without frames.  The other side of the session sends what this side reads.

    Without a filter, the other side sends from the engine's buffer, without a copy.

    While a side has the socket, ``end`` uses the side as its transport.  For example, a WebSocketEnd sends pings and
    text messages with :meth:`write`.

    :ivar end: the end (connection) from which this side has taken the socket.
    :ivar filter: the filters for the bytes that this side reads, as one function, which returns the bytes to send on;
        None: all bytes are sent on without inspection.
    :ivar other: the other side.
    """

    # fmt: off
    __slots__ = (
        "_accepted", "_ending", "_engine", "_readable", "_relay", "_rest", "_since",
        "descriptor", "end", "filter", "other", "socket",
    )
    # fmt: on

    end: "StreamEnd"
    other: "StreamSide"

    def __init__(self, engine: Engine, relay: "DetachedRelay", end: "StreamEnd") -> None:
        self.filter: FilterFunction = None
        self._engine = engine
        self._relay = relay
        self._readable = False  # whether there may be unread bytes, which edge-triggered epoll does not report again
        self._ending = False  # whether the peer has ended its direction; bytes that it sent before are still read
        self._accepted = 0  # bytes of full reads (see QUICK) that the peer has accepted since it was last slow
        self._since = 0.0  # when the bytes in _rest began to wait
        self._rest = _NOTHING  # bytes that could not be sent yet
        self.end = end
        # The transport may have unsent bytes.  They must be sent first, or the stream would be out of order.
        self.socket, waiting = end.leave(self)
        self.descriptor = self.socket.fileno()
        if waiting:
            self._begin_to_hold(waiting)

    def ready(self, events: int) -> None:
        """Handle events of epoll: send waiting bytes, read, or notice that the peer is gone."""
        if events == _ORDINARY and not self._rest:  # nearly always: epoll reports "readable" together with "writable"
            self._readable = True
            self.pump()
            return
        # Send before reading: room on this socket may let the other side continue.
        if self._rest and events & OUT:
            self._flush()
        if events & _READABLE:
            self._readable = True
            if events & ENDING:
                self._ending = True
                if events & DEAD and self.other._rest and self._relay.live and self is self._relay.client:
                    # The viewer can receive no more.  Do not wait until the VNC server has accepted the viewer's last
                    # bytes, because the server may hang.
                    self.end.fail("connection reset")
                    return
            self.pump()

    def pump(self) -> None:
        """Read from this side's socket and send to the other side.

        Stop when the socket is empty, when the other side is full, or after as many reads as ``engine.turns`` has
        items: this is one side's share of a round, so that all sessions get their turn.
        """
        engine, end, other, relay = self._engine, self.end, self.other, self._relay
        for _ in engine.turns:
            # Check before every read: the previous send may have filled the other side or ended the session.
            if other._rest or not relay.live:
                return
            # Bytes that the other side does not accept are copied and held.  So read small pieces for a slow side.
            size = BUFFER if other._accepted >= QUICK and engine.held < HELD else PIECE
            try:
                count = self.socket.recv_into(engine.space, size)
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
            if self.filter is None:
                other.send_read(count)
            else:
                self.pass_on(engine.space[:count].tobytes())
            # A read of fewer bytes than requested means that the socket is empty (epoll(7), edge-triggered).  So no
            # further read, which would fail with EAGAIN, is needed.
            if count < size:
                # Stop here, because epoll reports the next bytes.  But if the peer has ended its direction, epoll does
                # not report this again, so read on to the end.
                if not self._ending:
                    self._readable = False
                    return
            elif not other._rest:
                # Count only full reads.  A smaller read shows nothing about the other peer: its bytes fit into the send
                # buffer even if that peer reads slowly.
                other._accepted += count
        if relay.live:
            engine.go_on(self)

    def pass_on(self, data: bytes) -> None:
        """Send on the bytes that pass the filters; if a filter refuses, end the session."""
        if self.filter is not None:
            try:
                data = self.filter(data)
            except Refusal as cause:
                self._relay.over(cause)
                return
        if data:
            self.other.send(data)

    def send(self, data: bytes | memoryview) -> None:
        """Send a piece of the stream at once, or append it to the bytes that wait."""
        size = len(data)
        self.end.bytes_out += size
        if self._rest:
            self._append(data)
            return
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._broken(error)
            return
        if sent < size:
            # A copy: the data may be a view of the engine's buffer, which the next read overwrites.
            self._begin_to_hold(bytes(data[sent:]))

    def send_read(self, count: int) -> None:
        """Send the bytes that the other side has just read into the engine's buffer."""
        self.send(self._engine.space[:count])

    def write(self, data: bytes) -> None:
        """Send bytes that are not part of the stream, such as a ping, at once, or append them to the bytes that wait.

        If sending fails, the next read reports the failure.
        """
        if self._rest:
            self._append(data)
            return
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return
        if sent < len(data):
            self._begin_to_hold(bytes(data[sent:]))

    @property
    def waiting(self) -> int:
        """The number of bytes that could not be sent yet."""
        return len(self._rest)

    @property
    def is_blocked(self) -> bool:
        """Whether this side does not read from its peer at present, because bytes wait to be sent on the other side."""
        return bool(self.other._rest)

    def release(self) -> None:
        """Return the sockets of the session to transports, because this side's end is being closed."""
        self._relay.stop()

    def stop(self) -> None:
        """Return the socket to a transport."""
        # Remove the side first: the end gives the socket to a new transport, and the reactor may then watch the socket.
        self._engine.remove(self)
        # ``held`` is the sum for all sessions, so subtract the bytes of this side.
        self._engine.held -= len(self._rest)
        rest, self._rest = bytes(self._rest), _NOTHING
        self.end.come_back(self.socket, rest)

    def _append(self, data: bytes | memoryview) -> None:
        """Append data to the bytes that wait already."""
        self._engine.held += len(data)
        # This copies all waiting bytes.  That is rare: while bytes wait, the other side does not read, and the end
        # sends no pings, pongs or text messages.  The exception is the start of a session, when the other end can pass
        # on bytes that it has held.
        self._rest = memoryview(b"".join((self._rest, data)))

    def _begin_to_hold(self, rest: bytes) -> None:
        """Begin to hold bytes that the peer did not accept.  The other side does not read until they are sent."""
        self._rest = memoryview(rest)
        self._engine.held += len(rest)
        self._since = self._engine.now
        # Report a full buffer, as a transport does.  The end then watches for a peer that accepts nothing for too long.
        self.end.pauseProducing()

    def _flush(self) -> None:
        """Send the waiting bytes."""
        engine = self._engine
        try:
            sent = self.socket.send(self._rest)
        except BlockingIOError:
            return
        except OSError as error:
            sent = len(self._rest)
            # Drop the unsent bytes, because the peer accepts no more.
            self._broken(error)
            if not self._relay.live:
                return
        self._rest = self._rest[sent:]
        engine.held -= sent
        if self._rest:
            return
        self._rest = _NOTHING  # an empty view would keep the whole buffer alive
        # If the peer was slow, data for it is read in small pieces again.
        if engine.now - self._since > SLOW:
            self._accepted = 0
        self.end.resumeProducing()
        # If epoll reported bytes of the other side while this side was full, it does not report them again.
        if self.other._readable:
            self.other.pump()

    def _broken(self, error: OSError) -> None:
        """Handle a failed send: the peer can receive no more.

        If the peer is the viewer, the session ends at once.  If the peer is the VNC server, the viewer must still get
        the bytes that the server has sent.  So this side reads its socket to the end; then the session ends.
        """
        if self is self._relay.client:
            self.end.fail(error.strerror or "")
        else:
            self._readable = self._ending = True
            self._engine.go_on(self)

    # IReceiver, and unregisterProducer(), which an end may call on its transport

    def end_lost(self, cause: Refusal) -> None:
        """See IReceiver: the session is over."""
        self._relay.over(cause)

    def data_received(self, data: bytes) -> None:
        """See IReceiver: bytes that the end has held."""
        self.pass_on(data)

    def pause_writing(self) -> None:
        """Do nothing: the end only repeats what this side has just reported to it."""

    resume_writing = pause_writing

    def unregisterProducer(self) -> None:
        """Do nothing: the detached relay registers no producer."""
