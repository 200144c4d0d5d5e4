"""What the shield passes on, removes and refuses; each advisory has a test with its name."""

import re
import struct
import zlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import MessageTooBig, ProtocolViolation
from novnc_twisted.rfb import Shield
from novnc_twisted.rfb.client_messages import MAX_CUT_TEXT
from tests.rfb.drive import through
from tests.rfb.viewer_messages import (
    BUTTONS,
    CLIPBOARD,
    EVERYTHING,
    GII,
    NOTIFY,
    POINTER,
    PROVIDE,
    REQUEST,
    TEXT,
    XVP,
    cut_text,
    encodings,
    extended,
    formats,
    good_messages,
    packed,
    pixel_format,
)
from tests.support import vnc_server
from tests.support.untimed import untimed

from .drive import cuttings

STRIPPED = (GII, XVP, BUTTONS)


def listing():
    """Return a shield whose viewer has listed every extension."""
    shield = Shield()
    shield.from_client(EVERYTHING)
    return shield


def as_the_server_sees(data):
    """Divide data into messages with the lengths of the fake VNC server; the last one may be incomplete."""
    messages, at = [], 0
    while at < len(data):
        head = data[at : at + vnc_server.SIZES[data[at]]]
        whole = len(head) == vnc_server.SIZES[data[at]]
        size = len(head) + (vnc_server.TAILS.get(data[at], lambda head: 0)(head) if whole else 0)
        messages.append(data[at : at + size])
        at += size
    return messages


class PassingTests(SynchronousTestCase):
    @untimed
    @given(st.lists(good_messages, max_size=12), cuttings)
    def test_good_messages_pass_as_they_are(self, messages, cuts):
        """In any order and any chunks; afterwards, nothing is held."""
        data = EVERYTHING + b"".join(messages)
        shield = Shield()
        self.assertEqual((data, None), through(shield, data, cuts))
        self.assertEqual(0, shield.held)

    def test_a_run_is_not_copied(self):
        """A chunk of whole, good messages is passed on as the same object."""
        for chunk in (POINTER, POINTER * 1000, b"\xff\0" + bytes(10) + POINTER, pixel_format() + POINTER):
            self.assertIs(chunk, Shield().from_client(chunk))

    def test_whole_messages_only(self):
        """A message is passed on when it is complete; only a clipboard text is passed on in pieces."""
        for message in (POINTER, pixel_format(), b"\xff\0" + bytes(10), b"\xf8" + bytes(7) + b"\2ab", b"\xff\1\0\1"):
            shield = listing()
            for count in range(len(message) - 1):
                self.assertEqual(b"", shield.from_client(message[count : count + 1]))
            self.assertEqual(message, shield.from_client(message[-1:]))
        shield = listing()
        self.assertEqual(b"", shield.from_client(b"\6\0\0\0\0\0\0"))
        self.assertEqual(b"\6\0\0\0\0\0\0\3a", shield.from_client(b"\3a"))
        self.assertEqual(b"bc" + POINTER, shield.from_client(b"bc" + POINTER + b"\5"))
        self.assertEqual(1, shield.held)

    def test_long_texts_stream(self):
        """A text of 1 MiB in either form passes, and nothing of it is held."""
        for message in (cut_text(b"x" * MAX_CUT_TEXT), extended(PROVIDE | TEXT, zlib.compress(bytes(MAX_CUT_TEXT)))):
            shield, passed = listing(), b""
            for start in range(0, len(message), 4096):
                passed += shield.from_client(message[start : start + 4096])
                self.assertEqual(0, shield.held)
            self.assertEqual(message, passed)
            self.assertEqual(POINTER, shield.from_client(POINTER))


