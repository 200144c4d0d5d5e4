"""Our handshake with VNC servers: all bytes of each form (RFC 6143), and hostile servers."""

import struct
from unittest import mock

from cryptography.exceptions import UnsupportedAlgorithm
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import ConsoleUnreachable
from novnc_twisted.rfb import Ask, HandshakeDriver, ServerInit, login, response
from novnc_twisted.rfb.constants import LIMIT
from tests.support.untimed import untimed

from .drive import converse, cuttings, outcome

CHALLENGE = bytes(range(16))
FORMAT = struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
INIT = struct.pack(">HH", 720, 400) + FORMAT + b"\0\0\0\7QEMU (x"
SCREEN = ServerInit(720, 400, FORMAT, b"QEMU (x")
OK = b"\0\0\0\0"
V33, V37, V38 = b"RFB 003.003\n", b"RFB 003.007\n", b"RFB 003.008\n"
ANSWER = response("secret", CHALLENGE)

GOOD = [
    # the server's version, its bytes after the version, our bytes
    (V38, b"\1\1" + OK, V38 + b"\1\1"),
    (V38, b"\1\2" + CHALLENGE + OK, V38 + b"\2" + ANSWER + b"\1"),
    (V37, b"\1\1", V37 + b"\1\1"),
    (V37, b"\1\2" + CHALLENGE + OK, V37 + b"\2" + ANSWER + b"\1"),
    (V33, b"\0\0\0\1", V33 + b"\1"),
    (V33, b"\0\0\0\2" + CHALLENGE + OK, V33 + ANSWER + b"\1"),
    (V38, b"\5\x10\x13\xff\2\1" + OK, V38 + b"\1\1"),  # unknown types, Tight and VeNCrypt are skipped
]


def failure(test, data, password="secret", **arguments):
    """Return the detail of the refusal that these bytes cause."""
    driver, _ = converse(login(**arguments), data, password=password)
    test.assertIsInstance(driver.error, ConsoleUnreachable)
    test.assertTrue(driver.done)
    test.assertIsNone(driver.result)
    test.assertTrue(driver.error.detail.isprintable())
    return driver.error.detail


class HandshakeTests(SynchronousTestCase):
    def test_every_form(self):
        """Each version with each type that it can have; bytes after ServerInit are in ``rest``."""
        for version, said, expected in GOOD:
            driver, sent = converse(login(), version + said + INIT + b"\2", password="secret")
            self.assertEqual((None, SCREEN), (driver.error, driver.result), (version, said))
            self.assertEqual((expected, b"\2"), (sent, driver.rest))

    @untimed
    @given(st.sampled_from(GOOD), cuttings)
    def test_chunks_do_not_matter(self, case, cuts):
        data = case[0] + case[1] + INIT + b"rest"
        self.assertEqual(outcome(login(), data, (), "secret"), outcome(login(), data, cuts, "secret"))

    @untimed
    @given(st.sampled_from(GOOD), st.integers(0, 200))
    def test_cut_short(self, case, length):
        """If the server stops at any byte, the handshake waits, and names what it waits for."""
        data = (case[0] + case[1] + INIT)[:-1][:length]
        driver, _ = converse(login(), data, password="secret")
        self.assertEqual((False, None, None), (driver.done, driver.result, driver.error))
        self.assertNotEqual("", driver.waiting_for)

    def test_versions(self):
        """3.3 to 3.6 count as 3.3, and 3.8, 3.889, 3.9, 4.x and 5.x as 3.8; unknown versions are refused."""
        counted = {
            V33: ["003.003", "003.004", "003.005", "003.006"],
            V37: ["003.007"],
            V38: ["003.008", "003.889", "003.009", "004.000", "004.001", "004.123", "005.000", "005.009"],
        }
        for version, names in counted.items():
            for name in names:
                self.assertEqual(version, converse(login(), f"RFB {name}\n".encode())[1], name)
        for name in ("000.000", "003.000", "003.002", "003.010", "003.888", "002.008", "006.000", "999.999"):
            self.assertIn("is unknown", failure(self, f"RFB {name}\n".encode()))

    def test_not_rfb(self):
        """A server of another protocol is refused, even if it sends fewer bytes than a version has."""
        for greeting in (
            b"SSH-",
            b"220 ",
            b"HTTP/1.1 400 Bad Request\r\n",
            b"\0\0\0\0",
            b"RFB\n",
            b"RFB 003 008\n",
            b"RFB 3.8\n    ",
        ):
            driver, sent = converse(login(), greeting)
            self.assertIsInstance(driver.error, ConsoleUnreachable, greeting)
            self.assertIn("not an RFB server", driver.error.detail)
            self.assertEqual(b"", sent)
        self.assertIn("not an RFB server", failure(self, "RFB ٠٠٣.٠٠٨\n".encode()[:12]))

    def test_our_order_of_schemes(self):
        """The first of our types that the server lists is chosen; the order of the server has no effect."""
        for schemes, offered, choice in (
            (("none", "vnc"), b"\2\2\1", b"\1"),
            (("vnc", "none"), b"\2\1\2", b"\2"),
            (("vnc",), b"\2\1\2", b"\2"),
            (("vnc", "none"), b"\1\1", b"\1"),
        ):
            self.assertEqual(V38 + choice, converse(login(schemes), V38 + offered)[1][:13], (schemes, offered))

    def test_none_in_common(self):
        """The detail names the offered types, also unknown ones.  Tight is never chosen."""
        detail = failure(self, V38 + b"\3\x10\x13\xfe")
        self.assertEqual(
            "no common security type: the VNC server offers 16 (TIGHT), 19 (VENCRYPT), 254; we may use none, vnc",
            detail,
        )
        self.assertIn("offers 1 (NONE); we may use vnc", failure(self, V38 + b"\1\1", schemes=("vnc",)))
        self.assertIn("offers 1 (NONE)", failure(self, V33 + b"\0\0\0\1", schemes=("vnc",)))
        self.assertIn("offers 16 (TIGHT)", failure(self, V33 + b"\0\0\0\x10"))
        self.assertIn("offers 4294967295", failure(self, V33 + b"\xff\xff\xff\xff"))
        self.assertLess(len(failure(self, V38 + b"\xff" + bytes(range(100, 255)) + b"\7" * 100)), 1000)
        self.assertIn("offers 0 (INVALID)", failure(self, V38 + b"\1\0"))

    def test_unknown_scheme_is_our_mistake(self):
        """login() raises, before the handshake begins."""
        self.assertRaises(ValueError, login, ("none", "tight"))

    def test_shared(self):
        """ClientInit leaves other viewers connected, unless exclusive access is requested."""
        self.assertEqual(b"\1", converse(login(), V38 + b"\1\1" + OK)[1][-1:])
        self.assertEqual(b"\0", converse(login(shared=False), V38 + b"\1\1" + OK)[1][-1:])


