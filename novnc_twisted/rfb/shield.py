"""The shield: checks every message of a viewer before it reaches the VNC server.

The server may be years old, and any client with a token may be the viewer.  So the shield passes on no message with an
unknown length, and no value that is known to crash VNC servers.  It passes on a message only when the message is
complete, except a clipboard text, which is passed on in pieces.  A refused message ends the session; an unwanted
message is removed.

Nearly all messages are everyday messages: keys, pointer events and requests for the screen.  A table gives their
lengths, and several of them in a row are passed on in one piece.
"""

import struct
import zlib
from collections.abc import Callable

from novnc_twisted.errors import MessageTooBig, ProtocolViolation, Refusal

from .client_messages import EVERYDAY, MAX_CUT_TEXT, QEMU_KEY, QEMU_KEY_SIZE, ClientMessage, length_of
from .constants import Encoding

_PIXEL_FORMAT = struct.Struct(">4x4B3H3B3x")
_COUNT = struct.Struct(">H")

_STRIPPED = frozenset((Encoding.EXTENDED_MOUSE_BUTTONS, Encoding.GII, Encoding.XVP))
"""Removed from SetEncodings, so that the server never announces these extensions.

With ExtendedMouseButtons, the length of a PointerEvent would depend on messages of the server.  The messages of gii are
refused.  With xvp, the VNC server would decide whether a user may control the power.
"""

_NEEDS = {
    ClientMessage.ENABLE_CONTINUOUS_UPDATES: Encoding.CONTINUOUS_UPDATES,
    ClientMessage.CLIENT_FENCE: Encoding.FENCE,
    ClientMessage.QEMU: Encoding.QEMU_AUDIO,  # not needed for QEMU's key event, which is passed on before this check
    ClientMessage.CLIENT_CUT_TEXT: Encoding.EXTENDED_CLIPBOARD,  # needed for the extended form only
}
"""Message type -> the encoding that a viewer must have listed in SetEncodings before it may send the message."""

# Flags of the extended clipboard (rfbproto): the actions caps, request, peek, notify and provide are bits 24 to 28.
_CAPS, _PROVIDE = 1 << 24, 1 << 28
_ACTIONS = {_CAPS << shift for shift in range(5)}
_ACTION_BITS = sum(_ACTIONS)

_REFUSED = b"\1"
"""The first byte of a message that is always refused (the former FixColourMapEntries).

It is put into the buffer after a refusal, so that all later bytes of the viewer are refused as well.
"""


