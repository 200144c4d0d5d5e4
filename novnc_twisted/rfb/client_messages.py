"""Messages of a viewer, told apart: the framing that a filter needs (RFC 6143, section 7.5, and rfbproto).

It is total: every byte belongs to a message whose length is known, or the stream ends with a refusal.  A type that is
not listed has an unknown length, so whatever follows it can't be judged: it is refused, not passed (fail closed).
"""

from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import TypeAlias

from novnc_twisted.errors import MessageTooBig, ProtocolViolation

MAX_CUT_TEXT = 1024 * 1024
"""Bytes of the longest clipboard text that is taken: QEMU's own limit."""

MAX_ENCODINGS = 1024
"""Encodings in one SetEncodings; real viewers send some twenty."""

MAX_FENCE = 64
"""Bytes of payload in a ClientFence (rfbproto)."""


class ClientMessage(IntEnum):
    """The types of client messages that are taken."""

    SET_PIXEL_FORMAT = 0
    SET_ENCODINGS = 2
    FRAMEBUFFER_UPDATE_REQUEST = 3
    KEY_EVENT = 4
    POINTER_EVENT = 5
    CLIENT_CUT_TEXT = 6
    ENABLE_CONTINUOUS_UPDATES = 150
    CLIENT_FENCE = 248
    XVP = 250
    SET_DESKTOP_SIZE = 251
    QEMU = 255


Head: TypeAlias = bytes | bytearray


def _set_encodings(head: Head) -> int:
    count = int.from_bytes(head[2:4], "big")
    if count > MAX_ENCODINGS:
        raise MessageTooBig(f"SetEncodings with {count} encodings")
    return 4 * count


def _client_cut_text(head: Head) -> int:
    length = int.from_bytes(head[4:8], "big", signed=True)
    if -4 < length < 0:  # an extended one begins with four bytes of flags (CVE-2022-3165)
        raise ProtocolViolation(f"extended ClientCutText of {-length} bytes")
    if abs(length) > MAX_CUT_TEXT:
        raise MessageTooBig(f"ClientCutText of {abs(length)} bytes")
    return abs(length)


def _client_fence(head: Head) -> int:
    length = head[8]
    if length > MAX_FENCE:
        raise ProtocolViolation(f"ClientFence of {length} bytes")
    return length


def _set_desktop_size(head: Head) -> int:
    return 16 * head[6]


def _qemu(head: Head) -> int:
    submessage, operation = head[1], int.from_bytes(head[2:4], "big")
    if submessage == 0:  # extended key event
        return 8
    if submessage == 1 and operation <= 2:  # audio: enable, disable, set format
        return 6 if operation == 2 else 0
    raise ProtocolViolation(f"unknown QEMU client message {submessage}, operation {operation}")


_HEADS: dict[int, tuple[int, Callable[[Head], int]]] = {
    ClientMessage.SET_PIXEL_FORMAT: (20, lambda head: 0),
    ClientMessage.SET_ENCODINGS: (4, _set_encodings),
    ClientMessage.FRAMEBUFFER_UPDATE_REQUEST: (10, lambda head: 0),
    ClientMessage.KEY_EVENT: (8, lambda head: 0),
    ClientMessage.POINTER_EVENT: (6, lambda head: 0),
    ClientMessage.CLIENT_CUT_TEXT: (8, _client_cut_text),
    ClientMessage.ENABLE_CONTINUOUS_UPDATES: (10, lambda head: 0),
    ClientMessage.CLIENT_FENCE: (9, _client_fence),
    ClientMessage.XVP: (4, lambda head: 0),
    ClientMessage.SET_DESKTOP_SIZE: (8, _set_desktop_size),
    ClientMessage.QEMU: (4, _qemu),
}
"""Type -> the bytes that tell the length, and from them how many more there are."""


class ClientMessages:
    """Cuts a viewer's stream, from the byte after ClientInit, into its messages.

    :ivar extended_buttons: whether ExtendedMouseButtons (-316) was negotiated: a PointerEvent with the top bit of its
        mask then has one byte more.
    """

    def __init__(self, *, extended_buttons: bool = False) -> None:
        self.extended_buttons = extended_buttons
        self._received = bytearray()

    def receive(self, data: bytes) -> Iterator[bytes]:
        """The messages that are whole by now, in their order, each with its type in its first byte.

        What is not yet whole is held: at most the head and the longest ClientCutText.  Exhaust the iterator before the
        next call.

        :raises ProtocolViolation: after the last good message, for a type, or a form of it, whose length is unknown.
        :raises MessageTooBig: after the last good message, as soon as the head of one over our limits is there.
        """
        self._received += data
        while self._received:
            length = self._length()
            if length is None or len(self._received) < length:
                return
            message = bytes(self._received[:length])
            del self._received[:length]
            yield message

    @property
    def held(self) -> int:
        """Bytes of the message that is not yet whole."""
        return len(self._received)

    def _length(self) -> int | None:
        """Bytes of the whole message, or None where its head is not there yet."""
        kind = self._received[0]
        if kind not in _HEADS:
            raise ProtocolViolation(f"unknown client message {kind}")
        length, more = _HEADS[kind]
        if len(self._received) < length:
            return None
        if kind == ClientMessage.POINTER_EVENT and self.extended_buttons and self._received[1] & 0x80:
            return length + 1
        return length + more(self._received)