class PasswordTests(SynchronousTestCase):
    def test_known_answer(self):
        """DES with reversed key bits, as every VNC client does it."""
        self.assertEqual("b866924125c8eebb9debc1db61c538e2", response("password", CHALLENGE).hex())
        self.assertEqual(response("password", CHALLENGE), response("password and more", CHALLENGE))
        self.assertNotEqual(response("passwor", CHALLENGE), response("password", CHALLENGE))
        self.assertEqual(16, len(response("pässwörd" * 9, CHALLENGE)))

    def test_asked_only_where_it_is_needed(self):
        """The password is requested when the whole challenge has arrived, not earlier."""
        driver = HandshakeDriver(login())
        driver.start()
        driver.receive(V38 + b"\1\2" + CHALLENGE[:15])
        self.assertIsNone(driver.asks)
        driver.receive(CHALLENGE[15:])
        self.assertEqual(Ask("password"), driver.asks)
        self.assertEqual(V38 + b"\2", driver.to_send())

    def test_no_password(self):
        """A missing or empty password (CVE-2016-5008) ends the handshake without an answer to the challenge."""
        for password in (None, "", "\0", "\0secret"):
            driver, sent = converse(login(), V38 + b"\1\2" + CHALLENGE, password=password)
            self.assertEqual("the VNC server wants a password, and there is none for it", driver.error.detail, password)
            self.assertEqual(V38 + b"\2", sent)

    def test_a_machine_without_des(self):
        """If OpenSSL refuses DES, the detail says so."""
        with mock.patch("novnc_twisted.rfb.security.vnc.response", side_effect=UnsupportedAlgorithm("no")):
            self.assertIn("refuses DES", failure(self, V38 + b"\1\2" + CHALLENGE))

    def test_flood_while_the_password_is_fetched(self):
        """If the server sends too much meanwhile, the error is the server's, and no response is sent."""
        driver = HandshakeDriver(login())
        driver.start()
        driver.receive(V38 + b"\1\2" + CHALLENGE)
        for _ in range(100):
            driver.receive(b"A" * 4096)
            self.assertLessEqual(len(driver.rest), LIMIT)
        self.assertIsInstance(driver.error, ConsoleUnreachable)
        driver.answer("secret")
        self.assertNotIn(ANSWER, driver.to_send())

    def test_no_repr_shows_the_password(self):
        """Neither that of the driver nor those of its attributes."""
        driver, _ = converse(login(), V38 + b"\1\2" + CHALLENGE, password="hunter22")
        self.assertNotIn("hunter22", repr((driver, vars(driver))))