class Shield:
    """A filter that checks the messages of a viewer, from the first byte after ClientInit.  No I/O.

    It has no ``from_upstream``: the bytes of the VNC server are not checked.

    * Refused: unknown messages; clipboard texts over 1 MiB, more than 1024 encodings, a fence with over 64 bytes of
      payload; invalid pixel and audio formats; messages of the extensions in :data:`_NEEDS` that the viewer did not
      request.
    * Refused extended clipboard texts:

      * without flags;
      * whose flags do not contain exactly one action (the message that announces abilities may contain several);
      * with the action "provide", if the data cannot be unpacked, has over 1 MiB when unpacked, or has bytes after the
        end of its zlib stream.

    * Removed: xvp messages, the encodings in :data:`_STRIPPED`, and empty clipboard texts.
    * Held: an incomplete message, at most 4,100 bytes.  Only a clipboard text is passed on in pieces, after the check
      of its head.  Each piece of provided data is checked before it is passed on.

    :ivar asks_for_power: whether the viewer has listed xvp in SetEncodings.
    :ivar power: called with the code of each xvp message (version 1); None: xvp messages are only removed.
    """

    __slots__ = ("_body", "_held", "_listed", "_packed", "asks_for_power", "power")

    def __init__(self) -> None:
        self._held = b""  # the incomplete message
        self._body = 0  # missing bytes of a clipboard text
        self._packed: _Packed | None = None  # checks the data in an extended text
        self._listed = 0  # the encodings of _NEEDS that the viewer has listed, as bits of _BIT_OF
        self.asks_for_power = False
        self.power: Callable[[int], None] | None = None

    @property
    def held(self) -> int:
        """The number of held bytes of an incomplete message."""
        return len(self._held)

    @property
    def unfinished(self) -> int:
        """The missing bytes of a clipboard text whose first part was passed on; 0: none."""
        return self._body

    def from_client(self, data: bytes) -> bytes:
        """Return the bytes to send on to the VNC server: whole messages, and pieces of a clipboard text.

        :raises ProtocolViolation: the viewer broke the protocol.
        :raises MessageTooBig: the viewer sent a message above the limits.
        """
        # The fast path, without a copy or a slice.  It is correct only between messages.
        if EVERYDAY[data[0]] == len(data) and not (self._held or self._body):
            return data  # one everyday message
        if self._held:
            data, self._held = self._held + data, b""
        everyday, at, end = EVERYDAY, 0, len(data)
        done: list[bytes] = []
        begin = 0  # the start of the bytes that were checked but are not in done yet
        try:
            if self._body:
                at = self._follow(data, 0)
            while at < end:
                size = everyday[data[at]]
                if not size:
                    # If only the first byte of a QEMU key event has arrived, this comparison fails.  _judge() then
                    # returns 0, because the head of the message is not complete, and the loop ends: the byte is held.
                    if data[at : at + 2] == QEMU_KEY:
                        size = QEMU_KEY_SIZE
                    else:
                        size, instead = self._judge(data, at)
                        if not size:
                            break
                        if instead is not None:
                            done += (data[begin:at], instead)
                            begin = at + size
                        if self._body:
                            at = self._follow(data, at + size)
                            continue
                at += size
        except Refusal:
            self._held, self._body = _REFUSED, 0
            raise
        if at == end and not begin:
            return data
        # An incomplete everyday message or QEMU key event: step back to its beginning.  ``size`` is still its size.
        if at > end:
            at -= size
        self._held = data[at:]
        done.append(data[begin:at])
        return b"".join(done)

    def _judge(self, data: bytes, at: int) -> tuple[int, bytes | None]:
        """Check a message that is not an everyday one.

        :return: two values.  The first is the length of the message in bytes, or 0 if the message is incomplete.  For a
            clipboard text, it is the length of the head, or 0 if the head is incomplete.  The second is the bytes to
            pass on instead of the message; None: pass it on unchanged; empty bytes: remove it.
        """
        size, kind = length_of(data, at), data[at]
        # A clipboard text may have 1 MiB, so it is passed on in pieces.  Every other message is held until it is
        # complete.
        if kind == ClientMessage.CLIENT_CUT_TEXT:
            return self._cut_text(data, at) if size else (0, None)
        if not size or at + size > len(data):
            return 0, None
        if kind == ClientMessage.SET_PIXEL_FORMAT:
            _check_pixel_format(data[at : at + size])
        elif kind == ClientMessage.SET_ENCODINGS:
            return size, self._encodings(data[at : at + size])
        elif kind == ClientMessage.XVP:
            if self.power is not None and data[at + 2] == 1:
                self.power(data[at + 3])
            return size, b""
        elif kind in _NEEDS:
            self._need(kind)
            if kind == ClientMessage.QEMU and size > 4:
                _check_audio_format(data[at + 4 : at + size])
        return size, None

    def _need(self, kind: int) -> None:
        if not self._listed & _BIT_OF[_NEEDS[ClientMessage(kind)]]:
            raise ProtocolViolation(f"client message {kind} of an extension that the viewer did not request")

    def _encodings(self, message: bytes) -> bytes:
        """Return SetEncodings without the stripped encodings.

        The list is never empty, because an empty one made QEMU loop endlessly (CVE-2008-2382).
        """
        listed = struct.unpack(f">{len(message) // 4 - 1}i", message[4:])
        self.asks_for_power = self.asks_for_power or Encoding.XVP in listed
        for encoding in _BIT_OF.keys() & listed:
            self._listed |= _BIT_OF[encoding]
        # Every client must accept Raw (RFC 6143, section 7.7.1), so it can replace an empty list.
        kept = [encoding for encoding in listed if encoding not in _STRIPPED] or [Encoding.RAW]
        return message[:2] + _COUNT.pack(len(kept)) + struct.pack(f">{len(kept)}i", *kept)

    def _cut_text(self, data: bytes, at: int) -> tuple[int, bytes | None]:
        """Check the head of a ClientCutText, including the flags of an extended text, and set ``_body``.

        :return: see :meth:`_judge`.
        """
        length = int.from_bytes(data[at + 4 : at + 8], "big", signed=True)
        if not length:
            return 8, b""  # after an empty text, QEMU's clipboard had neither data nor an owner (CVE-2023-6683)
        if length > 0:
            self._body = length
            return 8, None
        self._need(ClientMessage.CLIENT_CUT_TEXT)
        if len(data) < at + 12:
            return 0, None
        flags = int.from_bytes(data[at + 8 : at + 12], "big")
        # The caps message, which announces abilities, may have several actions.  Every other message must have one.
        if not flags & _CAPS and flags & _ACTION_BITS not in _ACTIONS:
            raise ProtocolViolation(f"extended ClientCutText with the flags {flags:#x}")
        # A negative length marks the extended form and counts the four bytes of flags (rfbproto).
        self._body = -length - 4
        if flags & _ACTION_BITS == _PROVIDE:
            # Do not begin a check of an empty body.  Only _follow() ends a check, and it is not called for an empty
            # body.  So the check would go on with the next text.
            if not self._body:
                return 12, b""  # an empty text
            self._packed = _Packed()
        return 12, None

    def _follow(self, data: bytes, at: int) -> int:
        """Check the piece of a clipboard text that begins at ``at``, and return where it ends."""
        piece = min(self._body, len(data) - at)
        if self._packed is not None:
            # Raises for a refused piece, so that from_client() passes nothing on.
            self._packed.check(data[at : at + piece])
        self._body -= piece
        if not self._body:
            self._packed = None
        return at + piece


