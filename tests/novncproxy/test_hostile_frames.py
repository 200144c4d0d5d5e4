"""Invalid frames at the noVNC port end the session at once, with the right close code.

CVE-2020-27813 and similar (a length of 63 bits), CVE-2016-10542 (a message over the limit), CVE-2018-1000518
(decompression bombs: compression is never negotiated, so its bit is a violation).
"""

import struct

from twisted.internet.defer import Deferred

from tests.session.harness import FrontCase, frame, introduce

MASK = b"\1\2\3\4"
POINTER = b"\5\0\0\1\0\1"
FRAMES = (
    ("63 bits of length", b"\x82\xff" + struct.pack(">Q", (1 << 63) - 1) + MASK, 1009),
    ("64 bits of length", b"\x82\xff" + struct.pack(">Q", 1 << 63) + MASK, 1002),
    ("all bits of length", b"\x82\xff" + b"\xff" * 8 + MASK, 1002),
    ("a length of 16 bits that fits into 7", b"\x82\xfe\x00\x01" + MASK + b"\1", 1002),
    ("a length of 64 bits that fits into 16", b"\x82\xff" + struct.pack(">Q", 200) + MASK + bytes(200), 1002),
    ("a compressed message", b"\xc2\x81" + MASK + b"\1", 1002),
    ("another reserved bit", b"\xa2\x81" + MASK + b"\1", 1002),
    ("a frame without a mask", b"\x82\x01\x04", 1002),
    ("an undefined opcode", b"\x83\x81" + MASK + b"\1", 1002),
    ("a fragmented ping", b"\x09\x80" + MASK, 1002),
    ("a ping that is too long", b"\x89\xfe\x00\x7e" + MASK + bytes(126), 1002),
    ("a continuation without a beginning", b"\x80\x81" + MASK + b"\1", 1002),
    ("a new message within a fragmented one", b"\x02\x80" + MASK + b"\x82\x80" + MASK, 1002),
    ("text", frame(1, b"hello"), 1003),
    (
        "many small fragments of a message over the limit",
        (b"\x02\x80" + MASK) + frame(0, POINTER * 10_000, fin=False) * 20,
        1009,
    ),
)


class HostileFrames(FrontCase):
    async def test_in_a_session(self) -> None:
        self.novnc(settings=self.settings(max_failures_per_minute=0, max_sessions_per_server=0))
        for name, data, code in FRAMES:
            viewer = await self.websocket()
            await introduce(viewer)
            viewer.raw.write(data)
            self.assertEqual((await viewer.until_closed())[0], code, name)
        await self.all_over()
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_at_once(self) -> None:
        """Right after the handshake, while the token is checked: no VNC server is dialled."""
        self.novnc(lambda *_: Deferred(), settings=self.settings(max_failures_per_minute=0))
        for name, data, code in FRAMES:
            viewer = await self.websocket()
            viewer.raw.write(data)
            self.assertEqual((await viewer.until_closed())[0], code, name)
        await self.all_over()
        self.assertEqual(self.server.connections, [])