class RefusalTests(SynchronousTestCase):
    def test_reasons(self):
        """The server's reason is in the detail."""
        reason = b"\0\0\0\5go on"
        self.assertEqual("the VNC server refuses us: go on", failure(self, V38 + b"\0" + reason))
        self.assertEqual("the VNC server refuses us: go on", failure(self, V37 + b"\0" + reason))
        self.assertEqual("the VNC server refuses us: go on", failure(self, V33 + OK + reason))
        self.assertEqual("authentication failed: go on", failure(self, V38 + b"\1\1\0\0\0\1" + reason))
        self.assertEqual("too many failed attempts: go on", failure(self, V38 + b"\1\1\0\0\0\2" + reason))
        self.assertEqual("authentication failed: ", failure(self, V38 + b"\1\1\0\0\0\1" + OK))

    def test_before_3_8_a_result_has_no_reason(self):
        """So the handshake does not wait for one."""
        for version, kind in ((V37, b"\1\2"), (V33, b"\0\0\0\2")):
            self.assertEqual("authentication failed", failure(self, version + kind + CHALLENGE + b"\0\0\0\1"))
            self.assertEqual("too many failed attempts", failure(self, version + kind + CHALLENGE + b"\0\0\0\2"))

    def test_unknown_result(self):
        """The handshake does not wait for a reason."""
        self.assertIn("SecurityResult 4294967295", failure(self, V38 + b"\1\1\xff\xff\xff\xff"))

    def test_reason_of_four_gigabytes(self):
        """Only its beginning is read, in each phase that has a reason; memory is bounded (nova bug 2155052)."""
        for before in (V38 + b"\0", V37 + b"\0", V33 + OK, V38 + b"\1\1\0\0\0\1", V38 + b"\1\1\0\0\0\2"):
            driver, _ = converse(login(), before + b"\xff\xff\xff\xff")
            for _ in range(50):
                driver.receive(b"A" * 1000)
                self.assertLessEqual(len(driver.rest), 1024)
            self.assertIn("A" * 400, driver.error.detail)
            self.assertLess(len(driver.error.detail), 1100)

    def test_reasons_are_made_printable(self):
        """No line break, terminal sequence, bidirectional override, incomplete character or NUL reaches a log."""
        reason = "a\r\nb\x1b[31mc\u202ed\u2028é".encode() + b"\xff\xc3\0\0"
        detail = failure(self, V38 + b"\0" + struct.pack(">I", len(reason)) + reason)
        self.assertEqual("the VNC server refuses us: a??b?[31mc?d?é\ufffd\ufffd", detail)


class ServerInitTests(SynchronousTestCase):
    def test_encode(self):
        """The message is unchanged, or has another name."""
        self.assertEqual(INIT, SCREEN.encode())
        renamed = SCREEN.renamed("Größe")
        self.assertEqual("Größe".encode(), renamed.name)
        self.assertEqual((720, 400, FORMAT), (renamed.width, renamed.height, renamed.pixel_format))
        self.assertEqual(b"\0\0\0\7Gr\xc3\xb6\xc3\x9fe", renamed.encode()[20:])

    def test_a_long_name_is_cut_at_a_character(self):
        """It has at most LIMIT bytes of valid UTF-8; a character without UTF-8 becomes a question mark."""
        self.assertEqual("é" * (LIMIT // 2), SCREEN.renamed("é" * LIMIT).name.decode())
        self.assertEqual(LIMIT - 1, len(SCREEN.renamed("x" + "é" * LIMIT).name))
        self.assertEqual(b"?", SCREEN.renamed("\udc80").name)

    def test_names_of_any_kind(self):
        """Empty names, the longest ones, and bytes that are not text are accepted."""
        for name in (b"", b"\xff\0\n<img src=x onerror=alert(1)>", b"n" * LIMIT):
            data = V38 + b"\1\1" + OK + struct.pack(">HH16sI", 1, 1, FORMAT, len(name)) + name
            self.assertEqual(name, converse(login(), data)[0].result.name)

    def test_invalid_sizes(self):
        """They are refused at the head, before the name arrives."""
        head = V38 + b"\1\1" + OK
        for width, height in ((0, 400), (720, 0), (65535, 400), (720, 65535), (32768, 1)):
            detail = failure(self, head + struct.pack(">HH16sI", width, height, FORMAT, 0))
            self.assertIn(f"{width} x {height}", detail)
        for length in (LIMIT + 1, 0x7FFFFFFF, 0xFFFFFFFF):
            self.assertIn(
                f"a name of {length} bytes", failure(self, head + struct.pack(">HH16sI", 1, 1, FORMAT, length))
            )


class FuzzTests(SynchronousTestCase):
    @untimed
    @given(st.binary(max_size=400), cuttings, st.sampled_from([None, "", "secret"]))
    @example(b"", [], None)
    def test_anything(self, data, cuts, password):
        """After arbitrary bytes in any chunks, the handshake waits, or has a result or an error."""
        for beginning in (b"", V38, V37, V33, V38 + b"\1\1", V38 + b"\1\1" + OK, V38 + b"\0", V38 + b"\1\2"):
            driver, _ = converse(login(), beginning + data, cuts, password)
            self.assertEqual(driver.done, driver.error is not None or driver.result is not None)
            if driver.error is not None:
                self.assertIs(ConsoleUnreachable, type(driver.error))
                self.assertTrue(driver.error.detail.isprintable())
            self.assertEqual(
                outcome(login(), beginning + data, (), password), outcome(login(), beginning + data, cuts, password)
            )
