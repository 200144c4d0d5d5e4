"""The driver of talks: order, bounds, and what it does when it is used at the wrong time."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import ConsoleUnreachable, ProtocolViolation, ServiceUnavailable
from novnc_twisted.rfb import Ask, Conversation, Flooded, Need, Write

from .drive import converse, cuttings, outcome, untimed


def echo_twice():
    """A small talk with everything in it."""
    yield Write(b"hello ")
    first = yield Need(3, "the first three")
    name = yield Ask("name")
    yield Write(first + name)
    nothing = yield Need(0)
    second = yield Need(2, "the last two")
    return nothing + second


class ConversationTests(SynchronousTestCase):
    def test_sequence(self):
        """Writes, needs and questions come in their order; what is over is the rest."""
        conversation = Conversation(echo_twice())
        self.assertEqual(b"", conversation.to_send())
        conversation.start()
        conversation.start()
        self.assertEqual((b"hello ", "the first three"), (conversation.to_send(), conversation.waiting_for))
        conversation.receive(b"ab")
        self.assertIsNone(conversation.asks)
        conversation.receive(b"cde")
        self.assertEqual((Ask("name"), ""), (conversation.asks, conversation.waiting_for))
        self.assertFalse(conversation.done)
        conversation.receive(b"fg")
        conversation.answer(b"!")
        self.assertEqual((b"abc!", b"de", b"fg"), (conversation.to_send(), conversation.result, conversation.rest))
        self.assertEqual((True, None, None), (conversation.done, conversation.error, conversation.asks))
        conversation.receive(b"h")
        self.assertEqual(b"fgh", conversation.rest)

    @untimed
    @given(st.binary(max_size=12), cuttings)
    def test_chunks_do_not_matter(self, data, cuts):
        """However the bytes are cut, the same comes of them."""
        self.assertEqual(outcome(echo_twice(), data, (), b"x"), outcome(echo_twice(), data, cuts, b"x"))

    def test_before_the_start(self):
        """Bytes that come early are held."""
        conversation = Conversation(echo_twice())
        conversation.receive(b"abcde")
        conversation.start()
        conversation.answer(b"")
        self.assertEqual(b"de", conversation.result)

    def test_answer_unasked(self):
        """That is our mistake, not the peer's; an answer that comes after the end is none."""
        conversation = Conversation(echo_twice())
        conversation.start()
        self.assertRaises(RuntimeError, conversation.answer, b"")
        conversation.receive(b"abcde")
        conversation.answer(b"")
        conversation.answer(b"late")
        self.assertEqual(b"de", conversation.result)

    def test_bound_before_the_start_and_at_the_end(self):
        """Bytes that nobody asked for are held up to the limit, then it is the client's fault."""
        conversation = Conversation(echo_twice(), limit=8)
        conversation.receive(b"x" * 9)
        conversation.start()
        self.assertIsInstance(conversation.error, ProtocolViolation)
        self.assertEqual((b"", b""), (conversation.rest, conversation.to_send()))
        conversation, _ = converse(echo_twice(), b"abcde", password=b"", limit=8)
        conversation.receive(b"x" * 8)
        self.assertEqual((None, b"x" * 8), (conversation.error, conversation.rest))
        conversation.receive(b"y")
        self.assertIsInstance(conversation.error, ProtocolViolation)
        self.assertEqual((True, None, b""), (conversation.done, conversation.result, conversation.rest))
        conversation.receive(b"z" * 100)
        self.assertEqual(b"", conversation.rest)

    def test_bound_at_a_question(self):
        """While a question is open the talk itself is told; an answer that comes later does nothing."""

        def talk():
            try:
                yield Ask("name")
            except Flooded:
                raise ConsoleUnreachable("told") from None

        conversation = Conversation(talk(), limit=8)
        conversation.start()
        conversation.receive(b"x" * 8)
        self.assertIsNone(conversation.error)
        conversation.receive(b"x")
        self.assertEqual("told", conversation.error.detail)
        self.assertIsNone(conversation.asks)
        conversation.answer("late")

    def test_bound_of_a_need(self):
        """A talk that would wait for more than is held is told so, too."""

        def talk():
            yield Need(9)

        conversation, _ = converse(talk(), b"", limit=8)
        self.assertIsInstance(conversation.error, ProtocolViolation)
        self.assertEqual("9 bytes announced", conversation.error.detail)

    def test_our_own_mistakes_are_not_hidden(self):
        """An exception that is no refusal goes to the caller, and the talk is no success afterwards."""

        def talk():
            yield Need(1)
            raise ZeroDivisionError

        conversation = Conversation(talk())
        conversation.start()
        self.assertRaises(ZeroDivisionError, conversation.receive, b"x")
        conversation.receive(b"x")
        self.assertIsInstance(conversation.error, ServiceUnavailable)
