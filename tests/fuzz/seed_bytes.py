"""Pieces of RFB that the seeds consist of."""

import struct
import zlib

RFB = b"RFB 003.008\n"
CHALLENGE = bytes(range(16))
UUID = b"11111111-2222-3333-4444-555555555555"
POINTER, KEY, QEMU_KEY = b"\5\1\0\2\0\3", b"\4\1\0\0\0\0\0\x41", b"\xff\0\0\1\0\0\0\x41\0\0\0\x1e"
PIXELS = b"\0\0\0\0\x20\x18\0\1\0\xff\0\xff\0\xff\x10\x08\0\0\0\0"
REQUEST = b"\3\1\0\0\0\0\3\x20\2\x58"


def extended(flags: int, body: bytes = b"") -> bytes:
    """An extended ClientCutText."""
    return struct.pack(">B3xiI", 6, -4 - len(body), flags) + body


def zipped(text: bytes) -> bytes:
    """A text compressed as noVNC does it: flushed, without an end."""
    deflate = zlib.compressobj()
    return deflate.compress(struct.pack(">I", len(text) + 1) + text + b"\0") + deflate.flush(zlib.Z_SYNC_FLUSH)
