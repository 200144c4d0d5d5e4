"""A viewer's messages told apart, and what is refused because its length can't be known."""

import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import MessageTooBig, ProtocolViolation
from novnc_twisted.rfb.client_messages import MAX_CUT_TEXT, ClientMessages

from .drive import chunks_of, cuttings, untimed

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


def take(framer, data, cuts=()):
    """The messages, and the class of the refusal if there was one."""
    taken = []
    try:
        for chunk in chunks_of(data, cuts):
            for message in framer.receive(chunk):
                taken.append(message)  # noqa: PERF402 - what came before a refusal counts
    except (ProtocolViolation, MessageTooBig) as refusal:
        return taken, type(refusal)
    return taken, None


class ClientMessagesTests(SynchronousTestCase):
    @untimed
    @given(st.lists(st.sampled_from(WHOLE), max_size=8), cuttings)
    def test_sequences(self, messages, cuts):
        """Any messages in any chunks come out as they went in, and nothing is held."""
        framer = ClientMessages()
        self.assertEqual((messages, None), take(framer, b"".join(messages), cuts))
        self.assertEqual(0, framer.held)

    def test_each_is_whole_at_its_last_byte(self):
        """Not before it."""
        for message in WHOLE:
            framer = ClientMessages()
            self.assertEqual(([], None), take(framer, message[:-1]), message)
            self.assertEqual(([message], None), take(framer, message[-1:]), message)

    def test_unknown_types(self):
        """Refused at once, after what was good; 253, 7, 11, 252, 127, 20 and 1 among them."""
        for kind in set(range(256)) - KNOWN:
            self.assertEqual(
                ([b"\xfa\0\1\2"], ProtocolViolation), take(ClientMessages(), b"\xfa\0\1\2" + bytes([kind]))
            )
        for head in (b"\xff\2\0\0", b"\xff\1\0\3", b"\xff\xff\xff\xff"):
            self.assertEqual(([], ProtocolViolation), take(ClientMessages(), head))

    def test_lengths_that_are_none(self):
        """Seen in the head: nothing of the body is waited for or held."""
        for length in (-1, -3):
            self.assertEqual(([], ProtocolViolation), take(ClientMessages(), b"\6\0\0\0" + struct.pack(">i", length)))
        for length in (MAX_CUT_TEXT + 1, -MAX_CUT_TEXT - 1, 0x7FFFFFFF, -0x80000000):
            self.assertEqual(([], MessageTooBig), take(ClientMessages(), b"\6\0\0\0" + struct.pack(">i", length)))
        self.assertEqual(([], MessageTooBig), take(ClientMessages(), b"\2\0\xff\xff"))
        self.assertEqual(([], ProtocolViolation), take(ClientMessages(), b"\xf8" + bytes(7) + b"\x41"))

    def test_extended_mouse_buttons(self):
        """One byte more, where it was negotiated and the mask says so."""
        six, seven = b"\5\x7f" + bytes(4), b"\5\x80" + bytes(5)
        framer = ClientMessages(extended_buttons=True)
        self.assertEqual(([six, seven, six], None), take(framer, six + seven + six))

    @untimed
    @given(st.binary(max_size=300), cuttings)
    def test_anything(self, data, cuts):
        """Nothing but the declared refusals; the same in any chunks; what came out is what went in."""
        framer = ClientMessages()
        taken, refusal = take(framer, data, cuts)
        self.assertEqual((taken, refusal), take(ClientMessages(), data))
        self.assertTrue(data.startswith(b"".join(taken)))
        if refusal is None:
            self.assertEqual(len(data), len(b"".join(taken)) + framer.held)