_BIT_OF: dict[int, int] = {encoding: 1 << place for place, encoding in enumerate(_NEEDS.values())}
"""Encoding of :data:`_NEEDS` -> its bit in ``Shield._listed``."""


class _Packed:
    """Checks the zlib stream of an extended clipboard text while it is passed on.

    QEMU looped endlessly if bytes followed the end of the stream (CVE-2023-3255).  A stream without an end is valid,
    because noVNC and TigerVNC flush theirs without ending it.
    """

    __slots__ = ("_room", "_stream")

    def __init__(self) -> None:
        self._stream = zlib.decompressobj()
        self._room = MAX_CUT_TEXT  # how many more unpacked bytes the stream may have

    def check(self, piece: bytes) -> None:
        """Check the next piece, before it is passed on."""
        try:
            # Unpack at most one byte more than the limit, because of zip bombs.
            self._room -= len(self._stream.decompress(piece, self._room + 1))
        except zlib.error:
            raise ProtocolViolation("extended ClientCutText that can't be unpacked") from None
        if self._room < 0:
            raise MessageTooBig(f"extended ClientCutText of more than {MAX_CUT_TEXT} bytes when unpacked")
        if self._stream.unused_data:
            raise ProtocolViolation("extended ClientCutText with bytes after the end of its zlib stream")


def _check_pixel_format(message: bytes) -> None:
    """Check that pixels can be drawn in the format that the viewer chose (RFC 6143, section 7.4).

    Other formats made QEMU divide by zero, or write past a pixel (CVE-2014-7815, CVE-2015-8504).
    """
    bits, depth, _, true_colour, *channels = _PIXEL_FORMAT.unpack(message)
    good = bits in (8, 16, 32) and depth <= bits
    if true_colour:
        for maximum, shift in zip(channels[:3], channels[3:], strict=True):
            # A maximum must be 2^n - 1 (RFC 6143, section 7.4) and its bits must lie within the pixel.
            is_mask = maximum != 0 and (maximum & (maximum + 1)) == 0
            good = good and is_mask and shift + maximum.bit_length() <= bits
    else:
        good = good and bits == 8  # a map has at most 256 colors
    if not good:
        raise ProtocolViolation(f"SetPixelFormat with an invalid format: {message[4:17].hex()}")


def _check_audio_format(form: bytes) -> None:
    """Check an audio format: sample format, channels and frequency.

    The upper limits are those that QEMU itself has today (CVE-2017-15124).
    """
    sample, channels, frequency = struct.unpack(">BBI", form)
    if sample > 5 or channels not in (1, 2) or not 0 < frequency <= 48000:
        raise ProtocolViolation(f"QEMU audio format {sample} with {channels} channels at {frequency} Hz")
