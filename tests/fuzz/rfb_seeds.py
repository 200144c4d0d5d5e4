"""Seeds of the targets that read RFB: handshakes, and messages of viewers and servers."""

import zlib

from tests.support.frames import frame
from tests.support.vnc_server import update

from . import fronts, shield
from .fronts import SERVER_INIT
from .seed_bytes import CHALLENGE, KEY, PIXELS, POINTER, QEMU_KEY, REQUEST, RFB, extended, zipped


def rfb() -> dict[str, dict[str, bytes]]:
    """Both sides of the handshake; except in rfb-offer, the first byte selects the settings."""
    return {
        "rfb-login": {
            "qemu-none": b"\0" + RFB + b"\1\1\0\0\0\0" + SERVER_INIT,
            "qemu-password": b"\x12" + RFB + b"\1\2" + CHALLENGE + b"\0\0\0\0" + SERVER_INIT,
            "wrong-password": b"\x12" + RFB + b"\1\2" + CHALLENGE + b"\0\0\0\1\0\0\0\x15authentication failed",
            "refused": b"\0" + RFB + b"\0\0\0\0\4full",
            "reason-of-4-KiB": b"\0" + RFB + b"\0\0\0\x10\0" + b"why " * 300,
            "empty-screen": b"\0" + RFB + b"\1\1\0\0\0\0\0\0\2\x58" + SERVER_INIT[4:],
            "reason-that-hides": b"\0" + RFB + b"\0\0\0\0\x0aa\n\x1b[2Jb\xe2\x80\xae\0",
            "version-3.3": b"\0RFB 003.003\n\0\0\0\1" + SERVER_INIT,
            "version-3.3-password": b"\x12RFB 003.003\n\0\0\0\2" + CHALLENGE + b"\0\0\0\0" + SERVER_INIT,
            "version-3.7": b"\0RFB 003.007\n\2\1\2" + SERVER_INIT,
            "apple": b"\x12RFB 003.889\n\4\x1e\x21\x24\2" + CHALLENGE + b"\0\0\0\0" + SERVER_INIT,
            "tigervnc": b"\5" + RFB + b"\2\x13\2\0\2\0\2\0\0\1\4\0\0\1\5\1\0\0\0\0" + SERVER_INIT,
            "no-common": b"\1" + RFB + b"\3\x10\x12\x1e",
            "ssh": b"\0SSH-2.0-OpenSSH_9.2p1\r\n",
            "their-order": b"\0" + RFB + b"\2\2\1\0\0\0\0" + SERVER_INIT,
            "flood": b"\x40" + RFB + b"\1\1\0\0\0\0" + SERVER_INIT + bytes(100),
            "small-limit": b"\x40" + RFB + b"\1\1\0\0\0\0" + SERVER_INIT,
            "update-behind": b"\0" + RFB + b"\1\1\0\0\0\0" + SERVER_INIT + update(0, 0, 2, 2),
        },
        "rfb-vencrypt": {
            "x509none": b"\0\0\2\0\1\0\0\1\4\1\0\0\0\0" + SERVER_INIT,
            "x509vnc": b"\4\0\2\0\2\0\0\1\1\0\0\1\5\1" + CHALLENGE + b"\0\0\0\0" + SERVER_INIT,
            "tls": b"\1\0\2\0\1\0\0\1\1\1\0\0\0\0" + SERVER_INIT,
            "version-0.1": b"\0\0\1\0",
            "refused": b"\0\0\2\0\1\0\0\1\4\0",
            "no-common": b"\0\0\2\0\2\0\0\1\0\0\0\1\7",
        },
        "rfb-offer": {
            "novnc": RFB + b"\1\1" + POINTER,
            "exclusive": RFB + b"\1\0",
            "version-3.3": b"RFB 003.003\n\1" + POINTER,
            "version-3.5": b"RFB 003.005\n\0",
            "version-3.7": b"RFB 003.007\n\1\1" + POINTER,
            "version-3.7-other-type": b"RFB 003.007\n\2",
            "other-type": RFB + b"\2",
            "tight": RFB + b"\x10\1",
            "http": b"GET / HTTP/1.1\r\n",
        },
        "rfb-refuse": {
            "version-3.3": b"\0RFB 003.003\n",
            "version-3.7": b"\1RFB 003.007\n",
            "version-3.8": b"\2" + RFB,
            "nothing": b"\3abcd",
        },
    }