class TakenOutTests(SynchronousTestCase):
    def test_encodings(self):
        """Encodings that the server must not announce are removed; the others keep their order."""
        self.assertEqual(
            (encodings(7, 0, -223, CLIPBOARD), None),
            through(Shield(), encodings(7, BUTTONS, 0, XVP, -223, GII, CLIPBOARD)),
        )

    def test_extended_mouse_buttons(self):
        """They are not negotiated, so a PointerEvent always has six bytes."""
        shield = Shield()
        through(shield, encodings(0, BUTTONS))
        self.assertEqual((b"\5\xff" + bytes(4) + POINTER, None), through(shield, b"\5\xff" + bytes(4) + POINTER))
        self.assertEqual(ProtocolViolation, through(shield, b"\5\x80" + bytes(4) + b"\1" + POINTER)[1])

    def test_power_control(self):
        """xvp messages are removed, those around them are not."""
        for cuts in ((), (7,), (8, 9), range(16)):
            self.assertEqual((POINTER + POINTER, None), through(Shield(), POINTER + b"\xfa\0\1\2" + POINTER, cuts))
        self.assertEqual((b"", None), through(Shield(), b"\xfa\0\1\4"))

    @untimed
    @given(
        st.lists(
            st.one_of(
                good_messages.map(lambda message: (message, message)),
                st.sampled_from([(b"\xfa\0\1\2", b""), (cut_text(b""), b""), (encodings(XVP), encodings(0))]),
                st.lists(st.sampled_from([0, 7, *STRIPPED]), min_size=1).map(
                    lambda listed: (encodings(*listed), encodings(*([e for e in listed if e >= 0] or [0])))
                ),
            )
        ),
        cuttings,
    )
    def test_among_others(self, pairs, cuts):
        """Messages and encodings are removed at any place, in any chunks."""
        sent, passed = (b"".join(part) for part in zip(*pairs, strict=True)) if pairs else (b"", b"")
        self.assertEqual((passed, None), through(listing(), sent, cuts))


