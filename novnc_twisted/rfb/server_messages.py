"""Finds where the messages of a VNC server begin and end (RFC 6143, section 7.6; rfbproto).

This module is needed only in sessions that limit the clipboard texts of the server (:mod:`.clipboard`).  It does not
decode pictures: in a FramebufferUpdate, it reads only the headers of the rectangles and the lengths in them.
"""

from collections.abc import Generator, Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from .client_messages import MAX_FENCE
from .pixel_format import PixelSize
from .rectangles import Skip, rectangle, unreadable

MAX_CUT_TEXT: Final = 1 << 26
"""Maximum number of bytes of a clipboard text or a sound message.  A longer one means that the stream is broken."""


class ServerMessage(IntEnum):
    """The types of server messages whose end can be found."""

    FRAMEBUFFER_UPDATE = 0
    SET_COLOUR_MAP_ENTRIES = 1
    BELL = 2
    SERVER_CUT_TEXT = 3
    END_OF_CONTINUOUS_UPDATES = 150
    SERVER_FENCE = 248
    XVP = 250
    QEMU = 255


class Piece(NamedTuple):
    """A part of the server's stream; all its bytes belong to one message.

    :ivar kind: the type of this message.
    :ivar length: for ServerCutText, the length of the text in bytes, negative in the extended form; for all other
        messages, 0.
    :ivar data: the bytes.
    """

    kind: int
    length: int
    data: bytes


class ServerMessages:
    """Divides a server's stream into pieces of messages.

    It buffers the incomplete header of a message or a rectangle: at most 11 bytes.

    :ivar size: the size of the pixels in the following messages.  The owner of this object (:mod:`.clipboard`)
        sets the new size when the client sends SetPixelFormat.  The owner refuses another size after the client has
        asked for the screen or for a cursor.  So no pixels of the old size can be under way.
    :ivar between: whether the stream is between two messages, or at its beginning.
    """

    __slots__ = ("_held", "_kind", "_length", "_reader", "_type", "_want", "between", "size")

    def __init__(self, size: PixelSize) -> None:
        self.size = size
        self.between = True
        self._held = b""
        self._type = b""  # the first byte of a message, until the rest of its header has arrived
        self._kind = self._length = 0
        self._reader = self._messages()
        self._want: int | Skip = next(self._reader)

    def receive(self, data: bytes) -> Iterator[Piece]:
        """Divide received bytes into pieces.  Bytes of an incomplete header stay buffered until the next call.

        :raises ConsoleUnreachable: the type or the length of a message is invalid, so its end is unknown.
        """
        data, self._held = self._held + data, b""
        at, end = 0, len(data)
        while at < end:
            want = self._want
            if isinstance(want, Skip):
                step = min(want.length, end - at)
                left = want.length - step
                piece = Piece(self._kind, self._length, self._type + data[at : at + step])
                self._type = b""
                self._want = Skip(left) if left else self._next()
                yield piece
            else:
                step = want
                if end - at < step:
                    break
                head = data[at : at + step]
                begins = self.between
                # The reader sets _kind and _length, so pass the header to it before making the piece.
                self._want = self._next(head)
                # Keep the type byte until the header is complete, unless the message has only this byte (as Bell).
                if begins and not self.between:
                    self._type = head
                else:
                    whole, self._type = self._type + head, b""
                    yield Piece(self._kind, self._length, whole)
            at += step
        self._held = data[at:]

    def _next(self, head: bytes | None = None) -> int | Skip:
        """Pass the header, if any, to the reader.  Return what the reader needs next, without Skips of zero bytes."""
        want = next(self._reader) if head is None else self._reader.send(head)
        while isinstance(want, Skip) and not want.length:
            want = next(self._reader)
        return want

    def _messages(self) -> Generator[int | Skip, bytes, None]:
        head = yield 1
        while True:
            self.between = False
            self._kind, self._length = head[0], 0
            yield from self._message(head[0])
            self.between = True
            head = yield 1

    def _message(self, kind: int) -> Generator[int | Skip, bytes, None]:
        if kind == ServerMessage.FRAMEBUFFER_UPDATE:
            yield from self._update()
        elif kind == ServerMessage.SET_COLOUR_MAP_ENTRIES:
            head = yield 5
            yield Skip(6 * int.from_bytes(head[3:5], "big"))
        elif kind == ServerMessage.SERVER_CUT_TEXT:
            yield from self._cut_text()
        elif kind == ServerMessage.SERVER_FENCE:
            length = (yield 8)[7]
            if length > MAX_FENCE:
                raise unreadable(f"a fence of {length} bytes")
            yield Skip(length)
        elif kind == ServerMessage.XVP:
            yield Skip(3)
        elif kind == ServerMessage.QEMU:
            yield from _qemu()
        elif kind not in (ServerMessage.BELL, ServerMessage.END_OF_CONTINUOUS_UPDATES):
            raise unreadable(f"message {kind}")

    def _update(self) -> Generator[int | Skip, bytes, None]:
        head = yield 3
        # A server that does not know the number of rectangles sends 65535 and ends the update with LastRect.  LastRect
        # can also end an update before the announced number.
        for _ in range(int.from_bytes(head[1:3], "big")):
            if (yield from rectangle(self.size)):
                return

    def _cut_text(self) -> Generator[int | Skip, bytes, None]:
        head = yield 7
        self._length = int.from_bytes(head[3:7], "big", signed=True)
        if abs(self._length) > MAX_CUT_TEXT:
            raise unreadable(f"a clipboard text of {abs(self._length)} bytes")
        yield Skip(abs(self._length))


def _qemu() -> Generator[int | Skip, bytes, None]:
    head = yield 3
    operation = int.from_bytes(head[1:3], "big")
    if head[0] != 1 or operation > 2:
        raise unreadable(f"QEMU message {head[0]}, operation {operation}")
    if operation == 2:
        length = int.from_bytes((yield 4), "big")
        if length > MAX_CUT_TEXT:
            raise unreadable(f"a sound message of {length} bytes")
        yield Skip(length)
