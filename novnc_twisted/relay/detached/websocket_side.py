"""The side of a detached relay that has a WebSocket's socket: decodes received frames, and sends frames."""

from typing import TYPE_CHECKING, Final

from novnc_twisted.errors import Refusal
from novnc_twisted.relay.detached.engine import HEADROOM
from novnc_twisted.relay.detached.side import HELD, PIECE, QUICK, StreamSide
from novnc_twisted.relay.frames import binary_header

if TYPE_CHECKING:
    from novnc_twisted.relay.websocket_end import WebSocketEnd

FRAMED: Final = 1 << 16
"""Maximum number of bytes of one read.  Decoding more bytes, in many small frames, would delay other sides for long."""


class WebSocketSide(StreamSide):
    """A side that decodes the frames that it reads, and puts each piece that it sends into one frame."""

    __slots__ = ()

    end: "WebSocketEnd"

    def pump(self) -> None:
        """See :class:`StreamSide`."""
        engine, end, other, relay = self._engine, self.end, self.other, self._relay
        frames = end.frames
        for _ in engine.turns:
            if other._rest or not relay.live:
                return
            size = FRAMED if other._accepted >= QUICK and engine.held < HELD else PIECE
            try:
                raw = self.socket.recv(size)
            except BlockingIOError:
                self._readable = False
                return
            except OSError as error:
                end.fail(error.strerror or "")
                return
            if not raw:
                end.fail("")
                return
            # Any byte proves that the viewer is alive, even one of a control frame or of an unfinished frame.
            end.alive = True
            data = frames.receive(raw)
            if data:
                end.bytes_in += len(data)
                end.heard_at = engine.now
                if self.filter is not None:
                    try:
                        data = self.filter(data)
                    except Refusal as cause:
                        relay.over(cause)
                        return
                if data:
                    other.send(data)
            # Filtering or sending the payload may have ended the session.
            if frames.news and relay.live:
                end.handle_news()
            if len(raw) < size:
                if not self._ending:
                    self._readable = False
                    return
            elif not other._rest:
                other._accepted += size
        if relay.live:
            engine.go_on(self)

    def send(self, data: bytes | memoryview) -> None:
        """See :class:`StreamSide`."""
        size = len(data)
        self.end.bytes_out += size
        header = binary_header(size)
        if self._rest:
            self._append(b"".join((header, data)))
            return
        try:
            # One system call and no copy; joining header and data would copy the data.
            sent = self.socket.sendmsg((header, data))
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._broken(error)
            return
        if sent < len(header) + size:
            self._begin_to_hold(b"".join((header, data))[sent:])

    def send_read(self, count: int) -> None:
        """See :class:`StreamSide`.  The frame's header is put in front of the bytes, so that one call sends both."""
        self.end.bytes_out += count
        engine, header = self._engine, binary_header(count)
        # The header has 2, 4 or 10 bytes, and must end where the payload begins.
        start = HEADROOM - len(header)
        engine.buffer[start:HEADROOM] = header
        framed = engine.view[start : HEADROOM + count]
        if self._rest:
            self._append(framed)
            return
        try:
            sent = self.socket.send(framed)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._broken(error)
            return
        if sent < len(framed):
            self._begin_to_hold(bytes(framed[sent:]))