def streams() -> dict[str, dict[str, bytes]]:
    """A viewer's messages after the handshake."""
    opening = PIXELS + shield.EVERYTHING + REQUEST
    text = "Grüße".encode()
    return {
        "shield": {
            "novnc": opening + POINTER * 3 + KEY + QEMU_KEY + REQUEST + POINTER,
            "tigervnc": shield.encodings(-316, -313, -312, -308, 7, 16, 5, 0)
            + b"\xf8\0\0\0\x80\0\0\0\4abcd"
            + b"\x96\1\0\0\0\0\3\x20\2\x58"
            + POINTER,
            "cut-text": b"\6\0\0\0\0\0\0\6Gr\xfc\xdfe!" + KEY,
            "clipboard-caps": shield.EVERYTHING + extended(0x1F000001, b"\0\0\0\0"),
            "clipboard-provide": shield.EVERYTHING + extended(0x10000001, zipped(text)) + KEY,
            "clipboard-request": shield.EVERYTHING + extended(0x02000001) + extended(0x08000001),
            "clipboard-bomb": shield.EVERYTHING + extended(0x10000001, zlib.compress(bytes((1 << 20) + 1), 9)),
            "clipboard-behind": shield.EVERYTHING + extended(0x10000001, zlib.compress(text) + b"x"),
            "audio": shield.EVERYTHING + b"\xff\1\0\2\3\2\0\0\xac\x44\xff\1\0\0\xff\1\0\1",
            "power": b"\xfa\0\1\2" + POINTER,
            "resize": b"\xfb\0\3\x20\2\x58\1\0" + bytes(16) + POINTER,
            "stripped": shield.encodings(0, -305, -309, -316) + shield.encodings(-305),
            "colour-map": b"\0\0\0\0\x08\x08\0\0" + bytes(12),
            "colour-map-of-32": b"\0\0\0\0\x20\x08\0\0" + bytes(12),
            "nonsense": b"\0\0\0\0\x18\x18\0\1\0\xff\0\xff\0\xff\x10\x08\0\0\0\0",
            "unknown": POINTER + b"\7\0\0\0",
        },
        "view-only": {
            "viewer": opening + POINTER * 3 + KEY + QEMU_KEY + REQUEST + POINTER,
            "each": PIXELS + REQUEST + b"\xf8" + bytes(7) + b"\2ab" + b"\x96\1" + bytes(8) + b"\6\0\0\0\0\0\0\3abc",
            "clipboard": extended(0x10000001, zipped(text)) + KEY + REQUEST,
            "extensions": b"\xff\1\0\2\3\2\0\0\xac\x44\xff\1\0\0\xfa\0\1\2\xfb\0\3\x20\2\x58\1\0" + bytes(16),
            "unknown": REQUEST + b"\7\0\0\0",
        },
        "frames": {
            "keys": b"\0" + b"".join(fronts.masked(one) for one in (POINTER, KEY, POINTER * 3)),
            "pieces": b"\1\2\x82\1\2\3\4ab\x89\x81\1\2\3\4a\x80\x81\1\2\3\4c" + fronts.masked(b"d"),
            "long": b"\1" + fronts.masked(bytes(126)) + fronts.masked(b""),
            "close": b"\0" + fronts.masked(KEY) + b"\x88\x85\0\0\0\0\3\xe8bye",
            "pong": b"\0\x8a\x81\1\2\3\4a" + fronts.masked(KEY),
            "text": b"\0\x81\x81\1\2\3\4a",
            "wide": b"\0\x82\xff\0\0\0\0\0\1\0\0\1\2\3\4abc",
            "long-form-of-125": b"\0\x82\xfe\0\x7d\1\2\3\4" + bytes(125),
            "long-form-of-65535": b"\0\x82\xff\0\0\0\0\0\0\xff\xff\1\2\3\4",
            "too-big": b"\2" + fronts.masked(b"123456789"),
        },
        "text-frames": {
            "between-keys": frame(2, KEY) + frame(1, b'{"ask":"control"}') + frame(2, KEY) + frame(1, b""),
            "pieces": frame(1, b"\xc3", fin=False)
            + frame(9, b"a")
            + frame(0, b"", fin=False)
            + frame(0, b"\xa9")
            + frame(2, KEY),
            "long": frame(1, b"a" * 200),
            "not-utf-8": frame(1, b"\xc3"),
            "too-long": b"\x81\xfe\x10\1\0\0\0\0",
            "too-long-in-pieces": frame(1, b"a", fin=False) + b"\x80\xfe\x10\0\0\0\0\0",
            "in-a-message": frame(2, b"a", fin=False) + frame(1, b"a"),
            "key-in-a-text": frame(1, b"a", fin=False) + frame(2, KEY),
            "after-the-close": frame(1, b"a") + frame(8, b"") + frame(1, b"b"),
            "reserved-bits": b"\xc1\x81",
        },
    }
