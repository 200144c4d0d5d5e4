"""The WebSocket end of a session, after the upgrade."""

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from novnc_twisted.errors import ClientLeft, Refusal
from novnc_twisted.relay.frames import (
    EMPTY,
    NO_CODE,
    PING,
    PONG,
    FrameDecoder,
    binary_header,
    close_frame,
    control_frame,
)
from novnc_twisted.relay.stream_end import VIEWER_STALL, StreamEnd
from novnc_twisted.relay.timer_wheel import Timer, timer_wheel_of
from novnc_twisted.relay.transports import send

PING_EVERY = 30.0
"""Default seconds between pings: less than 60 s, after which nginx and load balancers close a silent connection."""

MISSED_PINGS = 3
"""Number of unanswered pings in a row after which the viewer counts as gone.

Fewer would be too strict: on a slow line, a ping waits behind the pictures that are being sent.
"""


class WebSocketEnd(StreamEnd):
    """A stream of binary WebSocket messages.

    It sends and answers pings.  When it is closed, it sends the cause in a close frame.

    :ivar alive: whether any byte was received, or our buffer was drained, since the last ping was due.
    """

    __slots__ = ("_asked", "_every", "_missed", "_ping", "_pong", "alive", "frames")

    frames: FrameDecoder

    def __init__(self, clock: IReactorTime, peer: str = "", *, ping_every: float | None = None) -> None:
        """See StreamEnd.

        :param ping_every: seconds between pings; 0: no pings; None: PING_EVERY.
        """
        # Linger (see StreamEnd), because closing both directions could reset the connection before the browser has read
        # the close frame.  The browser would then show only "1006".
        super().__init__(clock, peer, linger=True, stall=VIEWER_STALL)
        self.frames = FrameDecoder()
        self.alive = True
        self._asked = False  # whether the last _tick() sent a ping; none is sent while our buffer is full
        self._missed = 0
        self._pong: bytes | None = None  # the payload of a pong that waits for room
        self._every = PING_EVERY if ping_every is None else ping_every
        self._ping: Timer | None = timer_wheel_of(clock).callLater(self._every, self._tick) if self._every else None

    def write(self, data: bytes) -> None:
        """See IEnd: send the bytes as one binary message."""
        if self._closing or self._gone or not data:
            return
        self.bytes_out += len(data)
        send(self.transport, binary_header(len(data)) + data)

    def dataReceived(self, data: bytes) -> None:
        """Read frames, even while we wait for the answer to our close frame."""
        payload = self.frames.receive(data)
        self.alive = True
        # Only payload counts for idle_timeout: a pong comes from the browser, not from its user.
        if payload:
            self._deliver(payload)
        if self.frames.news:
            self.handle_news()

    def handle_news(self) -> None:
        """Handle news of the frame decoder.

        Answer pings and empty messages; end at a close frame or a violation of the protocol.
        """
        frames = self.frames
        frames.news = False
        # Answer first: a close frame in the same bytes ends the session below.
        if frames.pings:
            self._answer()
        if frames.heartbeat:
            self._answer_heartbeat()
        # Read _closing before _end(): the receiver may then call close(), which sets _closing and calls _hang_up().
        closing = self._closing
        if frames.failure is not None:
            self._end(frames.failure)
        elif frames.close_code is not None:
            code = "no code" if frames.close_code == NO_CODE else str(frames.close_code)
            self._end(ClientLeft(f"closed with {code}"))
        # The answer to our close frame has come, or no readable answer can come.
        if closing and (frames.failure is not None or frames.close_code is not None):
            self._hang_up()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See StreamEnd."""
        self._stop_pings()
        super().connectionLost(reason)

    def resumeProducing(self) -> None:
        """See StreamEnd: also send a pong that waited for room."""
        self.alive = True  # the peer reads what we send
        # This call must come before the pong is written.  The pong may fill the buffer, and a later call would mark the
        # full buffer as not full.
        super().resumeProducing()
        if self._pong is not None and not (self._full or self._closing):
            pong, self._pong = self._pong, None
            self.transport.write(control_frame(PONG, pong))

    def _write_final(self, cause: Refusal) -> None:
        self._stop_pings()
        code, reason = cause.close_code, cause.sentence
        theirs = self.frames.close_code
        if theirs is not None:  # the peer closed first: echo its code (RFC 6455, section 5.5.1)
            code, reason = (1000 if theirs == NO_CODE else theirs), ""
        send(self.transport, close_frame(code, reason))

    def _hang_up(self) -> None:
        # If we closed at once, bytes that the browser is still sending would reset the connection, perhaps before the
        # browser has read our close frame.  So wait for the browser's close frame, for at most CLOSE_GRACE seconds.
        if self.frames.failure is not None:  # the browser's frames can no longer be read
            super()._hang_up()
            return
        self.resume_reading()
        if self.frames.close_code is not None:
            self.transport.loseConnection()

    def _answer(self) -> None:
        """Answer pings.  While our buffer is full, keep only the newest one (section 5.5.3) to bound the memory."""
        pings, self.frames.pings = self.frames.pings, []
        if self._closing:
            return
        if self._full:
            self._pong = pings[-1]
        else:
            self.transport.write(b"".join(control_frame(PONG, payload) for payload in pings))

    def _answer_heartbeat(self) -> None:
        """Answer an empty message, which the page sends to check the connection, with an empty message.

        If our buffer is full, do not answer: the data in the buffer shows that we are alive.
        """
        self.frames.heartbeat = False
        if not self._closing and not self._full:
            self.transport.write(EMPTY)

    def _tick(self) -> None:
        # While we do not read from the viewer, its pong may wait in the socket's buffer.
        unread = self._paused or (self._side is not None and self._side.is_blocked)
        if self.alive or unread:
            self._missed = 0
        elif self._asked:
            self._missed += 1
        if self._missed >= MISSED_PINGS:
            self._ping = None
            self._end(ClientLeft("answered no ping"))
            return
        self.alive = False
        # Behind a full buffer, a ping could wait for minutes, so a missing answer would prove nothing.
        self._asked = not self._full
        if self._asked:
            self.transport.write(control_frame(PING))
        self._ping = timer_wheel_of(self.clock).callLater(self._every, self._tick)

    def _stop_pings(self) -> None:
        if self._ping is not None:
            self._ping.cancel()
        self._ping = None