class AdvisoryTests(SynchronousTestCase):
    """Each advisory, with the bytes that caused the bug."""

    def refused(self, message, cause=ProtocolViolation):
        self.assertEqual((b"", cause), through(listing(), message))

    def test_CVE_2008_2382(self):
        """QEMU: an empty SetEncodings caused an endless loop.  Raw, which every viewer accepts, is sent instead."""
        self.assertEqual((encodings(0), None), through(Shield(), encodings()))
        self.assertEqual((encodings(0), None), through(Shield(), encodings(XVP)))

    def test_CVE_2009_3616(self):
        """QEMU: use after free if a client left within a message.  An incomplete message is not passed on."""
        for message in (POINTER, b"\xff\0" + bytes(10), pixel_format(), encodings(7, 0), b"\4" + bytes(7)):
            for count in range(1, len(message)):
                self.assertEqual((b"", None), through(Shield(), message[:count]))

    def test_CVE_2014_7815(self):
        """QEMU: SetPixelFormat with bits per pixel other than 8, 16 and 32."""
        for bits in set(range(256)) - {8, 16, 32}:
            self.refused(pixel_format(bits, depth=0))
            self.refused(pixel_format(bits, depth=0, true_colour=0))

    def test_CVE_2015_8504(self):
        """QEMU: division by zero for a maximum of 0 in SetPixelFormat; each of the three is tried."""
        for place in range(3):
            most = [255, 255, 255]
            most[place] = 0
            self.refused(pixel_format(most=most))

    def test_invalid_pixel_formats(self):
        """Maxima that are not 2^n - 1, shifts and depths beyond the pixel, a color map with 16 or 32 bits."""
        for most in (2, 5, 254, 256, 0xFFFE):
            self.refused(pixel_format(most=(255, most, 255)))
        for shift in (25, 31, 32, 64, 255):
            self.refused(pixel_format(shifts=(16, 8, shift)))
        self.refused(pixel_format(8, 8))
        self.refused(pixel_format(16, 24, most=(31, 63, 31), shifts=(11, 5, 0)))
        self.refused(pixel_format(32, 33))
        self.refused(pixel_format(16, 8, true_colour=0))
        self.refused(pixel_format(32, 8, true_colour=0))

    @untimed
    @given(formats)
    def test_pixel_formats_of_viewers(self, message):
        self.assertEqual((message, None), through(Shield(), message))

    def test_CVE_2015_5239(self):
        """QEMU: ClientCutText of nearly 4 GiB; adding the head's length overflowed 32 bits."""
        for length in (0xFFFFFFFF, 0xFFFFFFFD, 0x80000000, 0x7FFFFFFF, MAX_CUT_TEXT + 1):
            passed, cause = through(listing(), struct.pack(">B3xI", 6, length) + bytes(64))
            self.assertEqual(b"", passed)
            self.assertIn(cause, (ProtocolViolation, MessageTooBig))
        self.assertEqual((b"", ProtocolViolation), through(Shield(), struct.pack(">B3xI", 6, 0xFFFFFFF8) + bytes(8)))

    def test_CVE_2014_6053(self):
        """LibVNCServer: memory was allocated for a ClientCutText or a TextChat of any length."""
        self.refused(struct.pack(">B3xI", 6, 0x7FFFFFFF), MessageTooBig)
        self.refused(b"\13\0\0\0\x7f\xff\xff\xff")

    def test_CVE_2017_15124(self):
        """QEMU: audio at a very high frequency used up memory.

        The other cause, a viewer that does not read, is not visible in messages.
        """
        for frequency in (48001, 0x7FFFFFFF, 0xFFFFFFFF, 0):
            self.refused(b"\xff\1\0\2\3\2" + struct.pack(">I", frequency))

    def test_CVE_2022_3165(self):
        """QEMU: an extended ClientCutText shorter than its flags."""
        for length in (-1, -2, -3):
            self.refused(struct.pack(">B3xi", 6, length) + bytes(4))
        self.assertEqual((extended(NOTIFY), None), through(listing(), extended(NOTIFY)))

    def test_CVE_2023_3255(self):
        """QEMU: bytes after the zlib stream of an extended ClientCutText caused an endless loop."""
        for behind in (b"\0", b"x" * 100, packed(b"again")):
            message = extended(PROVIDE | TEXT, packed(b"text") + behind)
            self.refused(message)
            passed, cause = through(listing(), message, range(len(message)))
            self.assertEqual((message[: -len(behind)], ProtocolViolation), (passed, cause))

    def test_CVE_2023_6683(self):
        """QEMU: after an empty text, the clipboard had neither data nor an owner."""
        self.assertEqual((POINTER, None), through(Shield(), cut_text(b"") + POINTER))
        for message in (extended(REQUEST | TEXT), extended(NOTIFY | TEXT), extended(PROVIDE | TEXT, packed(b""))):
            self.assertEqual((b"", ProtocolViolation), through(Shield(), message), "before SetEncodings")
            self.assertEqual((b"", ProtocolViolation), through(Shield(), encodings(0) + message))

    def test_an_extended_text_of_no_length(self):
        """It is removed, and the texts after it are checked separately."""
        empty = extended(PROVIDE | TEXT)
        for behind in (cut_text(b"ordinary"), extended(REQUEST | TEXT), extended(PROVIDE | TEXT, packed(b"x"))):
            for message in (empty + behind, empty * 3 + behind):
                self.assertEqual((behind, None), through(listing(), message, range(len(message))))

    def test_unpacking_is_bounded(self):
        """A text that would unpack to 64 MiB is refused after 1 MiB."""
        deflate = zlib.compressobj(9)
        bomb = b"".join(deflate.compress(bytes(1 << 20)) for _ in range(64)) + deflate.flush()
        self.refused(extended(PROVIDE | TEXT, bomb), MessageTooBig)


class SeamTests(SynchronousTestCase):
    def test_documented(self):
        """docs/security.md names exactly the advisory tests of this class."""
        page = Path(__file__).parents[2] / "docs" / "security.md"
        documented = re.findall(r"`tests\.rfb\.test_shield\.AdvisoryTests\.(test_CVE_\w+)`", page.read_text())
        ours = [name for name in dir(AdvisoryTests) if name.startswith("test_CVE_")]
        self.assertEqual(ours, sorted(documented))

    def test_filter(self):
        """The shield has what the relay needs from its first filter, for the viewer's direction only.

        The shield cannot declare IFilter, because layer 1 does not import the relay.
        """
        from novnc_twisted.relay.interfaces import IFilter

        self.assertEqual(["from_client", "unfinished"], [name for name in sorted(IFilter) if hasattr(Shield, name)])
