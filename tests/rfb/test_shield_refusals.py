"""What the shield refuses, in any chunks, and the limit of held bytes."""

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import ProtocolViolation
from novnc_twisted.rfb import Shield
from novnc_twisted.rfb.client_messages import MAX_ENCODINGS, length_of
from tests.rfb.drive import through
from tests.rfb.test_shield import as_the_server_sees, listing
from tests.rfb.viewer_messages import (
    AUDIO,
    CLIPBOARD,
    CONTINUOUS,
    FENCE,
    POINTER,
    PROVIDE,
    REFUSED,
    REQUEST,
    TEXT,
    cut_text,
    encodings,
    extended,
    good_messages,
    texts,
)
from tests.support import vnc_server
from tests.support.untimed import untimed

from .drive import cuttings


class RefusedTests(SynchronousTestCase):
    def test_each(self):
        """At once or byte by byte, nothing of it passes; of a packed text, all but the last byte may pass."""
        for name, message in REFUSED.items():
            for cuts in ((), range(len(message))):
                passed, refusal = through(listing(), message, cuts)
                self.assertIsNotNone(refusal, name)
                if message[8:9] == bytes([PROVIDE >> 24]):
                    self.assertTrue(message.startswith(passed) and len(passed) < len(message), name)
                else:
                    self.assertEqual(b"", passed, name)

    def test_every_unknown_type(self):
        """It is refused at its first byte."""
        for kind in set(range(256)) - set(vnc_server.SIZES):
            self.assertEqual((b"", ProtocolViolation), through(listing(), bytes([kind])))

    @untimed
    @given(st.lists(good_messages, max_size=6), st.sampled_from(sorted(REFUSED)), texts, cuttings)
    def test_among_good_ones(self, before, name, after, cuts):
        """In any chunks, only messages before it pass, and pieces of its text."""
        good = b"".join(before)
        passed, refusal = through(listing(), good + REFUSED[name] + after, cuts)
        self.assertIsNotNone(refusal)
        self.assertTrue((good + REFUSED[name][:-1]).startswith(passed))

    def test_after_a_refusal(self):
        """All later messages are refused, too."""
        for message in REFUSED.values():
            shield = listing()
            through(shield, message)
            self.assertEqual((b"", ProtocolViolation), through(shield, POINTER))
            self.assertLess(shield.held, 2)

    def test_extensions_nobody_asked_for(self):
        """A viewer must list an extension once; a later list without it has no effect, as answers may be under way."""
        for encoding, message in (
            (FENCE, b"\xf8" + bytes(7) + b"\1x"),
            (CONTINUOUS, b"\x96" + bytes(9)),
            (AUDIO, b"\xff\1\0\0"),
            (CLIPBOARD, extended(REQUEST | TEXT)),
        ):
            self.assertEqual((b"", ProtocolViolation), through(Shield(), message))
            shield = Shield()
            through(shield, encodings(0, encoding) + encodings(0))
            self.assertEqual((message, None), through(shield, message))

    @untimed
    @given(st.binary(max_size=300), cuttings)
    @example(b"\5", (0,))
    def test_anything(self, data, cuts):
        """Random bytes cause only refusals; the chunks only change how much passes before a refusal."""
        self.check(data, cuts)

    @untimed
    @given(st.lists(good_messages, min_size=1, max_size=6), st.data(), cuttings)
    def test_mutations(self, messages, data, cuts):
        """Good messages with some bytes changed, inserted or removed."""
        stream = bytearray(b"".join(messages))
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(stream)))
            stream[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
        self.check(bytes(stream), cuts)

    def check(self, data, cuts):
        at_once, refusal = through(listing(), data)
        passed, other = through(listing(), data, cuts)
        slowly, last = through(listing(), data, range(len(data)))
        self.assertEqual((refusal, refusal), (other, last))
        self.assertTrue(slowly.startswith(passed) and passed.startswith(at_once))
        if refusal is None:
            self.assertEqual(at_once, slowly)
        messages = as_the_server_sees(slowly)
        for message in messages[:-1]:
            self.assertEqual(len(message), length_of(message, 0))
        for message in messages:
            self.assertEqual((message, None), through(listing(), message), "each message that passed also passes alone")

    @untimed
    @given(st.binary(max_size=64), cuttings)
    def test_nothing_grows(self, data, cuts):
        """Heads that announce long bodies: through() checks that few bytes are held."""
        for head in (encodings(*range(MAX_ENCODINGS)), b"\xfb\0\0\1\0\1\xff\0" + bytes(4080), cut_text(bytes(9000))):
            through(listing(), (data and POINTER) + head[:-1], cuts)
