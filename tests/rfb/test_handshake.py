"""HandshakeDriver: the order of steps, limits, and calls at the wrong time."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import ConsoleUnreachable, ProtocolViolation, ServiceUnavailable
from novnc_twisted.rfb import Ask, Flooded, HandshakeDriver, Need, Write
from novnc_twisted.rfb.handshake import preceded
from tests.support.untimed import untimed

from .drive import converse, cuttings, outcome


def echo_twice():
    """A small handshake with writes, needs and a question."""
    yield Write(b"hello ")
    first = yield Need(3, "the first three")
    name = yield Ask("name")
    yield Write(first + name)
    nothing = yield Need(0)
    second = yield Need(2, "the last two")
    return nothing + second


class HandshakeDriverTests(SynchronousTestCase):
    def test_sequence(self):
        """Writes, needs and questions come in their order; unused bytes are in ``rest``."""
        driver = HandshakeDriver(echo_twice())
        self.assertEqual(b"", driver.to_send())
        driver.start()
        driver.start()
        self.assertEqual((b"hello ", "the first three"), (driver.to_send(), driver.waiting_for))
        driver.receive(b"ab")
        self.assertIsNone(driver.asks)
        driver.receive(b"cde")
        self.assertEqual((Ask("name"), ""), (driver.asks, driver.waiting_for))
        self.assertFalse(driver.done)
        driver.receive(b"fg")
        driver.answer(b"!")
        self.assertEqual((b"abc!", b"de", b"fg"), (driver.to_send(), driver.result, driver.rest))
        self.assertEqual((True, None, None), (driver.done, driver.error, driver.asks))
        driver.receive(b"h")
        self.assertEqual(b"fgh", driver.rest)

    @untimed
    @given(st.binary(max_size=12), cuttings)
    def test_chunks_do_not_matter(self, data, cuts):
        self.assertEqual(outcome(echo_twice(), data, (), b"x"), outcome(echo_twice(), data, cuts, b"x"))

    def test_preceded(self):
        """The preface and the first message are sent together; the rest of the handshake is as usual."""
        driver = HandshakeDriver(preceded(b"200 OK\r\n", echo_twice()))
        driver.start()
        self.assertEqual(b"200 OK\r\nhello ", driver.to_send())
        for preface in (b"", b"200 OK\r\n"):
            *ended, sent = outcome(echo_twice(), b"abcde", (), b"x")
            self.assertEqual((*ended, preface + sent), outcome(preceded(preface, echo_twice()), b"abcde", (), b"x"))

    def test_before_the_start(self):
        """Bytes that arrive before start() are held."""
        driver = HandshakeDriver(echo_twice())
        driver.receive(b"abcde")
        driver.start()
        driver.answer(b"")
        self.assertEqual(b"de", driver.result)

    def test_answer_unasked(self):
        """An answer without a question raises RuntimeError; an answer after the end is ignored."""
        driver = HandshakeDriver(echo_twice())
        driver.start()
        self.assertRaises(RuntimeError, driver.answer, b"")
        driver.receive(b"abcde")
        driver.answer(b"")
        driver.answer(b"late")
        self.assertEqual(b"de", driver.result)

    def test_bound_before_the_start_and_at_the_end(self):
        """Bytes before the start and after the end are held up to the limit; more are a ProtocolViolation."""
        driver = HandshakeDriver(echo_twice(), limit=8)
        driver.receive(b"x" * 9)
        driver.start()
        self.assertIsInstance(driver.error, ProtocolViolation)
        self.assertEqual((b"", b""), (driver.rest, driver.to_send()))
        driver, _ = converse(echo_twice(), b"abcde", password=b"", limit=8)
        driver.receive(b"x" * 8)
        self.assertEqual((None, b"x" * 8), (driver.error, driver.rest))
        driver.receive(b"y")
        self.assertIsInstance(driver.error, ProtocolViolation)
        self.assertEqual((True, None, b""), (driver.done, driver.result, driver.rest))
        driver.receive(b"z" * 100)
        self.assertEqual(b"", driver.rest)

    def test_bound_at_a_question(self):
        """While a question is open, the handshake itself receives the error; a later answer has no effect."""

        def handshake():
            try:
                yield Ask("name")
            except Flooded:
                raise ConsoleUnreachable("flooded") from None

        driver = HandshakeDriver(handshake(), limit=8)
        driver.start()
        driver.receive(b"x" * 8)
        self.assertIsNone(driver.error)
        driver.receive(b"x")
        self.assertEqual("flooded", driver.error.detail)
        self.assertIsNone(driver.asks)
        driver.answer("late")

    def test_bound_of_a_need(self):
        """A handshake that needs more bytes than the limit fails."""

        def handshake():
            yield Need(9)

        driver, _ = converse(handshake(), b"", limit=8)
        self.assertIsInstance(driver.error, ProtocolViolation)
        self.assertEqual("9 bytes announced", driver.error.detail)

    def test_our_own_mistakes_are_not_hidden(self):
        """An exception that is not a refusal goes to the caller, and the handshake is not a success afterwards."""

        def handshake():
            yield Need(1)
            raise ZeroDivisionError

        driver = HandshakeDriver(handshake())
        driver.start()
        self.assertRaises(ZeroDivisionError, driver.receive, b"x")
        driver.receive(b"x")
        self.assertIsInstance(driver.error, ServiceUnavailable)
