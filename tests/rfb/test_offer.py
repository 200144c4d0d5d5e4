"""Our handshake with viewers: offers and refusals, in the form of each version."""

import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import ProtocolViolation
from novnc_twisted.rfb import ClientInit, HandshakeDriver, offer, refuse
from novnc_twisted.rfb.constants import LIMIT
from tests.support.untimed import untimed

from .drive import converse, cuttings, outcome

V33, V35, V37, V38 = b"RFB 003.003\n", b"RFB 003.005\n", b"RFB 003.007\n", b"RFB 003.008\n"
REASON = struct.pack(">I", len(ProtocolViolation.sentence)) + ProtocolViolation.sentence.encode()
OTHER_VERSIONS = (
    b"RFB 003.004\n", b"RFB 003.006\n", b"RFB 003.889\n", b"RFB 004.000\n", b"RFB 005.000\n", b"RFB 000.000\n",
    b"rfb 003.008\n", b"RFB 003.008\r", b"GET / HTTP/1", b"\0" * 12, b"RFB \xff\xff\xff\xff\xff\xff\xff\xff",
)  # fmt: skip


class OfferTests(SynchronousTestCase):
    def test_a_good_viewer(self):
        """Only 3.8 and type None are offered; bytes after ClientInit are in ``rest``."""
        for flag, shared in ((b"\1", True), (b"\0", False), (b"\xff", True)):
            driver, sent = converse(offer(), V38 + b"\1" + flag + b"\2\0")
            self.assertIsNone(driver.error)
            self.assertEqual(ClientInit(shared=shared, version=V38), driver.result)
            self.assertEqual((V38 + b"\1\1" + b"\0\0\0\0", b"\2\0"), (sent, driver.rest))

    def test_nothing_ahead_of_its_time(self):
        """Each message is sent only after the one that it answers: no result before a choice (CVE-2022-36436)."""
        driver = HandshakeDriver(offer())
        for received, sent, waiting_for in (
            (b"", V38, "ProtocolVersion"),
            (V38[:11], b"", "ProtocolVersion"),
            (V38[11:], b"\1\1", "the security type"),
            (b"\1", b"\0\0\0\0", "ClientInit"),
        ):
            driver.start()
            driver.receive(received)
            self.assertEqual((sent, waiting_for), (driver.to_send(), driver.waiting_for))
            self.assertFalse(driver.done)
        driver.receive(b"\1")
        self.assertEqual((True, b""), (driver.done, driver.to_send()))

    def test_a_type_that_was_not_offered(self):
        """The answer is SecurityResult 1 and a reason (CVE-2006-2369); further bytes are ignored."""
        for choice in (0, 2, 16, 19, 255):
            driver, sent = converse(offer(), V38 + bytes([choice]) + b"\1\1\1\1")
            self.assertEqual(V38 + b"\1\1" + b"\0\0\0\1" + REASON, sent)
            self.assertIsInstance(driver.error, ProtocolViolation)
            self.assertIsNone(driver.result)
            self.assertEqual(f"the viewer chose security type {choice}, which was not offered", driver.error.detail)

    def test_lower_versions(self):
        """Each has its own form: 3.3 has no list of types, and neither 3.3 nor 3.7 has a SecurityResult for None."""
        for version, choice, offered in ((V33, b"", b"\0\0\0\1"), (V35, b"", b"\0\0\0\1"), (V37, b"\1", b"\1\1")):
            for flag in (b"\0", b"\1"):
                driver, sent = converse(offer(), version + choice + flag + b"\2\0")
                self.assertIsNone(driver.error)
                self.assertEqual(ClientInit(shared=flag == b"\1", version=version), driver.result)
                self.assertEqual((V38 + offered, b"\2\0"), (sent, driver.rest))

    def test_a_type_that_was_not_offered_in_3_7(self):
        """The answer is SecurityResult 1; only 3.8 adds a reason."""
        driver, sent = converse(offer(), V37 + b"\2\1")
        self.assertEqual(V38 + b"\1\1" + b"\0\0\0\1", sent)
        self.assertIsInstance(driver.error, ProtocolViolation)

    def test_other_versions(self):
        """They are refused in the form of 3.8, even if they are not versions; the detail is printable."""
        for version in OTHER_VERSIONS:
            driver, sent = converse(offer(), version)
            self.assertEqual(V38 + b"\0" + REASON, sent, version)
            self.assertIsInstance(driver.error, ProtocolViolation)
            self.assertTrue(driver.error.detail.isprintable())

    def test_hasty_viewer(self):
        """A viewer that sends more than the limit after ClientInit is refused."""
        driver, _ = converse(offer(), V38 + b"\1\1")
        for _ in range(LIMIT // 1000 + 1):
            self.assertIsNone(driver.error)
            driver.receive(b"x" * 1000)
        self.assertIsInstance(driver.error, ProtocolViolation)
        self.assertEqual(b"", driver.rest)


class RefuseTests(SynchronousTestCase):
    def test_forms(self):
        """The refusal has the form of the viewer's version."""
        sentence = "Größe"
        reason = b"\0\0\0\7" + sentence.encode()
        for version, form in ((V33, b"\0\0\0\0"), (V35, b"\0\0\0\0"), (V37, b"\0"), (V38, b"\0")):
            driver, sent = converse(refuse(sentence), version)
            self.assertEqual((V38 + form + reason, True, None), (sent, driver.done, driver.error))
        for version in OTHER_VERSIONS:
            self.assertEqual(V38 + b"\0" + reason, converse(refuse(sentence), version)[1])

    def test_waits_for_the_version(self):
        """The form of the refusal depends on the viewer's version."""
        driver, sent = converse(refuse("no"), V33[:11])
        self.assertEqual((V38, False), (sent, driver.done))


class FuzzTests(SynchronousTestCase):
    @untimed
    @given(st.binary(max_size=64), cuttings)
    def test_anything(self, data, cuts):
        """Arbitrary bytes cause only a ProtocolViolation; the outcome does not depend on the chunks."""
        for beginning in (b"", b"RFB ", V38, V38 + b"\1"):
            for handshake in (offer, lambda: refuse("no")):
                driver, sent = converse(handshake(), beginning + data, cuts)
                if driver.error is not None:
                    self.assertIs(ProtocolViolation, type(driver.error))
                self.assertTrue(sent.startswith(V38))
                self.assertLess(len(sent), 200)
                self.assertEqual(outcome(handshake(), beginning + data), outcome(handshake(), beginning + data, cuts))
