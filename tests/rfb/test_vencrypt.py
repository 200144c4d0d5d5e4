"""The VeNCrypt handshake: our order of preference, no downgrade, and no bytes in clear where TLS should begin."""

import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import ConsoleUnreachable
from novnc_twisted.rfb import SCHEMES, SUBTYPES, HandshakeDriver, ServerInit, StartTLS, Write, login, response
from novnc_twisted.rfb.constants import LIMIT
from tests.support.untimed import untimed

from .drive import chunks_of, cuttings

V33, V37, V38 = b"RFB 003.003\n", b"RFB 003.007\n", b"RFB 003.008\n"
CHALLENGE = bytes(range(16))
OK = b"\0\0\0\0"
INIT = struct.pack(">HH16sI", 720, 400, bytes(16), 2) + b"vm"
NAMES = {257: "TLSNone", 258: "TLSVnc", 260: "X509None", 261: "X509Vnc"}
NONE, VNC = 260, 261


def types(*numbers):
    return bytes([len(numbers), *numbers])


def subtypes(*numbers):
    return bytes([len(numbers)]) + struct.pack(f">{len(numbers)}I", *numbers)


def plain(*numbers, version=V38, offered=(19,), ack=b"\1"):
    """Return what a server sends before TLS."""
    return version + types(*offered) + b"\0\2" + b"\0" + subtypes(*numbers) + ack


def converse(before, inside=b"", cuts=(), password=None, schemes=("vencrypt",), **more):
    """Log in to a server; return the driver, our bytes before and inside TLS, and the StartTLS step."""
    driver = HandshakeDriver(login(schemes, **more))
    driver.start()
    heard, step = [driver.to_send(), b""], None
    for secured, data in enumerate((before, inside)):
        for chunk in chunks_of(data, cuts):
            driver.receive(chunk)
            if driver.asks is not None:
                driver.answer(password)
            heard[secured] += driver.to_send()
        if driver.starts_tls is not None:
            step = driver.starts_tls
            driver.tls_started()
            heard[1] += driver.to_send()
    return driver, heard, step


