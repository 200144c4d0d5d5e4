"""The view-only filter, compared with a model of the specifications that reads the whole stream at once."""

from novnc_twisted.errors import MessageTooBig, ProtocolViolation, Refusal
from novnc_twisted.rfb.view_only import ViewOnly

from .shield import EVERYTHING
from .tools import Target, cuttings, holds, same

MIB = 1 << 20
FIXED_LENGTHS = {0: 20, 3: 10, 4: 8, 5: 6, 150: 10, 250: 4}
HEAD_LENGTHS = {2: 4, 6: 8, 248: 9, 251: 8, 255: 4}
PASSED = (0, 2, 3, 150, 248)
"""SetPixelFormat, SetEncodings, FramebufferUpdateRequest, EnableContinuousUpdates, ClientFence."""


def length_of(data: bytes) -> int | type[Refusal]:
    """The length of the first message, by RFC 6143, section 7.5, and rfbproto; 0: its head is not complete."""
    kind = data[0]
    if kind in FIXED_LENGTHS:
        return FIXED_LENGTHS[kind]
    if kind not in HEAD_LENGTHS:
        return ProtocolViolation
    if len(data) < HEAD_LENGTHS[kind]:
        return 0
    if kind == 2:
        count = int.from_bytes(data[2:4], "big")
        return 4 + 4 * count if count <= 1024 else MessageTooBig
    if kind == 6:
        length = int.from_bytes(data[4:8], "big", signed=True)
        if -4 < length < 0:
            return ProtocolViolation
        return 8 + abs(length) if abs(length) <= MIB else MessageTooBig
    if kind == 248:
        return 9 + data[8] if data[8] <= 64 else ProtocolViolation
    if kind == 251:
        return 8 + 16 * data[6]
    return {(0, None): 12, (1, 0): 4, (1, 1): 4, (1, 2): 10}.get(
        (data[1], int.from_bytes(data[2:4], "big") if data[1] else None), ProtocolViolation
    )


def judge(data: bytes) -> tuple[bytes, type[Refusal] | None]:
    """Return the messages of a stream that pass, and the refusal that ends it."""
    passed = b""
    while data:
        size = length_of(data)
        if not isinstance(size, int):
            return passed, size
        if not size:
            break
        if data[0] in PASSED:
            passed += data[:size]
        data = data[size:]
    return passed, None


def run(data: bytes) -> None:
    """Feed a viewer's stream after ClientInit in chunks: only five of the 256 message types pass."""
    wanted, wanted_refusal = judge(data)
    for chunks in ([data], *cuttings(data)):
        view, passed, refusal = ViewOnly(), b"", None
        try:
            for chunk in filter(None, chunks):
                passed += view.from_client(chunk)
        except Refusal as cause:
            refusal = type(cause)
        same(refusal, wanted_refusal, "the refusal")
        if refusal is None:
            same(passed, wanted, "what passes")
        holds(wanted.startswith(passed), "passes what a view-only viewer may not send", passed, wanted)


TARGETS = (
    Target(
        "view-only",
        run,
        512,
        (
            EVERYTHING,
            b"\5\1\0\2\0\3",
            b"\4\1\0\0\0\0\0\x41",
            b"\3\1" + bytes(8),
            bytes(20),
            b"\6\0\0\0\0\0\0\3abc",
            b"\6\0\0\0\xff\xff\xff\xea\x10\0\0\1",
            b"\xff\0\0\1" + bytes(8),
            b"\xff\1\0\2\3\2\0\0\xac\x44",
            b"\xff\1\0\1",
            b"\xf8" + bytes(7) + b"\2ab",
            b"\xfa\0\1\2",
            b"\x96\1" + bytes(8),
            b"\xfb\0\3\x20\2\x58\1\0" + bytes(16),
        ),
    ),
)
