"""The filter that limits the clipboard of a session, in either direction."""

import struct
from dataclasses import dataclass
from typing import Final

from novnc_twisted.errors import ProtocolViolation

from .client_messages import EVERYDAY, ClientMessage, length_of
from .constants import Encoding
from .pixel_format import PixelSize
from .rectangles import is_readable
from .server_messages import ServerMessage, ServerMessages

UNLIMITED: Final = -1

_WHOLE: Final = (ClientMessage.SET_ENCODINGS, ClientMessage.SET_PIXEL_FORMAT)
"""Messages that the filter reads completely.  Of all other messages, it reads only the head."""

_REQUESTS: Final = (ClientMessage.FRAMEBUFFER_UPDATE_REQUEST, ClientMessage.ENABLE_CONTINUOUS_UPDATES)
"""Messages after which the server may send the screen."""

_CURSORS: Final = frozenset({Encoding.CURSOR, Encoding.VMWARE_CURSOR})
"""Pseudo-encodings with pixels.  Listing one counts as a request, because QEMU sends the cursor unasked."""


@dataclass(frozen=True, slots=True)
class ClipboardLimits:
    """The maximum length of one clipboard text in each direction.

    Even without a limit, the shield (which checks the viewer's messages) and :class:`ClipboardPolicy` refuse a viewer's
    text of more than :data:`.client_messages.MAX_CUT_TEXT` bytes.

    :ivar to_server: bytes from the viewer to the server; 0: no text; :data:`UNLIMITED`: no limit.
    :ivar from_server: bytes from the server to the viewer; 0: no text; :data:`UNLIMITED`: no limit.
    """

    to_server: int = UNLIMITED
    from_server: int = UNLIMITED

    @property
    def limited(self) -> bool:
        """Whether there is anything to limit."""
        return self.to_server != UNLIMITED or self.from_server != UNLIMITED


NO_LIMITS: Final = ClipboardLimits()


class ClipboardPolicy:
    """Removes clipboard texts that are longer than the limits: a filter of the relay, without I/O.

    It also removes empty texts, which would clear the receiver's clipboard even with a limit of 0.  But if
    ``from_server`` is :data:`UNLIMITED`, all texts from the server pass.

    It removes the extended clipboard from SetEncodings, because the texts of this extension are compressed and of
    several kinds.  The simple clipboard, which every viewer has, remains.

    If the server's texts are limited, the filter must find the end of each server message.  Therefore:

    * It removes from SetEncodings all encodings whose rectangles have no readable length.
    * It refuses a change of the pixels' size after the viewer has asked for the screen or for a cursor.  After
      such a change, the filter could not know which of the next server messages have the old size.

    It buffers an incomplete head of a viewer's message, or an incomplete SetPixelFormat or SetEncodings: at most 4,100
    bytes.  If the server's texts are limited, it also buffers an incomplete header in the server's stream: at most 11
    bytes.

    :param pixel_format: the PIXEL_FORMAT in ServerInit.
    """

    __slots__ = ("_asked", "_held", "_left", "_limits", "_passes", "_server")

    def __init__(self, limits: ClipboardLimits, pixel_format: bytes) -> None:
        self._limits = limits
        self._held = b""
        self._left = 0  # missing bytes of the viewer's unfinished message
        self._passes = True  # whether this message is passed on
        self._asked = False  # whether the viewer has asked for the screen or for a cursor
        self._server = ServerMessages(PixelSize.of(pixel_format))

    @property
    def unfinished(self) -> int:
        """The missing bytes of a viewer's message whose first part was passed on or removed; 0: none."""
        return self._left

    @property
    def _reads_server(self) -> bool:
        """Whether the filter must find the end of each server message."""
        return self._limits.from_server != UNLIMITED

    def from_client(self, data: bytes) -> bytes:
        """Return the bytes to send on to the server.

        :raises ProtocolViolation: a message has an unknown length or an invalid head, or the size of the pixels changes
            too late.
        :raises MessageTooBig: a list of encodings or a clipboard text is longer than :mod:`.client_messages` permits.
        """
        # One key or mouse event, or one request for the screen, like nearly all messages.
        if EVERYDAY[data[0]] == len(data) and not (self._held or self._left):
            self._asked = self._asked or data[0] == ClientMessage.FRAMEBUFFER_UPDATE_REQUEST
            return data
        if self._held:
            data, self._held = self._held + data, b""
        at, end = 0, len(data)
        passed: list[bytes] = []
        while at < end:
            if not self._left:
                size = length_of(data, at)
                if not size or (data[at] in _WHOLE and at + size > end):
                    self._held = data[at:]
                    break
                if data[at] in _WHOLE:
                    passed.append(self._whole(data[at : at + size]))
                    at += size
                    continue
                self._left = size
                self._passes = self._may_pass(data, at)
            piece = min(self._left, end - at)
            if self._passes:
                passed.append(data[at : at + piece])
            self._left -= piece
            at += piece
        return b"".join(passed)

    def from_upstream(self, data: bytes) -> bytes:
        """Return the bytes to send on to the viewer.

        :raises ConsoleUnreachable: the server sent a message whose end cannot be found.
        """
        if not self._reads_server:
            return data
        limit = self._limits.from_server
        # This also removes empty texts (see the class), and texts in the extended form, whose length is negative.
        return b"".join(
            piece.data
            for piece in self._server.receive(data)
            if piece.kind != ServerMessage.SERVER_CUT_TEXT or 0 < piece.length <= limit
        )

    def _may_pass(self, data: bytes, at: int) -> bool:
        kind = data[at]
        if kind in _REQUESTS:
            self._asked = True
        if kind != ClientMessage.CLIENT_CUT_TEXT:
            return True
        length = int.from_bytes(data[at + 4 : at + 8], "big", signed=True)
        # A negative length marks the extended form, which this filter has removed from SetEncodings.
        return length > 0 and (self._limits.to_server == UNLIMITED or length <= self._limits.to_server)

    def _whole(self, message: bytes) -> bytes:
        """Return what is passed on instead of a message of :data:`_WHOLE`; remember a new size of the pixels."""
        if message[0] == ClientMessage.SET_ENCODINGS:
            return self._encodings(message)
        size = PixelSize.of(message[4:])
        if self._reads_server and self._asked and size != self._server.size:
            raise ProtocolViolation(
                "SetPixelFormat changes the size of the pixels after a request for the screen or for a cursor: with a "
                "limit in [console] clipboard_from_server, it may do this only before such a request"
            )
        self._server.size = size
        return message

    def _encodings(self, message: bytes) -> bytes:
        """Return SetEncodings without the encodings that this filter cannot read.

        The list is never empty, because an empty one made QEMU loop endlessly (CVE-2008-2382).
        """
        listed = struct.unpack(f">{len(message) // 4 - 1}i", message[4:])
        kept = [
            encoding
            for encoding in listed
            if encoding != Encoding.EXTENDED_CLIPBOARD and (not self._reads_server or is_readable(encoding))
        ] or [Encoding.RAW]
        self._asked = self._asked or not _CURSORS.isdisjoint(kept)
        return message[:2] + struct.pack(f">H{len(kept)}i", len(kept), *kept)
