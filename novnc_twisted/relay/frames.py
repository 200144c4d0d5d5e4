"""WebSocket frames (RFC 6455, section 5): incremental and without I/O, for the proxy's side of a binary stream.

RFB is a stream, in which the boundaries of WebSocket messages have no meaning.  So the decoder unmasks payload and
passes it on as soon as it arrives, without waiting for the whole frame.  Between two calls, it keeps only an unfinished
header or control frame: at most 130 bytes.
"""

from typing import Final

from novnc_twisted.errors import MessageTooBig, ProtocolViolation, Refusal, TextRefused
from novnc_twisted.relay.masking import EXCESS, REPEAT, SMALL, to_int, unmask, xor

MESSAGE_LIMIT: Final = 1 << 20
"""Maximum number of bytes of a message: 1 MiB, like QEMU's limit for clipboard text."""

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

EMPTY: Final = b"\x82\x00"
"""The proxy's empty binary message: the answer to an empty message that the page sends to check the connection.

A browser's script cannot send pings.  In the stream of RFB, a message without payload has no other meaning.
"""

NO_CODE: Final = 1005
"""The code that is reported for a close frame without a code (RFC 6455, section 7.1.5)."""

_FIN = 0x80
_WHOLE = _FIN | BINARY  # the first byte of a binary message in one frame
_SMALL_HEADERS = tuple(bytes((_FIN | BINARY, length)) for length in range(126))


def binary_header(length: int) -> bytes:
    """Return the header of a whole, unmasked binary message of ``length`` bytes."""
    if length < 126:
        return _SMALL_HEADERS[length]
    if length < 65536:
        return b"\x82\x7e" + length.to_bytes(2, "big")
    return b"\x82\x7f" + length.to_bytes(8, "big")


def control_frame(opcode: int, payload: bytes = b"") -> bytes:
    """Return a ping, pong or close frame, unmasked.

    :raises ValueError: the payload is longer than 125 bytes (section 5.5).
    """
    if len(payload) > 125:
        raise ValueError("a control frame has room for 125 bytes")
    return bytes((_FIN | opcode, len(payload))) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """Return a close frame; the reason is cut at 123 bytes, between characters."""
    text = reason.encode()[:123].decode("utf-8", "ignore").encode()
    return control_frame(CLOSE, code.to_bytes(2, "big") + text)


# The loop of this function must be fast: it runs once for each key or mouse event that arrives together with others.
def small_messages(data: bytes, at: int, longest: int) -> tuple[bytes, int]:
    """Decode the run of whole binary messages that begins at ``at``.  Each message is in one small frame.

    Key and mouse events arrive like this: each has 6 to 12 bytes and its own mask.  One XOR of the joined payloads with
    the joined masks unmasks the whole run.  The general decoder would cost several times as much for each message.  Any
    other frame (unfinished, empty, longer, fragmented, control, invalid) ends the run, and the general decoder handles
    this frame.

    :param longest: maximum number of bytes of a payload; at most 125.
    :return: the payload, and the position after the run.
    """
    payloads: list[bytes] = []
    keys: list[bytes] = []
    # The header and the mask have six bytes, so no whole frame can begin after ``last``.
    last = len(data) - 6
    while at <= last and data[at] == _WHOLE:
        length = data[at + 1] - 0x80  # negative if the frame is not masked
        begin = at + 6
        end = begin + length
        if not 0 < length <= longest or end > last + 6:
            break
        payloads.append(data[begin:end])
        # Each frame has its own mask, so repeat each mask to the length of its payload.
        keys.append((data[at + 2 : begin] * (length + 3 >> 2))[:length])
        at = end
    if len(payloads) == 1:
        return xor(payloads[0], keys[0]), at
    return xor(b"".join(payloads), b"".join(keys)), at


def good_close_code(code: int) -> bool:
    """Return whether a peer may send this close code (section 7.4)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def check_head(first: int, second: int) -> None:
    """Check the first two bytes of a client's frame.

    :raises ProtocolViolation: reserved bits are set, or the frame is not masked.
    """
    # No extension was negotiated, so RSV1 to RSV3 must be 0 (section 5.2).
    if first & 0x70:
        raise ProtocolViolation("a frame with reserved bits set")
    # Section 5.1: a server must close the connection on an unmasked frame, since masks prevent cache poisoning.
    if not second & 0x80:
        raise ProtocolViolation("a frame that is not masked")


def payload_length(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the length of a data frame's header with its mask, and the length of its payload.

    :return: (0, 0) if the header is not complete yet.
    :raises ProtocolViolation: the length is not in its shortest form, or has the highest bit set.
    """
    used, length = 6, data[at + 1] & 0x7F
    if length > 125:
        wide = 2 if length == 126 else 8
        used += wide
        if end - at < used:
            return 0, 0
        length = int.from_bytes(data[at + 2 : at + 2 + wide], "big")
        # Section 5.2: the minimal number of bytes must be used.  With two forms of one frame, two proxies could read
        # the stream differently.
        if length < 126 or (wide == 8 and length < 65536):
            raise ProtocolViolation("a frame whose length is not in its shortest form")
        if length >> 63:
            raise ProtocolViolation("a frame length with the highest bit set")
    elif end - at < used:
        return 0, 0
    return used, length


