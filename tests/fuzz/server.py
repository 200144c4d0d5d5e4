"""A server's messages in a session whose clipboard is limited: where they end, and which of them reach the viewer."""

from novnc_twisted.errors import ConsoleUnreachable
from novnc_twisted.rfb.clipboard import ClipboardLimits, ClipboardPolicy
from novnc_twisted.rfb.pixel_format import PixelSize
from novnc_twisted.rfb.server_messages import Piece, ServerMessages

from .tools import Target, cuttings, fits_a_log, holds, same

FORMATS = (
    b"\x20\x18\0\1\0\xff\0\xff\0\xff\x10\x08\0\0\0\0",
    b"\x10\x10\0\1\0\x1f\0\x3f\0\x1f\x0b\5\0\0\0\0",
    b"\x08\x08\0\0" + bytes(12),
)
"""Pixel formats of 4 bytes (3 in Tight), of 2, and of 1."""

LIMITS = (0, 3, 70)
HELD = 1024
"""Maximum number of bytes that are kept between two calls."""


def divided(pixel_format: bytes, chunks: list[bytes]) -> tuple[list[Piece], bool]:
    """Return the pieces of a stream, and whether it can be read to its end; pieces of one kind are joined."""
    messages, pieces, received, passed = ServerMessages(PixelSize.of(pixel_format)), list[Piece](), 0, 0
    try:
        for chunk in filter(None, chunks):
            received += len(chunk)
            for piece in messages.receive(chunk):
                passed += len(piece.data)
                if pieces and pieces[-1][:2] == piece[:2]:
                    pieces[-1] = piece._replace(data=pieces[-1].data + piece.data)
                else:
                    pieces.append(piece)
            holds(received - HELD <= passed <= received, "keeps too much", received, passed)
            holds(not messages.between or received == passed, "keeps bytes between two messages", received, passed)
    except ConsoleUnreachable as refusal:
        fits_a_log(str(refusal), 200, "the refusal")
        return pieces, False
    return pieces, True


def run(data: bytes) -> None:
    """A stream after ServerInit: the first two bytes choose the pixel format and the limit of clipboard texts."""
    pixel_format, limit = FORMATS[sum(data[:1]) % len(FORMATS)], LIMITS[sum(data[1:2]) % len(LIMITS)]
    stream = data[2:]
    pieces, readable = divided(pixel_format, [stream])
    same(b"".join(piece.data for piece in pieces), stream[: sum(len(piece.data) for piece in pieces)], "the stream")
    for chunks in cuttings(stream):
        same(divided(pixel_format, chunks), (pieces, readable), "the messages in chunks")
        if not readable:
            continue
        policy = ClipboardPolicy(ClipboardLimits(from_server=limit), pixel_format)
        passed = b"".join(policy.from_upstream(chunk) for chunk in filter(None, chunks))
        for piece in divided(pixel_format, [passed])[0]:
            holds(piece.kind != 3 or 0 < piece.length <= limit, "a text over the limit passes", piece)
        others = b"".join(piece.data for piece in pieces if piece.kind != 3)
        same(b"".join(one.data for one in divided(pixel_format, [passed])[0] if one.kind != 3), others, "the others")


TARGETS = (
    Target(
        "server-messages",
        run,
        1024,
        (
            b"\0\0\0\1",
            b"\0\0\xff\xff",
            *(
                b"\0\0\0\0\0\4\0\2" + encoding.to_bytes(4, "big", signed=True)
                for encoding in (
                    *(0, 1, 2, 4, 5, 6, 7, 16, 50, -223, -224, -232, -239, -240),
                    *(-257, -258, -259, -260, -261, -307, -308, 0x574D5664),
                )
            ),
            b"\1\0\0\0\0\2" + bytes(12),
            b"\2",
            b"\3\0\0\0\0\0\0\3abc",
            b"\3\0\0\0\xff\xff\xff\xfc\x10\0\0\1",
            b"\x96",
            b"\xf8" + bytes(7) + b"\2ab",
            b"\xfa\0\1\1",
            b"\xff\1\0\2\0\0\0\4abcd",
            b"\x80abc",
            b"\x90\3abc",
        ),
    ),
)
