"""The shield of the VNC server: every message of a viewer is checked before the server hears it.

The server may be years old, and a viewer may be anybody with a token.  So nothing is passed on that we can't frame, no
message before it is whole, and no value that ever brought a VNC server down.  What is refused ends the session; what is
only not wanted is taken out.

Typing, pointing and asking for the screen are nearly all that a viewer sends: these are stepped over by a table, and go
on as one piece of the bytes that came.
"""

import struct
import zlib

from novnc_twisted.errors import MessageTooBig, ProtocolViolation, Refusal

from .client_messages import EVERYDAY, MAX_CUT_TEXT, QEMU_KEY, QEMU_KEY_SIZE, ClientMessage, length_of
from .constants import Encoding

_PIXEL_FORMAT = struct.Struct(">4x4B3H3B3x")
_COUNT = struct.Struct(">H")

_STRIPPED = frozenset((Encoding.EXTENDED_MOUSE_BUTTONS, Encoding.GII, Encoding.XVP))
"""Taken out of SetEncodings, so that the server never announces them.

With ExtendedMouseButtons the length of a PointerEvent would hang on what the server said; gii's messages are refused;
who may use power control (xvp) is not for the VNC server to say.
"""

_NEEDS = {
    ClientMessage.ENABLE_CONTINUOUS_UPDATES: Encoding.CONTINUOUS_UPDATES,
    ClientMessage.CLIENT_FENCE: Encoding.FENCE,
    ClientMessage.QEMU: Encoding.QEMU_AUDIO,  # its key event is stepped over before
    ClientMessage.CLIENT_CUT_TEXT: Encoding.EXTENDED_CLIPBOARD,  # the extended one
}
"""What a viewer must have listed in SetEncodings before it may send such a message."""

_CAPS, _PROVIDE = 1 << 24, 1 << 28
_ACTIONS = {_CAPS << shift for shift in range(5)}
_ACTION_BITS = sum(_ACTIONS)

_REFUSED = b"\1"
"""A message that is never taken (FixColourMapEntries of old): what follows a refused one is refused as well."""


class Shield:
    """Checks what a viewer says, from the byte after ClientInit: a filter of the relay's, without I/O.

    It has no ``from_upstream``: what the VNC server says is not looked at, and costs nothing.

    * Refused: unknown messages; clipboard texts over 1 MiB, more than 1024 encodings, a fence over 64 bytes; pixel and
      audio formats that make no sense; messages of extensions that the viewer did not ask for; an extended clipboard
      text without its flags, with two actions at once, or packed so that it does not unpack to 1 MiB at most.
    * Taken out: xvp messages, the pseudo-encodings that could not be followed, and clipboard texts of no length.
    * Held: a message that is not yet whole, at most 4,100 bytes.  Only a clipboard text is passed on in pieces, once
      its head was found good; an extended one's last byte never before all of it was.
    """

    __slots__ = ("_body", "_held", "_listed", "_packed")

    def __init__(self) -> None:
        self._held = b""  # the message that is not yet whole
        self._body = 0  # bytes of a clipboard text that are still to come
        self._packed: _Packed | None = None  # what checks them
        self._listed = 0  # what the viewer asked for of what _NEEDS looks for: bits of _ASKED

    @property
    def held(self) -> int:
        """Bytes of the message that is not yet whole."""
        return len(self._held)

    @property
    def unfinished(self) -> int:
        """Bytes still to come of a clipboard text of which a part was already passed on; 0 between messages."""
        return self._body

    def from_client(self, data: bytes) -> bytes:
        """What of these bytes goes on to the VNC server: whole messages, and pieces of a clipboard text.

        :raises ProtocolViolation: the viewer sent what no good viewer sends.
        :raises MessageTooBig: the viewer sent a message over the limits.
        """
        if EVERYDAY[data[0]] == len(data) and not (self._held or self._body):
            return data  # one key, or the mouse
        if self._held:
            data, self._held = self._held + data, b""
        everyday, at, end = EVERYDAY, 0, len(data)
        done: list[bytes] = []
        begin = 0  # of what is good and not yet in done
        try:
            if self._body:
                at = self._follow(data, 0)
            while at < end:
                size = everyday[data[at]]
                if not size:
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
        if at > end:  # the last one is not whole
            at -= size
        self._held = data[at:]
        done.append(data[begin:at])
        return b"".join(done)

    def _judge(self, data: bytes, at: int) -> tuple[int, bytes | None]:
        """Another message than the everyday ones: how many bytes it has (a clipboard text: its head), and what goes on.

        Empty bytes: the message is not complete yet.  None: the data is passed on unchanged.
        """
        size, kind = length_of(data, at), data[at]
        if kind == ClientMessage.CLIENT_CUT_TEXT:
            return self._cut_text(data, at) if size else (0, None)
        if not size or at + size > len(data):
            return 0, None
        if kind == ClientMessage.SET_PIXEL_FORMAT:
            _check_pixel_format(data[at : at + size])
        elif kind == ClientMessage.SET_ENCODINGS:
            return size, self._encodings(data[at : at + size])
        elif kind == ClientMessage.XVP:
            return size, b""
        elif kind in _NEEDS:
            self._need(kind)
            if kind == ClientMessage.QEMU and size > 4:
                _check_audio_format(data[at + 4 : at + size])
        return size, None

    def _need(self, kind: int) -> None:
        if not self._listed & _ASKED[_NEEDS[ClientMessage(kind)]]:
            raise ProtocolViolation(f"client message {kind} of an extension that it did not ask for")

    def _encodings(self, message: bytes) -> bytes:
        """SetEncodings without what is stripped; never empty, which sent QEMU into an endless loop (CVE-2008-2382)."""
        listed = struct.unpack(f">{len(message) // 4 - 1}i", message[4:])
        for encoding in _ASKED.keys() & listed:
            self._listed |= _ASKED[encoding]
        kept = [encoding for encoding in listed if encoding not in _STRIPPED] or [Encoding.RAW]
        return message[:2] + _COUNT.pack(len(kept)) + struct.pack(f">{len(kept)}i", *kept)

    def _cut_text(self, data: bytes, at: int) -> tuple[int, bytes | None]:
        """ClientCutText: its head (an extended one's with the flags) is judged, its body is followed."""
        length = int.from_bytes(data[at + 4 : at + 8], "big", signed=True)
        if not length:
            return 8, b""  # it left QEMU's clipboard without data and without an owner to ask (CVE-2023-6683)
        if length > 0:
            self._body = length
            return 8, None
        self._need(ClientMessage.CLIENT_CUT_TEXT)
        if len(data) < at + 12:
            return 0, None
        flags = int.from_bytes(data[at + 8 : at + 12], "big")
        if not flags & _CAPS and flags & _ACTION_BITS not in _ACTIONS:
            raise ProtocolViolation(f"extended ClientCutText with the flags {flags:#x}")
        self._body = -length - 4
        if flags & _ACTION_BITS == _PROVIDE:
            if not self._body:
                return 12, b""  # a text of no length
            self._packed = _Packed()
        return 12, None

    def _follow(self, data: bytes, at: int) -> int:
        """The next piece of a clipboard text begins here: where it ends."""
        piece = min(self._body, len(data) - at)
        if self._packed is not None:
            self._packed.check(data[at : at + piece])
        self._body -= piece
        if not self._body:
            self._packed = None
        return at + piece


