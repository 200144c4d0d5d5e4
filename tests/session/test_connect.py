"""Connecting, with a reactor that may report events of an older socket with the same descriptor number."""

import errno
import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.session.upstream import connect as module
from novnc_twisted.session.upstream.connect import connect


class Kernel:
    """A socket that is connecting until the test sets ``number`` to the result."""

    def __init__(self) -> None:
        self.number = self.after = errno.EALREADY
        self.closed = False

    def fileno(self) -> int:
        return 7

    def connect_ex(self, address: Any) -> int:
        number, self.number = self.number, self.number if self.number != errno.EINPROGRESS else self.after
        return number

    def getsockopt(self, *_: int) -> int:
        return self.number if self.number in (errno.ECONNREFUSED, errno.ECONNRESET) else 0

    def close(self) -> None:
        self.closed = True


class Reactor:
    """Records the writers."""

    def __init__(self) -> None:
        self.writers: set[Any] = set()

    def addWriter(self, writer: Any) -> None:
        self.writers.add(writer)

    def removeWriter(self, writer: Any) -> None:
        self.writers.discard(writer)


class Connecting(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor, self.kernel = Reactor(), Kernel()
        self.kernel.number = errno.EINPROGRESS
        self.patch(module.socket, "socket", lambda *_: self.kernel)
        self.connecting = Deferred.fromCoroutine(connect(self.reactor, socket.AF_INET, ("192.0.2.1", 5900)))  # type: ignore[arg-type]
        (self.writer,) = self.reactor.writers

    def test_connected(self) -> None:
        self.kernel.number = errno.EISCONN
        self.writer.doWrite()
        self.assertIs(self.successResultOf(self.connecting), self.kernel)
        self.assertEqual(self.reactor.writers, set())

    def test_connected_before_the_reactor_is_asked(self) -> None:
        self.kernel.number = errno.EINPROGRESS
        self.kernel.after = 0
        connecting = Deferred.fromCoroutine(connect(self.reactor, socket.AF_INET, ("127.0.0.1", 5900)))  # type: ignore[arg-type]
        self.assertIs(self.successResultOf(connecting), self.kernel)
        self.connecting.addErrback(lambda _: None)
        self.connecting.cancel()

    def test_refused(self) -> None:
        self.kernel.number = errno.ECONNREFUSED
        self.writer.connectionLost(Failure(ConnectionLost()))
        self.failureResultOf(self.connecting, ConnectionRefusedError)
        self.assertTrue(self.kernel.closed)

    def test_events_of_an_older_socket(self) -> None:
        """They do not end the wait for the new socket, which has the same number."""
        for report in (
            self.writer.doRead,
            self.writer.doWrite,
            lambda: self.writer.connectionLost(Failure(ConnectionLost())),
        ):
            report()
            self.assertNoResult(self.connecting)
            self.assertEqual(self.reactor.writers, {self.writer})
        self.test_connected()

    def test_read_and_written_in_one_round(self) -> None:
        """The second event must not remove a writer that has the same number by then."""
        self.kernel.number = errno.EISCONN
        self.writer.doRead()
        self.reactor.writers.add(self.writer)  # instead of the transport: the reactor knows both by the same number
        self.writer.doWrite()
        self.assertEqual(self.reactor.writers, {self.writer})
        self.successResultOf(self.connecting)

    def test_cancelled(self) -> None:
        self.connecting.cancel()
        self.failureResultOf(self.connecting)
        self.assertEqual(self.reactor.writers, set())
        self.assertTrue(self.kernel.closed)
