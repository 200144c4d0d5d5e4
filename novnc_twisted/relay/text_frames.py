"""WebSocket frames of a stream that also carries text messages, beside the binary ones (RFC 6455, section 5.6).

Only a session whose client and proxy agreed on a subprotocol with text messages has this decoder.  Every other session
has :class:`~novnc_twisted.relay.frames.FrameDecoder`, which refuses text.
"""

from typing import Final

from novnc_twisted.errors import MessageTooBig, ProtocolViolation
from novnc_twisted.relay.frames import CONTINUATION, TEXT, FrameDecoder, check_head, payload_length
from novnc_twisted.relay.masking import unmask

TEXT_LIMIT: Final = 4096
"""Maximum number of bytes of a text message; a longer one ends the session."""

_FIN = 0x80


def text_header(length: int) -> bytes:
    """Return the header of a whole, unmasked text message of ``length`` bytes, at most 65,535."""
    return bytes((_FIN | TEXT, length)) if length < 126 else b"\x81\x7e" + length.to_bytes(2, "big")


class TextFrameDecoder(FrameDecoder):
    """Decodes binary messages as its base class does, and collects the text messages between them.

    A text message is added to ``texts`` when all of its frames have arrived.  Until then, the decoder keeps the payload
    of its complete frames, and the bytes of an unfinished frame.  The payload of all these frames together is at most
    ``TEXT_LIMIT`` bytes long: if the header of a frame announces more, the message is refused (MessageTooBig).

    :ivar texts: the complete text messages that have arrived and are not yet handled: handle them and clear the list.
        When a message is added, the attribute ``news`` of the base class is also set.
    """

    __slots__ = ("_pieces", "texts")

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        # The payload of the complete frames of an unfinished text message; None: no text message is unfinished.
        self._pieces: bytes | None = None

    def _frame(self, data: bytes, at: int, end: int) -> int:
        opcode = data[at] & 0x0F
        if opcode == TEXT or (opcode == CONTINUATION and self._pieces is not None):
            return self._text(data, at, end) if end - at >= 2 else 0
        return super()._frame(data, at, end)

    def _text(self, data: bytes, at: int, end: int) -> int:
        """Read a whole frame of a text message; return the number of bytes used, or 0 if more bytes are needed."""
        first = data[at]
        check_head(first, data[at + 1])
        if first & 0x0F == TEXT and self._continues:
            raise ProtocolViolation("a new message, although another one is unfinished")
        used, length = payload_length(data, at, end)
        if not used:
            return 0
        pieces = self._pieces or b""
        # Check the announced length before the payload arrives.
        if len(pieces) + length > TEXT_LIMIT:
            raise MessageTooBig(f"a text message of more than {TEXT_LIMIT} bytes")
        if end - at < used + length:
            return 0
        pieces += unmask(data[at + used : at + used + length], data[at + used - 4 : at + used])
        self._continues = not first & _FIN
        self._pieces = pieces if self._continues else None
        if not self._continues:
            self._add(pieces)
        return used + length

    def _add(self, whole: bytes) -> None:
        try:
            self.texts.append(whole.decode())
        except UnicodeDecodeError:
            # Section 7.4.1 has the close code 1007 for this, but all violations get 1002 here.
            raise ProtocolViolation("a text message that is not UTF-8") from None
        self.news = True
