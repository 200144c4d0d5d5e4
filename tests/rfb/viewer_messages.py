"""Messages of viewers: good ones of each type, and those that the shield refuses."""

import struct
import zlib

from hypothesis import strategies as st

from novnc_twisted.rfb.client_messages import MAX_CUT_TEXT

AUDIO, GII, XVP, FENCE, CONTINUOUS, BUTTONS, CLIPBOARD = -259, -305, -309, -312, -313, -316, -0x3F5E1A32
TEXT, CAPS, REQUEST, PEEK, NOTIFY, PROVIDE = 1, *(1 << shift for shift in range(24, 29))
ALL_ACTIONS = CAPS | REQUEST | PEEK | NOTIFY | PROVIDE  # as noVNC sends its capabilities


def encodings(*listed):
    return struct.pack(f">BxH{len(listed)}i", 2, len(listed), *listed)


def pixel_format(bits=32, depth=24, big=0, true_colour=1, most=(255, 255, 255), shifts=(16, 8, 0)):
    return struct.pack(">B3x4B3H3B3x", 0, bits, depth, big, true_colour, *most, *shifts)


def cut_text(text):
    return struct.pack(">B3xi", 6, len(text)) + text


def extended(flags, body=b""):
    return struct.pack(">B3xiI", 6, -4 - len(body), flags) + body


def packed(text, flush=zlib.Z_FINISH):
    deflate = zlib.compressobj()
    return deflate.compress(struct.pack(">I", len(text) + 1) + text + b"\0") + deflate.flush(flush)


EVERYTHING = encodings(7, 0, AUDIO, FENCE, CONTINUOUS, CLIPBOARD)
POINTER = b"\5\1\0\2\0\3"

formats = st.sampled_from(
    [
        pixel_format(),
        pixel_format(big=1),
        pixel_format(32, 30, most=(1023, 1023, 1023), shifts=(20, 10, 0)),
        pixel_format(16, 16, most=(31, 63, 31), shifts=(11, 5, 0)),
        pixel_format(8, 8, most=(7, 7, 3), shifts=(0, 3, 6)),
        pixel_format(8, 3, most=(1, 1, 1), shifts=(2, 1, 0)),
        pixel_format(8, 8, true_colour=0, most=(0, 0, 0), shifts=(0, 0, 0)),
    ]
)


def fixed(kind, size):
    return st.binary(min_size=size - 1, max_size=size - 1).map(lambda rest: bytes([kind]) + rest)


texts = st.binary(max_size=300)

good_messages = st.one_of(
    fixed(5, 6),
    fixed(4, 8),
    fixed(3, 10),
    st.binary(min_size=10, max_size=10).map(lambda rest: b"\xff\0" + rest),
    fixed(150, 10),
    formats,
    st.lists(st.sampled_from([0, 1, 2, 5, 6, 7, 16, -239, -223, -224, -258, -261, CLIPBOARD]), min_size=1).map(
        lambda listed: encodings(*listed)
    ),
    texts.filter(len).map(cut_text),
    st.integers(0, 2**24 - 1).flatmap(lambda low: texts.map(lambda body: extended(ALL_ACTIONS | low, body))),
    st.sampled_from([extended(action | TEXT) for action in (REQUEST, PEEK, NOTIFY)]),
    st.tuples(texts, st.sampled_from([zlib.Z_FINISH, zlib.Z_FULL_FLUSH, zlib.Z_SYNC_FLUSH])).map(
        lambda text: extended(PROVIDE | TEXT, packed(*text))
    ),
    st.binary(max_size=64).map(lambda data: b"\xf8" + bytes(7) + bytes([len(data)]) + data),
    st.lists(st.binary(min_size=16, max_size=16), max_size=4).map(
        lambda screens: struct.pack(">BxHHBx", 251, 800, 600, len(screens)) + b"".join(screens)
    ),
    st.sampled_from([b"\xff\1\0\0", b"\xff\1\0\1", b"\xff\1\0\2\3\2" + struct.pack(">I", 44100)]),
)

ZLIB_BOMB = zlib.compress(bytes(MAX_CUT_TEXT + 1))

REFUSED = {
    "unknown type 1": b"\1" + bytes(20),
    "file transfer": b"\7" + bytes(20),
    "SetScale": b"\10\0\0\0",
    "TextChat": b"\13\0\0\0\x7f\xff\xff\xff",
    "gii": b"\xfd\x81\0\4" + bytes(8),
    "VMware": b"\x7f\0\0\4",
    "QEMU submessage": b"\xff\2\0\0",
    "audio operation": b"\xff\1\0\3",
    "audio sample format": b"\xff\1\0\2\6\2" + struct.pack(">I", 44100),
    "audio channels": b"\xff\1\0\2\3\0" + struct.pack(">I", 44100),
    "audio at no frequency": b"\xff\1\0\2\3\2" + bytes(4),
    "audio at 4 GHz": b"\xff\1\0\2\3\2\xff\xff\xff\xff",
    "cut text of 1 MiB and a byte": struct.pack(">B3xi", 6, MAX_CUT_TEXT + 1),
    "cut text of -3": struct.pack(">B3xi", 6, -3) + bytes(4),
    "cut text of -2 GiB": struct.pack(">B3xi", 6, -(1 << 31)),
    "no action": extended(TEXT),
    "two actions": extended(PROVIDE | REQUEST | TEXT, packed(b"x")),
    "not packed": extended(PROVIDE | TEXT, b"plain text, not packed"),
    "packed too big": extended(PROVIDE | TEXT, ZLIB_BOMB),
    "bytes behind": extended(PROVIDE | TEXT, packed(b"x") + b"\0"),
    "dictionary": extended(PROVIDE | TEXT, b"\x78\xbb\0\0\0\1" + bytes(8)),
    "65535 encodings": b"\2\0\xff\xff",
    "fence of 65": b"\xf8" + bytes(7) + b"\x41" + bytes(65),
    "24 bits a pixel": pixel_format(24),
}
