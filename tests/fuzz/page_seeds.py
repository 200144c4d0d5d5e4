"""Seeds of the targets that read what a server, a page, an operator and a hypervisor send."""

import struct
import zlib

from tests.support.vnc_server import update

from .seed_bytes import extended

_SVG = b'\0<svg xmlns="http://www.w3.org/2000/svg"/>'


def _rectangle(encoding: int, body: bytes, width: int = 4, height: int = 2) -> bytes:
    return struct.pack(">BxHHHHHi", 0, 1, 0, 0, width, height, encoding) + body


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, rows: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    stored = zlib.compress(rows, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", stored) + _chunk(b"IEND", b"")


def pages() -> dict[str, dict[str, bytes]]:
    """The first bytes choose what the target does."""
    tight = _rectangle(7, b"\0\x0e" + b"t" * 14)  # basic compression of 24 bytes: 14 compressed ones
    text = b"\3\0\0\0\0\0\0\3abc"
    return {
        "server-messages": {
            "raw": b"\0\0" + update(0, 0, 2, 2) + b"\2" + update(0, 0, 1, 1),
            "copy-rre": b"\0\0" + _rectangle(1, b"abcd") + _rectangle(2, b"\0\0\0\1" + bytes(16)),
            "corre-16": b"\1\0" + _rectangle(4, b"\0\0\0\2" + bytes(2 + 2 * 6)) + b"\x96",
            "hextile": b"\0\0" + _rectangle(5, b"\x1e" + bytes(8) + b"\2" + bytes(12) + b"\1" + bytes(4), 17, 1),
            "zlib-zrle": b"\0\0" + _rectangle(6, b"\0\0\0\3abc") + _rectangle(16, b"\0\0\0\2ab") + b"\2",
            "tight": b"\0\0" + _rectangle(7, b"\x80abc") + _rectangle(7, b"\x90\3abc") + tight,
            "tight-palette": b"\2\0" + _rectangle(7, b"\x40\1\1ab" + bytes(2)) + b"\2",
            "cursors": b"\0\0" + _rectangle(-239, bytes(34)) + _rectangle(-240, bytes(10)) + b"\2",
            "pseudo": b"\0\0" + _rectangle(-307, b"\0\0\0\1n") + _rectangle(-308, b"\1\0\0\0" + bytes(16)) + b"\2",
            "last-rect": b"\0\0\0\0\xff\xff" + bytes(8) + b"\xff\xff\xff\x20" + b"\2",
            "h264": b"\0\0" + _rectangle(50, b"\0\0\0\1\0\0\0\0a") + b"\2",
            "texts": b"\0\1" + text + b"\2" + text.replace(b"\3abc", b"\4abcd") + b"\2" + text,
            "no-texts": b"\0\0" + text + b"\2" + text[:7] + b"\0" + b"\2",
            "extended": b"\0\2\3" + extended(1, b"text")[1:] + b"\2",
            "others": b"\0\0\1\0\0\0\0\2" + bytes(12) + b"\xf8" + bytes(7) + b"\2ab\xfa\0\1\1\xff\1\0\2\0\0\0\1s",
            "too-long": b"\0\0\3\0\0\0\x7f\xff\xff\xff",
            "unknown": b"\0\0\2\7",
            "unknown-encoding": b"\0\0" + _rectangle(21, b""),
        },
        "channel": {
            "control": b'\0{"type":"request"}\n{"type":"give","id":"s2"}\n{"type":"take"}\n{"type":"release"}',
            "share": b'\0{"type":"share","mode":"view","seconds":3600}\n{"type":"share","mode":"all","seconds":1}',
            "seconds": b'\0{"type":"share","mode":"view","seconds":0}\n{"type":"share","mode":"view","seconds":28801}',
            "power": b'\0{"type":"power","action":"unpause"}\n{"type":"power","action":"start"}\n{"type":"state"}',
            "late": b'\1{"type":"request"}\n{"type":"state"}\n{"type":"take"}\n{"type":"share"}',
            "unavailable": b'\2{"type":"request"}\n{"type":"power","action":"reset"}\n{"type":"state"}',
            "newer": b'\0{"type":"a message of a newer page, with a long type"}',
            "id": b'\0{"type":"give","id":"a\\u001b"}\n{"type":"give","id":1}',
            "no-type": b'\0{"type":1}',
            "no-object": b"\0[]",
            "no-json": b"\0{",
            "flood": b"\0" + b"\n".join([b'{"type":"a"}'] * 41),
        },
        "page-settings": {
            "all": b'{"name":"A & B","logo":"l.svg","colors":{"accent":"#0b5394","bar":"#101820"},'
            b'"help":"https://a.example/?a=\\"b","new_link":"mailto:a@b.example","defaults":{"picture":"scale"},'
            b'"fixed":{"view_only":true,"language":"de"}}' + _SVG,
            "markup": b'{"name":"</head><script>\\"\'&"}',
            "script": b'{"help":"javascript:alert(1)"}',
            "space": b'{"new_link":"mailto:a b"}',
            "both": b'{"defaults":{"layout":"de"},"fixed":{"layout":"de"}}',
            "grey": b'{"colors":{"bar":"#777777"}}',
            "unknown": b'{"naem":1}',
            "controls": b'{"a\\u001b\\n":1}',
            "list": b"[]",
            "no-picture": b'{"logo":"l"}\0text',
            "dtd": b'{"logo":"l"}\0<!DOCTYPE svg [<!ENTITY a "a">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>',
        },
        "picture": {
            "ppm": b"\0\0P6\n4 2\n255\n" + bytes(range(24)),
            "ppm-jpeg": b"\1\2P6 4 2 255\n" + bytes(24),
            "ppm-webp-wide": b"\2\1P6 64 2 255\n" + bytes(384),
            "ppm-cut": b"\0\0P6\n4 2\n255\n" + bytes(10),
            "ppm-huge": b"\0\0P6\n4097 4097\n255\n",
            "ppm-16-bit": b"\0\0P5 2 2 65535\n" + bytes(8),
            "ppm-text": b"\0\0P3 1 1 255 1 2 3 ",
            "bitmap": b"\0\1P4 64 8\n" + bytes(64),
            "png": b"\1\0" + _png(2, 2, (b"\0" + bytes(6)) * 2),
            "png-cut": b"\0\0" + _png(200, 200, b"\0"),
            "png-huge": b"\0\0" + _png(65535, 65535, b"\0"),
            "gif": b"\0\0GIF89a" + bytes(20),
        },
    }
