"""The view-only filter: which of all 256 message types pass, in any chunks."""

import struct
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import MessageTooBig, ProtocolViolation
from novnc_twisted.rfb import Shield, ViewOnly
from tests.rfb.test_client_messages import WHOLE
from tests.support.untimed import untimed

PASSED = {0, 2, 3, 150, 248}
ENCODINGS = b"\2\0\0\5" + struct.pack(">5i", 0, -312, -313, -259, -1063131698)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut bytes at these places."""
    edges = [0, *sorted(places), len(data)]
    return [data[begin:end] for begin, end in pairwise(edges) if begin < end]


class ViewOnlyTests(SynchronousTestCase):
    def test_each_type(self) -> None:
        known = {message[0] for message in WHOLE}
        for kind in range(256):
            view = ViewOnly()
            if kind not in known:
                self.assertRaises(ProtocolViolation, view.from_client, bytes([kind]) + bytes(40))
                continue
            for message in (message for message in WHOLE if message[0] == kind):
                self.assertEqual(view.from_client(message), message if kind in PASSED else b"", message)
                self.assertEqual(view.unfinished, 0)

    def test_the_length_of_a_message_is_bounded(self) -> None:
        self.assertRaises(MessageTooBig, ViewOnly().from_client, struct.pack(">B3xi", 6, 1 << 30))
        self.assertRaises(MessageTooBig, ViewOnly().from_client, b"\2\0\xff\xff")

    def test_a_removed_text_is_not_held(self) -> None:
        view = ViewOnly()
        self.assertEqual(view.from_client(struct.pack(">B3xi", 6, 100_000) + bytes(50_000)), b"")
        self.assertEqual(view.unfinished, 50_000)
        self.assertEqual(view.from_client(b"\4" * 50_000 + WHOLE[3]), WHOLE[3])

    def test_keys_that_are_held_are_released(self) -> None:
        """A limited number of key releases pass, but no other message that has an effect."""
        up, qemu_up = b"\4\0\0\0\0\0\0a", b"\xff\0\0\0" + bytes(8)
        down, qemu_down = b"\4\1\0\0\0\0\0a", b"\xff\0\0\1" + bytes(8)
        view = ViewOnly(3)
        self.assertEqual(view.from_client(down + up + qemu_down + b"\5\0\0\0\0\0" + qemu_up), up + qemu_up)
        self.assertEqual(view.from_client(up[:5]) + view.from_client(up[5:]), b"")
        self.assertEqual(view.from_client(up * 2), up)
        self.assertEqual(view.from_client(qemu_up), b"")
        self.assertEqual(ViewOnly().from_client(up), b"")

    @untimed
    @given(st.data(), st.lists(st.sampled_from(WHOLE), min_size=1, max_size=12))
    def test_any_chunks(self, data: st.DataObject, messages: list[bytes]) -> None:
        stream = b"".join(messages)
        expected = b"".join(message for message in messages if message[0] in PASSED)
        places = data.draw(st.lists(st.integers(0, len(stream)), max_size=20))
        view = ViewOnly()
        self.assertEqual(b"".join(map(view.from_client, cut(stream, places))), expected)
        self.assertEqual(view.unfinished, 0)

    @untimed
    @given(st.data(), st.lists(st.sampled_from(WHOLE), min_size=1, max_size=12))
    def test_behind_the_shield(self, data: st.DataObject, messages: list[bytes]) -> None:
        """The shield also checks what this filter removes; only requests for the screen are left."""
        stream = ENCODINGS + b"".join(messages)
        shield, view, passed = Shield(), ViewOnly(), b""
        try:
            for piece in cut(stream, data.draw(st.lists(st.integers(0, len(stream)), max_size=20))):
                if checked := shield.from_client(piece):
                    passed += view.from_client(checked)
        except (ProtocolViolation, MessageTooBig):
            pass
        again = ViewOnly()
        self.assertEqual(again.from_client(passed), passed)
