"""Unmasks the payload of WebSocket frames (RFC 6455, section 5.3), with big integers."""

from typing import Final

SMALL: Final = 125
"""Maximum number of payload bytes for which the second byte of a frame's header gives the length."""

to_int = int.from_bytes

# The two tables are for FrameDecoder.receive(), which unmasks a single small frame without a call of unmask().
#
# Multiplying a 32-bit mask by 0x00000001_00000001... repeats it; the first table has these factors ready.  The number
# of repetitions, ``length + 3 >> 2``, is a quarter of the length, rounded up.
REPEAT: Final = tuple(to_int(b"\0\0\0\1" * (length + 3 >> 2)) for length in range(SMALL + 1))
"""Indexed by the length of a payload: the factor that repeats the four bytes of a mask over the payload."""

EXCESS: Final = tuple(8 * (-length & 3) for length in range(SMALL + 1))
"""Indexed by the length of a payload: the number of bits by which the repeated mask is longer than the payload."""


def unmask(data: bytes, mask: bytes) -> bytes:
    """Return the XOR of the data with the mask of four bytes, which is repeated over the data."""
    length = len(data)
    return xor(data, (mask * (length // 4 + 1))[:length])


def xor(data: bytes, key: bytes) -> bytes:
    """Return the XOR of two equally long strings, by big integers: the fastest way in pure Python."""
    return (int.from_bytes(data) ^ int.from_bytes(key)).to_bytes(len(data))
