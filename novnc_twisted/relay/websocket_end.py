"""The end of a session on a WebSocket whose upgrade is done."""

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
"""Seconds between pings, by default: under the 60 s after which nginx and load balancers cut a silent connection."""

MISSED_PINGS = 3
"""Pings in a row without any answer, after which the viewer counts as gone.

Not fewer: over a slow line a ping waits behind the screen that is being sent.
"""


class WebSocketEnd(StreamEnd):
    """Binary messages in, binary messages out; pings are answered and sent, a close frame carries the cause.

    :ivar alive: whether anything was received, or sent bytes were taken, since the last ping was due.
    """

    __slots__ = ("_asked", "_every", "_missed", "_ping", "_pong", "alive", "frames")

    frames: FrameDecoder

    def __init__(self, clock: IReactorTime, peer: str = "", *, ping_every: float | None = None) -> None:
        """See StreamEnd.

        :param ping_every: seconds between pings; 0: none; None: PING_EVERY.
        """
        # linger: a browser that is reset before it reads the close frame shows only "1006".
        super().__init__(clock, peer, linger=True, stall=VIEWER_STALL)
        self.frames = FrameDecoder()
        self.alive = True
        self._asked = False  # whether a ping was sent when the last one was due
        self._missed = 0
        self._pong: bytes | None = None  # the payload of a pong that waits for room
        self._every = PING_EVERY if ping_every is None else ping_every
        self._ping: Timer | None = timer_wheel_of(clock).callLater(self._every, self._tick) if self._every else None

    def write(self, data: bytes) -> None:
        """Send a message."""
        if self._closing or self._gone or not data:
            return
        self.bytes_out += len(data)
        send(self.transport, binary_header(len(data)) + data)

    def dataReceived(self, data: bytes) -> None:
        """Read frames, even while we wait for the answer to our close frame."""
        payload = self.frames.receive(data)
        self.alive = True
        # Only payload counts for idle_timeout: a pong is an answer of the browser, not of its user.
        if payload:
            self._deliver(payload)
        if self.frames.news:
            self.look()

    def look(self) -> None:
        """Handle what came besides the stream: answer pings; end at a close frame or a violation of the protocol."""
        frames = self.frames
        frames.news = False
        # Answer first: a close frame in the same bytes ends the session below.
        if frames.pings:
            self._answer()
        if frames.heartbeat:
            self._answer_heartbeat()
        if frames.failure is not None:
            self._end(frames.failure)
            # The answer to our close frame has come, or can come no more: nothing to wait for.
            if self._closing:
                self.transport.loseConnection()
        elif frames.close_code is not None:
            code = "no code" if frames.close_code == NO_CODE else str(frames.close_code)
            self._end(ClientLeft(f"closed with {code}"))
            if self._closing:
                self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See StreamEnd."""
        self._stop_pings()
        super().connectionLost(reason)

    def resumeProducing(self) -> None:
        """There is room again: a pong that waited for it goes first."""
        self.alive = True  # the peer takes what we send
        if self._pong is not None and not self._closing:
            self.transport.write(control_frame(PONG, self._pong))
            self._pong = None
        super().resumeProducing()

    def _write_final(self, cause: Refusal) -> None:
        self._stop_pings()
        code, reason = cause.close_code, cause.sentence
        theirs = self.frames.close_code
        if theirs is not None:  # the peer closed first: echo its code (RFC 6455, section 5.5.1)
            code, reason = (1000 if theirs == NO_CODE else theirs), ""
        send(self.transport, close_frame(code, reason))

    def _hang_up(self) -> None:
        # Closing at once could overtake the close frame: bytes that the browser is still sending would reset the
        # connection, and its user would read "1006".  So we await its close frame until the abort's time-out.
        if self.frames.failure is not None:  # nothing it sends can be read any more
            super()._hang_up()
            return
        self.resume_reading()
        if self.frames.close_code is not None:
            self.transport.loseConnection()

    def _answer(self) -> None:
        """Answer pings; while our buffer is full, keep the newest only (section 5.5.3), so that memory is bounded."""
        pings, self.frames.pings = self.frames.pings, []
        if self._closing:
            return
        if self._full:
            self._pong = pings[-1]
        else:
            self.transport.write(b"".join(control_frame(PONG, payload) for payload in pings))

    def _answer_heartbeat(self) -> None:
        """Answer an empty message with one, unless our buffer is full: then the data in it shows that we are alive."""
        self.frames.heartbeat = False
        if not self._closing and not self._full:
            self.transport.write(EMPTY)

    def _tick(self) -> None:
        # A viewer that we do not read cannot show that it lives; its pong may be in the socket's buffer.
        unread = self._paused or (self._side is not None and self._side.unread)
        if self.alive or unread:
            self._missed = 0
        elif self._asked:
            self._missed += 1
        if self._missed >= MISSED_PINGS:
            self._ping = None
            self._end(ClientLeft("answered no ping"))
            return
        self.alive = False
        # Behind a full buffer a ping would wait for minutes, so its missing answer would prove nothing.
        self._asked = not self._full
        if self._asked:
            self.transport.write(control_frame(PING))
        self._ping = timer_wheel_of(self.clock).callLater(self._every, self._tick)

    def _stop_pings(self) -> None:
        if self._ping is not None:
            self._ping.cancel()
        self._ping = None