class VeNCryptTests(SynchronousTestCase):
    def failure(self, *said, **more):
        driver, _, _ = converse(*said, **more)
        self.assertIs(ConsoleUnreachable, type(driver.error), driver.waiting_for)
        self.assertTrue(driver.error.detail.isprintable())
        return driver.error.detail

    @untimed
    @given(cuttings, st.sampled_from([V37, V38]))
    def test_without_a_password(self, cuts, version):
        """SecurityResult is always read, also in version 3.7."""
        driver, heard, step = converse(plain(NONE, version=version), OK + INIT, cuts)
        self.assertEqual([version + b"\x13" + b"\0\2" + struct.pack(">I", NONE), b"\1"], heard)
        self.assertEqual(StartTLS(verified=True), step)
        self.assertEqual((None, ServerInit), (driver.error, type(driver.result)))

    @untimed
    @given(cuttings)
    def test_with_a_password(self, cuts):
        """It is requested inside TLS."""
        driver, heard, step = converse(plain(VNC), CHALLENGE + OK + INIT, cuts, "secret")
        self.assertEqual(
            [V38 + b"\x13" + b"\0\2" + struct.pack(">I", VNC), response("secret", CHALLENGE) + b"\1"], heard
        )
        self.assertEqual((None, b"vm"), (driver.error, driver.result.name))
        self.assertEqual(StartTLS(verified=True), step)

    def test_refused_inside(self):
        """The detail contains the server's reason, if the version has one."""
        reason = struct.pack(">I", 5) + b"go on"
        self.assertEqual("authentication failed: go on", self.failure(plain(NONE), b"\0\0\0\1" + reason))
        self.assertEqual("authentication failed", self.failure(plain(NONE, version=V37), b"\0\0\0\1" + reason))
        self.assertEqual(
            "authentication failed: go on", self.failure(plain(VNC), CHALLENGE + b"\0\0\0\1" + reason, password="x")
        )

    def test_our_order_of_schemes(self):
        """The order of the server has no effect."""
        for schemes, offered, choice in (
            (("vencrypt", "none"), (1, 19), 19),
            (("vencrypt", "none"), (19, 2, 1), 19),
            (("vencrypt", "vnc", "none"), (2, 1), 2),
            (("none", "vencrypt"), (19, 1), 1),
            (("vnc", "vencrypt"), (19, 2, 1), 2),
            (("vencrypt",), (1, 2, 16, 30, 129, 255, 19), 19),
        ):
            _, heard, _ = converse(V38 + types(*offered), schemes=schemes)
            self.assertEqual(V38 + bytes([choice]), heard[0], (schemes, offered))

    def test_our_order_of_subtypes(self):
        """It decides the sub-type, and so whether the certificate is verified."""
        for wanted, offered, choice in (
            (("X509None", "X509Vnc"), (VNC, NONE), NONE),
            (("X509Vnc", "X509None"), (NONE, VNC), VNC),
            (("X509Vnc",), (NONE, 257, VNC), VNC),
            (("TLSNone", "X509None"), (NONE, 257), 257),
            (("X509None", "TLSNone"), (257, NONE), NONE),
            (("X509None", "TLSVnc"), (258, 257), 258),
        ):
            _, heard, step = converse(plain(*offered), vencrypt_subtypes=wanted)
            self.assertEqual(struct.pack(">I", choice), heard[0][-4:], (wanted, offered))
            self.assertEqual(StartTLS(verified=choice in (NONE, VNC)), step)

    def test_unknown_ones_are_skipped(self):
        """Unknown types and sub-types, and 256 (Plain), which needs no TLS."""
        driver, _, _ = converse(
            plain(0, 1, 256, 259, 262, 263, 264, 267, 0xFFFFFFFF, NONE, offered=(0, 16, 30, 113, 129, 255, 19)),
            OK + INIT,
        )
        self.assertIsNotNone(driver.result)
        self.assertIsNotNone(converse(plain(*range(6, 261)), OK + INIT)[0].result)

    def test_no_downgrade(self):
        """If only VeNCrypt is permitted, it must be offered.  If VeNCrypt fails, no other type is tried."""
        for offered in ((1,), (1, 2), (2, 16)):
            self.assertIn("no common security type", self.failure(V38 + types(*offered)))
        self.assertIn("offers 1 (NONE)", self.failure(V33 + b"\0\0\0\1"))
        self.assertIn("offers 19 (VENCRYPT)", self.failure(V33 + b"\0\0\0\x13"))
        for said in (plain(257, 258), plain(NONE, ack=b"\0"), V38 + types(19, 1) + b"\0\1"):
            driver, heard, step = converse(said, OK + INIT, schemes=("vencrypt", "none"))
            self.assertIsNotNone(driver.error)
            self.assertEqual((None, b""), (step, heard[1]))
            self.assertEqual(V38 + b"\x13", heard[0][:13])

    def test_no_subtype_in_common(self):
        """The detail names those of both sides."""
        self.assertEqual(
            "no common VeNCrypt sub-type: the VNC server offers 2 (VNC), 257 (TLS_NONE), 264 (TLS_SASL), 7; "
            "we may use X509None, X509Vnc",
            self.failure(plain(2, 257, 264, 7)),
        )
        self.assertIn("offers none; we may use TLSVnc", self.failure(plain(), vencrypt_subtypes=("TLSVnc",)))
        self.assertLess(len(self.failure(plain(*range(1000, 1255)))), 500)

    def test_versions(self):
        """0.2.  It is requested from a newer server; an older one is refused, because there is no common version."""
        before = V38 + types(19)
        for version in (b"\0\2", b"\0\3", b"\1\0", b"\xff\xff"):
            _, heard, _ = converse(before + version)
            self.assertEqual(b"\0\2", heard[0][-2:])
        for version in (b"\0\0", b"\0\1"):
            driver, heard, _ = converse(before + version)
            self.assertEqual(b"\0\0", heard[0][-2:])
            self.assertIn(f"speaks VeNCrypt 0.{version[1]}", driver.error.detail)
        self.assertIn("speaks VeNCrypt 1.0 and refuses 0.2", self.failure(before + b"\1\0\1"))

    def test_refused_subtype(self):
        """The answer 0 is a refusal, whatever bytes follow it."""
        for after in (b"", OK + INIT):
            self.assertEqual(
                "the VNC server refuses the VeNCrypt sub-type X509None, which it offered",
                self.failure(plain(NONE, ack=b"\0") + after),
            )

    @untimed
    @given(st.binary(min_size=1, max_size=80), cuttings)
    def test_injected_plaintext(self, injected, cuts):
        """Bytes in clear before TLS are refused, in any chunks (CVE-2011-0411 and similar ones)."""
        for said in (plain(NONE) + injected, plain(VNC) + injected):
            driver = HandshakeDriver(login(("vencrypt",)))
            driver.start()
            for chunk in chunks_of(said, cuts):
                driver.receive(chunk)
            self.assertIn("in clear where TLS begins", driver.error.detail)
            self.assertEqual((None, b""), (driver.starts_tls, driver.rest))
            driver.tls_started()
            self.assertIsNone(driver.result)

    def test_injected_at_once(self):
        """A server that sends all its bytes in one piece, before TLS, is refused."""
        self.assertIn(f"{len(OK + INIT)} bytes came in clear", self.failure(plain(NONE) + OK + INIT))

    def test_nothing_is_said_before_tls(self):
        """The password is not asked for, and ClientInit not sent, before TLS is up."""
        for number in (NONE, VNC):
            driver = HandshakeDriver(login(("vencrypt",)))
            driver.start()
            driver.receive(plain(number))
            driver.to_send()
            self.assertEqual((StartTLS(), None, False), (driver.starts_tls, driver.asks, driver.done))
            self.assertEqual("", driver.waiting_for)

    def test_flood_inside_while_the_password_is_fetched(self):
        """If the server sends too much, at most LIMIT bytes are held, and the handshake fails."""
        driver = HandshakeDriver(login(("vencrypt",)))
        driver.start()
        driver.receive(plain(VNC))
        driver.tls_started()
        driver.receive(CHALLENGE)
        for _ in range(100):
            driver.receive(b"A" * 4096)
            self.assertLessEqual(len(driver.rest), LIMIT)
        self.assertIsInstance(driver.error, ConsoleUnreachable)

    def test_mistakes_of_the_owner(self):
        """Starting TLS unasked, or answering when TLS should start, raises RuntimeError."""
        driver = HandshakeDriver(login(("vencrypt",)))
        driver.start()
        self.assertRaises(RuntimeError, driver.tls_started)
        driver.receive(plain(NONE))
        self.assertRaises(RuntimeError, driver.answer, None)

    def test_in_any_handshake(self):
        """StartTLS also works outside of VeNCrypt."""

        def handshake():
            yield StartTLS(verified=False)
            yield Write(b"hello")
            return 5

        driver = HandshakeDriver(handshake())
        driver.start()
        self.assertEqual(StartTLS(verified=False), driver.starts_tls)
        driver.tls_started()
        self.assertEqual((b"hello", 5, None), (driver.to_send(), driver.result, driver.starts_tls))

    def test_unknown_names_are_our_mistake(self):
        """login() raises, before the handshake begins."""
        for wanted in (("X509None", "X509Plain"), ("x509none",), ()):
            self.assertRaises(ValueError, login, ("vencrypt",), vencrypt_subtypes=wanted)
        login(("none",), vencrypt_subtypes=())

    def test_names(self):
        """They are the values of the options."""
        self.assertEqual(["none", "vnc", "vencrypt"], list(SCHEMES))
        self.assertEqual({NAMES[number]: number for number in NAMES}, {name: SUBTYPES[name][0] for name in SUBTYPES})

    @untimed
    @given(st.binary(max_size=300), st.binary(max_size=300), cuttings)
    def test_anything(self, before, inside, cuts):
        """After any bytes in any phase, the handshake waits, or has a result or an error."""
        for beginning in (V38 + types(19), V38 + types(19) + b"\0\2\0", plain(NONE), plain(VNC)):
            said = beginning if beginning[-1:] == b"\1" else beginning + before
            driver, _, _ = converse(said, inside, cuts, "secret")
            self.assertEqual(driver.done, driver.error is not None or driver.result is not None)
            if driver.error is not None:
                self.assertIs(ConsoleUnreachable, type(driver.error))
                self.assertTrue(driver.error.detail.isprintable())
