"""The WebSocket end of a session with a channel: text messages between the page and the proxy, beside RFB."""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from novnc_twisted.errors import ProtocolViolation
from novnc_twisted.relay.text_frames import TextFrameDecoder, text_header
from novnc_twisted.relay.websocket_end import WebSocketEnd


class ChannelEnd(WebSocketEnd):
    """A :class:`WebSocketEnd` with a channel of text messages beside the stream.

    :ivar on_text: called with each text message of the viewer.  None: the session is not live yet, and a text message
        ends the session.
    """

    __slots__ = ("_unsent", "on_text")

    frames: TextFrameDecoder

    def __init__(self, clock: IReactorTime, peer: str = "", *, ping_every: float | None = None) -> None:
        """See WebSocketEnd."""
        super().__init__(clock, peer, ping_every=ping_every)
        self.frames = TextFrameDecoder()
        self.on_text: Callable[[str], None] | None = None
        self._unsent: dict[str, bytes] = {}  # messages that wait for room, by their kinds

    def write_text(self, kind: str, text: str) -> None:
        """Send a text message of at most 65,535 bytes; do nothing if the connection is lost or closed.

        While our buffer is full, only the newest message of each kind waits, so that memory is bounded.

        :param kind: the type of the message; a later message replaces an earlier one of this kind that still waits.
        """
        if self._closing or self._gone:
            return
        payload = text.encode()
        frame = text_header(len(payload)) + payload
        if self._full:
            self._unsent[kind] = frame
        else:
            # One call for the whole frame, so that no other frame can come between its bytes.
            self.transport.write(frame)

    def handle_news(self) -> None:
        """See WebSocketEnd: also pass text messages on."""
        texts = self.frames.texts
        if texts:
            self.frames.texts = []
            for text in texts:
                # If one message has ended the session, ignore the others.
                if self._closing or self._over is not None:
                    break
                if self.on_text is None:
                    self._end(ProtocolViolation("a text message before the session is live"))
                else:
                    self.on_text(text)
        super().handle_news()

    def resumeProducing(self) -> None:
        """See WebSocketEnd: also send the messages that waited for room."""
        # Called first, because the write below may fill the buffer.  A later call would then mark the full buffer as
        # not full.
        super().resumeProducing()
        if self._unsent and not (self._full or self._closing):
            unsent, self._unsent = self._unsent, {}
            self.transport.write(b"".join(unsent.values()))