_ASKED: dict[int, int] = {encoding: 1 << place for place, encoding in enumerate(_NEEDS.values())}


class _Packed:
    """The zlib stream of an extended clipboard text, unpacked as it passes by.

    QEMU went round in a loop for ever where bytes stood behind its end (CVE-2023-3255).  A stream without an end is
    good: noVNC and TigerVNC only flush theirs.
    """

    __slots__ = ("_room", "_stream")

    def __init__(self) -> None:
        self._stream = zlib.decompressobj()
        self._room = MAX_CUT_TEXT

    def check(self, piece: bytes) -> None:
        """Look at the next piece, before it goes on."""
        try:
            self._room -= len(self._stream.decompress(piece, self._room + 1))
        except zlib.error:
            raise ProtocolViolation("extended ClientCutText that can't be unpacked") from None
        if self._room < 0:
            raise MessageTooBig(f"extended ClientCutText of more than {MAX_CUT_TEXT} bytes when unpacked")
        if self._stream.unused_data:
            raise ProtocolViolation("extended ClientCutText with bytes behind its zlib stream")


def _check_pixel_format(message: bytes) -> None:
    """RFC 6143, section 7.4: a format in which a pixel can be drawn.

    Others divided by zero, or wrote past a pixel (CVE-2014-7815, CVE-2015-8504).
    """
    bits, depth, _, true_colour, *channels = _PIXEL_FORMAT.unpack(message)
    good = bits in (8, 16, 32) and depth <= bits
    if true_colour:
        for most, shift in zip(channels[:3], channels[3:], strict=True):
            good = good and most != 0 and most & (most + 1) == 0 and shift + most.bit_length() <= bits
    else:
        good = good and bits == 8  # a map has at most 256 colours
    if not good:
        raise ProtocolViolation(f"SetPixelFormat that makes no sense: {message[4:17].hex()}")


def _check_audio_format(form: bytes) -> None:
    """QEMU's audio: sample format, channels, frequency; what QEMU itself takes today (CVE-2017-15124)."""
    sample, channels, frequency = struct.unpack(">BBI", form)
    if sample > 5 or channels not in (1, 2) or not 0 < frequency <= 48000:
        raise ProtocolViolation(f"QEMU audio format {sample} with {channels} channels at {frequency} Hz")
