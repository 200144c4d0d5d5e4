"""The protocol of one connection: replies in order, limits, errors, and its loss."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.messaging.redis.protocol import ConnectionGone, RedisError, RedisProtocol


class ProtocolTests(SynchronousTestCase):
    """A protocol on a transport in memory."""

    def setUp(self) -> None:
        self.transport = StringTransport()
        self.protocol: Any = RedisProtocol()
        self.protocol.makeConnection(self.transport)

    def command(self, *words: str | int) -> Deferred[Any]:
        return self.protocol.command(*words)  # type: ignore[no-any-return]

    def lose(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def test_a_command(self) -> None:
        reply = self.command("SET", "ü", 7)
        self.assertEqual(self.transport.value(), b"*3\r\n$3\r\nSET\r\n$2\r\n\xc3\xbc\r\n$1\r\n7\r\n")
        self.assertFalse(self.protocol.answered)
        self.protocol.dataReceived(b"+OK\r\n")
        self.assertEqual(self.successResultOf(reply), "OK")
        self.assertTrue(self.protocol.answered)

    def test_kinds_of_replies(self) -> None:
        """Text stays text: a token of digits is not a number."""
        for data, value in (
            (b"$4\r\n0123\r\n", "0123"),
            (b"$3\r\n1.5\r\n", "1.5"),
            (b"$2\r\n\xff\xfe\r\n", b"\xff\xfe"),
            (b"$-1\r\n", None),
            (b":7\r\n", 7),
            (b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n", ["a", [1]]),
            (b"*-1\r\n", None),
        ):
            reply = self.command("GET", "x")
            self.protocol.dataReceived(data)
            self.assertEqual(self.successResultOf(reply), value)

    def test_any_pieces(self) -> None:
        first, second = self.command("GET", "a"), self.command("GET", "b")
        for byte in b"$1\r\nx\r\n$1\r\ny\r\n":
            self.protocol.dataReceived(bytes((byte,)))
        self.assertEqual((self.successResultOf(first), self.successResultOf(second)), ("x", "y"))

    def test_a_cancelled_command_keeps_the_order(self) -> None:
        first, second = self.command("GET", "a"), self.command("GET", "b")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.protocol.dataReceived(b"$1\r\nx\r\n$1\r\ny\r\n")
        self.assertEqual(self.successResultOf(second), "y")

    def test_an_error_keeps_its_code_only(self) -> None:
        reply = self.command("AUTH", "hunter2")
        self.protocol.dataReceived(b"-WRONGPASS invalid password hunter2\r\n")
        error = self.failureResultOf(reply, RedisError).value
        self.assertEqual((error.code, str(error), error.__cause__), ("WRONGPASS", "WRONGPASS", None))

    def test_garbage_ends_it(self) -> None:
        """It also ends if hiredis can parse the bytes, but not represent them: a map with a list as a key."""
        for garbage in (b"SSH-2.0-OpenSSH_9.2p1\r\n", b"%1\r\n*0\r\n:1\r\n", b"*1\r\n%1\r\n%0\r\n:1\r\n"):
            self.setUp()
            reply = self.command("PING")
            self.protocol.dataReceived(garbage)
            self.assertTrue(self.protocol.garbled)
            self.assertTrue(self.transport.disconnected)
            self.lose()
            self.failureResultOf(reply, ConnectionGone)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_reply_that_is_too_long_ends_it(self) -> None:
        self.protocol.max_pending = 100
        reply = self.command("GET", "a")
        self.protocol.dataReceived(b"$1000\r\n" + b"x" * 93)
        self.assertFalse(self.transport.disconnected)
        self.protocol.dataReceived(b"x")
        self.assertTrue(self.protocol.too_long and self.transport.disconnected)
        self.lose()
        self.failureResultOf(reply, ConnectionGone)

    def test_many_short_replies_are_not_too_long(self) -> None:
        self.protocol.max_pending = 100
        for _ in range(50):
            reply = self.command("GET", "a")
            self.protocol.dataReceived(b"$20\r\n" + b"x" * 20 + b"\r\n")
            self.successResultOf(reply)
        self.assertFalse(self.protocol.too_long)

    def test_lost(self) -> None:
        """``lost`` fires before the commands fail, because their callers may ask for a new connection."""
        order: list[str] = []
        self.protocol.lost.addCallback(lambda reason: order.append(type(reason).__name__))
        reply = self.command("GET", "a")
        reply.addErrback(lambda failure: order.append(failure.type.__name__))
        self.lose()
        self.assertEqual(order, ["ConnectionDone", "ConnectionGone"])
        self.failureResultOf(self.command("GET", "b"), ConnectionGone)
        self.assertFalse(self.protocol.answered)
