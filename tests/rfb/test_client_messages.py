"""The lengths of a viewer's messages, and messages that are refused for an unknown or invalid length."""

import struct

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import MessageTooBig, ProtocolViolation
from novnc_twisted.rfb.client_messages import (
    EVERYDAY,
    MAX_CUT_TEXT,
    MAX_ENCODINGS,
    QEMU_KEY,
    QEMU_KEY_SIZE,
    length_of,
)
from tests.support import vnc_server

WHOLE = [
    b"\0" + bytes(19),
    b"\2\0\0\0",
    b"\2\0\0\2" + bytes(8),
    b"\3" + bytes(9),
    b"\4" + bytes(7),
    b"\5\xff" + bytes(4),
    b"\6\0\0\0\0\0\0\0",
    b"\6\0\0\0\0\0\0\3abc",
    b"\6\0\0\0" + struct.pack(">i", -8) + b"\x1b\0\0\1abcd",
    b"\x96" + bytes(9),
    b"\xf8" + bytes(7) + b"\0",
    b"\xf8" + bytes(7) + b"\x40" + bytes(64),
    b"\xfa\0\1\2",
    b"\xfb\0\0\1\0\1\2\0" + bytes(32),
    b"\xff\0\0\1" + bytes(8),
    b"\xff\1\0\0",
    b"\xff\1\0\1",
    b"\xff\1\0\2" + bytes(6),
]
KNOWN = {message[0] for message in WHOLE}


class LengthTests(SynchronousTestCase):
    def test_each(self):
        """The length is known when the head is complete, and the fake VNC server computes the same length."""
        for message in WHOLE:
            self.assertEqual(len(message), length_of(b"before" + message + b"after", 6), message)
            head = vnc_server.SIZES[message[0]]
            known = [length_of(message[:count], 0) for count in range(1, len(message) + 1)]
            self.assertEqual(set(known), {0, len(message)} if known[0] == 0 else {len(message)}, message)
            self.assertEqual(known[head - 1], len(message), message)
            tail = vnc_server.TAILS.get(message[0], lambda head: 0)(message[:head])
            self.assertEqual(len(message), head + tail)

    def test_everyday(self):
        """The table of everyday messages has the same lengths."""
        for kind, size in enumerate(EVERYDAY):
            if size:
                self.assertEqual(size, length_of(bytes([kind]), 0))
        self.assertEqual([kind for kind, size in enumerate(EVERYDAY) if size], [3, 4, 5])
        self.assertEqual(QEMU_KEY_SIZE, length_of(QEMU_KEY + bytes(2), 0))

    def test_unknown_types(self):
        """Unknown types are refused at their first byte, unknown messages of QEMU at their head."""
        for kind in set(range(256)) - KNOWN:
            self.assertRaises(ProtocolViolation, length_of, bytes([kind]), 0)
        for head in (b"\xff\2\0\0", b"\xff\1\0\3", b"\xff\1\1\0", b"\xff\xff\xff\xff"):
            self.assertRaises(ProtocolViolation, length_of, head, 0)

    def test_invalid_lengths(self):
        """They are refused at the head, before the body arrives."""
        for length in (-1, -2, -3):
            self.assertRaises(ProtocolViolation, length_of, b"\6\0\0\0" + struct.pack(">i", length), 0)
        for length in (MAX_CUT_TEXT + 1, -MAX_CUT_TEXT - 1, 0x7FFFFFFF, -0x80000000):
            self.assertRaises(MessageTooBig, length_of, b"\6\0\0\0" + struct.pack(">i", length), 0)
        self.assertRaises(MessageTooBig, length_of, b"\2\0" + struct.pack(">H", MAX_ENCODINGS + 1), 0)
        self.assertRaises(ProtocolViolation, length_of, b"\xf8" + bytes(7) + b"\x41", 0)
