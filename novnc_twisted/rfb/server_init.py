"""ServerInit: the size, the pixel format and the name of a screen (RFC 6143, section 7.3.2)."""

import struct
from typing import Self

from novnc_twisted.read_only import read_only

from .constants import MAX_NAME

_HEAD = struct.Struct(">HH16sI")
HEAD_LENGTH = _HEAD.size
"""Bytes before the name: 24."""


@read_only()
class ServerInit:
    """The screen of a VNC server.

    :ivar width: pixels.
    :ivar height: pixels.
    :ivar pixel_format: PIXEL_FORMAT as sent, 16 bytes.
    :ivar name: the name of the desktop as sent; it may contain any bytes.
    """

    width: int
    height: int
    pixel_format: bytes
    name: bytes

    def encode(self) -> bytes:
        """Return the message for a client."""
        return _HEAD.pack(self.width, self.height, self.pixel_format, len(self.name)) + self.name

    def renamed(self, name: str) -> Self:
        """Return the same screen with another name, in UTF-8, cut after at most :data:`MAX_NAME` bytes."""
        # The cut may fall inside a character; decoding with "ignore" drops the incomplete one.
        data = name.encode("utf-8", "replace")[:MAX_NAME]
        cut = data.decode("utf-8", "ignore").encode()
        return type(self)(self.width, self.height, self.pixel_format, cut)


def decode_head(data: bytes) -> tuple[int, int, bytes, int]:
    """Return width, height, pixel format and the length of the name from the first 24 bytes of the message."""
    width, height, pixel_format, name_length = _HEAD.unpack(data)
    return width, height, pixel_format, name_length
