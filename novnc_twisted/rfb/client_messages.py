"""The types and the lengths of a viewer's messages (RFC 6143, section 7.5, and rfbproto).

A message of a type that is not listed here has an unknown length, so the bytes after its type cannot be checked.  Such
a message is never passed on, and the session ends (fail closed).
"""

from collections.abc import Callable
from enum import IntEnum

from novnc_twisted.errors import MessageTooBig, ProtocolViolation

MAX_CUT_TEXT = 1024 * 1024
"""Bytes of the longest clipboard text that is accepted: QEMU's own limit."""

MAX_ENCODINGS = 1024
"""Maximum number of encodings in one SetEncodings; real viewers send about twenty."""

MAX_FENCE = 64
"""Maximum number of bytes of payload in a ClientFence (rfbproto)."""


class ClientMessage(IntEnum):
    """The types of client messages that are accepted."""

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


def _set_encodings(head: bytes) -> int:
    count = int.from_bytes(head[2:4], "big")
    if count > MAX_ENCODINGS:
        raise MessageTooBig(f"SetEncodings with {count} encodings")
    return 4 * count


def _client_cut_text(head: bytes) -> int:
    length = int.from_bytes(head[4:8], "big", signed=True)
    if -4 < length < 0:  # an extended text begins with four bytes of flags (CVE-2022-3165)
        raise ProtocolViolation(f"extended ClientCutText of {-length} bytes")
    if abs(length) > MAX_CUT_TEXT:
        raise MessageTooBig(f"ClientCutText of {abs(length)} bytes")
    return abs(length)


def _client_fence(head: bytes) -> int:
    length = head[8]
    if length > MAX_FENCE:
        raise ProtocolViolation(f"ClientFence of {length} bytes")
    return length


# Each screen in SetDesktopSize has 16 bytes.  The number of screens is one byte, so at most 4,080 bytes follow.
def _set_desktop_size(head: bytes) -> int:
    return 16 * head[6]


def _qemu(head: bytes) -> int:
    submessage, operation = head[1], int.from_bytes(head[2:4], "big")
    if submessage == 0:  # extended key event
        return 8
    if submessage == 1 and operation <= 2:  # audio: enable, disable, set format
        return 6 if operation == 2 else 0
    raise ProtocolViolation(f"unknown QEMU client message {submessage}, operation {operation}")


_WHOLE: dict[int, int] = {
    ClientMessage.SET_PIXEL_FORMAT: 20,
    ClientMessage.FRAMEBUFFER_UPDATE_REQUEST: 10,
    ClientMessage.KEY_EVENT: 8,
    ClientMessage.POINTER_EVENT: 6,  # 7 with ExtendedMouseButtons, which must not be negotiated
    ClientMessage.ENABLE_CONTINUOUS_UPDATES: 10,
    ClientMessage.XVP: 4,
}
"""Type of fixed length -> the length of the message in bytes."""

_HEADS: dict[int, tuple[int, Callable[[bytes], int]]] = {
    ClientMessage.SET_ENCODINGS: (4, _set_encodings),
    ClientMessage.CLIENT_CUT_TEXT: (8, _client_cut_text),
    ClientMessage.CLIENT_FENCE: (9, _client_fence),
    ClientMessage.SET_DESKTOP_SIZE: (8, _set_desktop_size),
    ClientMessage.QEMU: (4, _qemu),
}
"""Type of variable length -> the length of the message's head, and a function that reads the head.

The function returns the number of bytes after the head, or raises the errors of :func:`length_of`.
"""

EVERYDAY = bytes(
    _WHOLE[kind]
    if kind in (ClientMessage.FRAMEBUFFER_UPDATE_REQUEST, ClientMessage.KEY_EVENT, ClientMessage.POINTER_EVENT)
    else 0
    for kind in range(256)
)
"""Type -> length of an everyday message, which needs no check of its content; 0 for all other types.

For these messages, a filter needs no call of :func:`length_of`.
"""

QEMU_KEY = b"\xff\0"
"""The first bytes of a QEMU extended key event, which needs no check of its content.

:data:`EVERYDAY` cannot list it, because other messages of QEMU's extensions have the type 255, too.
"""

QEMU_KEY_SIZE = 12
"""Length of a QEMU extended key event in bytes."""


def length_of(data: bytes, at: int) -> int:
    """Return the length of the message that begins at ``at``, or 0 if its head has not arrived completely.

    :raises ProtocolViolation: the type of the message is unknown; the submessage or the operation of a QEMU message is
        unknown; an extended clipboard text has no room for its flags; or a fence has more than :data:`MAX_FENCE` bytes.
    :raises MessageTooBig: the head announces more than :data:`MAX_ENCODINGS` encodings, or a clipboard text of more
        than :data:`MAX_CUT_TEXT` bytes.
    """
    kind = data[at]
    if kind in _WHOLE:
        return _WHOLE[kind]
    if kind not in _HEADS:
        raise ProtocolViolation(f"unknown client message {kind}")
    length, more = _HEADS[kind]
    head = data[at : at + length]
    return length + more(head) if len(head) == length else 0