class FrameDecoder:
    """Decodes the bytes of a client into the payload of its binary messages.

    After a close frame, or after the client broke the protocol, all later bytes are ignored.

    :ivar pings: payloads of the pings that arrived and are not yet answered: answer the pings and clear the list.
    :ivar close_code: the code of the close frame that arrived (``NO_CODE`` if it had no code), else None.
    :ivar failure: how the client broke the protocol: ProtocolViolation (1002), TextRefused (1003) or
        MessageTooBig (1009); else None.
    :ivar heartbeat: whether an empty message arrived that is not yet answered: answer it and reset this to False.
    :ivar news: whether one of the four attributes above has changed since ``news`` was last reset to False.
    """

    __slots__ = (
        *("_at_rest", "_continues", "_left", "_limit", "_mask", "_rest", "_size", "_small"),
        *("close_code", "failure", "heartbeat", "news", "pings"),
    )

    def __init__(self, limit: int = MESSAGE_LIMIT) -> None:
        self.pings: list[bytes] = []
        self.close_code: int | None = None
        self.failure: Refusal | None = None
        self.heartbeat = False
        self.news = False
        self._limit = limit
        self._small = min(limit, SMALL)
        self._rest = b""  # an unfinished header or control frame
        self._left = 0  # payload bytes of the present data frame that are still to come
        self._mask = b""  # the mask of this frame, rotated to the next byte
        self._continues = False  # whether the message needs another data frame
        self._size = 0  # payload bytes of a fragmented message so far; 0 after the header of its last frame
        self._at_rest = True  # whether a message can begin: nothing is unfinished, closed or failed

    @property
    def closed(self) -> bool:
        """Whether a close frame has arrived."""
        return self.close_code is not None

    def receive(self, data: bytes) -> bytes:
        """Return the payload in these bytes, which may contain any number of frames.

        Afterwards, the caller must read the other attributes if ``news`` is set.
        """
        length = len(data) - 6
        if 0 < length <= self._small and data[0] == _WHOLE and data[1] == length + 0x80 and self._at_rest:
            # One key or mouse event, like nearly all messages.
            key = to_int(data[2:6]) * REPEAT[length] >> EXCESS[length]
            return (to_int(data[6:]) ^ key).to_bytes(length)
        # RFC 6455, section 1.4: after a close frame, all further data is discarded.
        if self.failure is not None or self.close_code is not None:
            return b""
        if self._rest:
            data, self._rest = self._rest + data, b""
        payload: list[bytes] = []
        at, end = 0, len(data)
        try:
            while at < end:
                if self._left:
                    part = data[at : at + self._left]
                    payload.append(unmask(part, self._mask))
                    at += len(part)
                    self._left -= len(part)
                    # The mask repeats every four bytes.  Rotate it, so that the next piece begins with the right byte.
                    turn = len(part) & 3
                    self._mask = self._mask[turn:] + self._mask[:turn]
                    continue
                if data[at] == _WHOLE and not self._continues:
                    small, stopped = small_messages(data, at, self._small)
                    if stopped > at:
                        payload.append(small)
                        at = stopped
                        continue
                used = self._frame(data, at, end)
                if not used:
                    self._rest = data[at:]
                    break
                # Bytes after a close frame are discarded here, too (section 1.4).
                at = end if self.close_code is not None else at + used
        except Refusal as failure:
            self.failure, self.news = failure, True
        # Computed once here, so that the fast path above has a single test.
        self._at_rest = not (self._rest or self._left or self._continues or self.closed or self.failure)
        return payload[0] if len(payload) == 1 else b"".join(payload)

    def _frame(self, data: bytes, at: int, end: int) -> int:
        """Read a header or a whole control frame; return the number of bytes used, or 0 if more bytes are needed."""
        if end - at < 2:
            return 0
        first, second = data[at], data[at + 1]
        opcode, length = first & 0x0F, second & 0x7F
        check_head(first, second)
        # Control frames may come between the pieces of a message (section 5.4), so they do not touch its state.
        if opcode & 0x8:
            return self._control(data, at, end, opcode, length, bool(first & _FIN))
        if opcode > BINARY:
            raise ProtocolViolation(f"a frame with the reserved opcode {opcode}")
        if (opcode == CONTINUATION) is not self._continues:
            if opcode == CONTINUATION:
                raise ProtocolViolation("a continuation frame, although no message is unfinished")
            raise ProtocolViolation("a new message, although another one is unfinished")
        if opcode == TEXT:
            raise TextRefused("a text message")
        used, length = payload_length(data, at, end)
        if not used:
            return 0
        # An empty message: small_messages() does not decode it, so every empty message comes here.
        if not length and first == _WHOLE:
            self.heartbeat = self.news = True
        # Check the announced length before the payload arrives.
        if self._size + length > self._limit:
            raise MessageTooBig(f"a message of more than {self._limit} bytes")
        self._mask = data[at + used - 4 : at + used]
        self._left = length
        self._continues = not first & _FIN
        self._size = self._size + length if self._continues else 0
        return used

    def _control(self, data: bytes, at: int, end: int, opcode: int, length: int, final: bool) -> int:
        """Read a control frame (section 5.5); return the number of bytes used, or 0 if more bytes are needed."""
        if opcode > PONG:
            raise ProtocolViolation(f"a frame with the reserved opcode {opcode}")
        if not final:
            raise ProtocolViolation("a control frame in pieces")
        if length > 125:
            raise ProtocolViolation("a control frame of more than 125 bytes")
        used = 6 + length
        if end - at < used:
            return 0
        # A pong need not match a ping, because any byte proves that the viewer is alive.
        if opcode == PONG:
            return used
        payload = unmask(data[at + 6 : at + used], data[at + 2 : at + 6])
        self.news = True
        if opcode == PING:
            self.pings.append(payload)
        else:
            self.close_code = _close_code(payload)
        return used


def _close_code(payload: bytes) -> int:
    if not payload:
        return NO_CODE
    code = int.from_bytes(payload[:2], "big")
    # A body of one byte cannot hold the two bytes of a code (section 5.5.1).
    if len(payload) == 1 or not good_close_code(code):
        raise ProtocolViolation("a close frame without a valid code")
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        raise ProtocolViolation("a close frame whose reason is not UTF-8") from None
    return code
