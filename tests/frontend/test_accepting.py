"""The acceptor, also if the process or the system has no file descriptor left."""

import errno
import socket
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.frontend import Acceptor
from novnc_twisted.frontend.accepting import LOG_INTERVAL, PAUSE
from tests.support.logged import Logged


class Listener:
    """A listening socket whose ``accept`` does what the test sets."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)

    def accept(self) -> Any:
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, int):
            raise OSError(outcome, "whatever")
        return outcome


class Transport:
    def __init__(self, accepted: Any, protocol: Any, address: Any, *_: Any) -> None:
        self.accepted, self.protocol, self.address = accepted, protocol, address
        self.aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


class Port:
    """The part of Twisted's port that the acceptor uses."""

    connected, sessionno, transport = True, 0, Transport

    def __init__(self, listener: Listener, factory: Factory) -> None:
        self.socket, self.factory = listener, factory

    def stopReading(self) -> None: ...

    def stopListening(self) -> None: ...

    def getHost(self) -> Any:
        return type("Address", (), {"port": 6080})

    def _buildAddr(self, address: Any) -> Any:
        return address


class Reactor(Clock):
    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self.listener = listener
        self.readers: list[Any] = []

    def adoptStreamPort(self, _number: int, _family: int, factory: Factory) -> Port:
        return Port(self.listener, factory)

    def addReader(self, reader: Any) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers.remove(reader)


class Accepted:
    closed = False

    def close(self) -> None:
        self.closed = True


class AcceptorTests(SynchronousTestCase):
    def accept(self, *outcomes: Any, build: Any = None) -> Acceptor:
        self.logged = Logged(self)
        self.reactor = Reactor(Listener(*outcomes))
        self.made: list[Protocol] = []

        def make(_address: object) -> Protocol:
            self.made.append(Protocol())
            return self.made[-1]

        factory = Factory()
        factory.buildProtocol = build or make  # type: ignore[method-assign]
        with socket.socket() as listener:
            return Acceptor(self.reactor, listener, factory)

    def test_no_descriptor_is_left(self) -> None:
        """The acceptor pauses after each attempt, and logs one line a minute."""
        for number, hint in (
            (errno.EMFILE, "LimitNOFILE"),
            (errno.ENFILE, "fs.file-max"),
            (errno.ENOBUFS, ""),
            (errno.ENOMEM, ""),
        ):
            acceptor = self.accept(number)
            for _ in range(int(LOG_INTERVAL / PAUSE)):
                self.assertEqual(self.reactor.readers, [acceptor])
                acceptor.doRead()
                self.assertEqual(self.reactor.readers, [], "no pause")
                self.reactor.advance(PAUSE)
            (line,) = self.logged.lines("can't accept connections on port 6080")
            self.assertIn(hint, line)
            acceptor.doRead()
            self.assertEqual(len(self.logged.lines("can't accept")), 2)
            self.assertEqual(self.logged.lines("Traceback"), [])
            acceptor.stop()
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_it_goes_on(self) -> None:
        """After the pause, a waiting connection is accepted."""
        acceptor = self.accept(errno.EMFILE, (Accepted(), ("192.0.2.1", 4711)))
        acceptor.doRead()
        self.reactor.advance(PAUSE)
        acceptor.doRead()
        self.assertEqual(self.made[0].transport.address, ("192.0.2.1", 4711))
        acceptor.stop()
        self.assertEqual(self.reactor.readers, [])

    def test_clients_on_a_unix_socket(self) -> None:
        """Their address is a text or bytes, and a text of length 4 is not taken for the 4-tuple of an IPv6 address."""
        for name in ("", "abcd", b"\0abc"):
            self.accept((Accepted(), name)).doRead()
            self.assertEqual([one.transport.address for one in self.made], [name])

    def test_a_client_that_left(self) -> None:
        """No log line and no pause, also if another worker took the connection."""
        for number in (errno.EAGAIN, errno.ECONNABORTED, errno.EPERM, errno.EPROTO, errno.ENETDOWN):
            acceptor = self.accept(number)
            acceptor.doRead()
            self.assertEqual((self.reactor.readers, self.logged.lines()), ([acceptor], []))

    def test_refused_by_the_factory(self) -> None:
        accepted = Accepted()
        self.accept((accepted, ("192.0.2.1", 4711)), build=lambda _: None).doRead()
        self.assertTrue(accepted.closed)

    def test_a_mistake_of_the_factory(self) -> None:
        """It is logged, and the acceptor continues."""

        def mistake(_address: object) -> Protocol:
            raise ZeroDivisionError

        accepted = Accepted()
        acceptor = self.accept((accepted, ("192.0.2.1", 4711)), build=mistake)
        acceptor.doRead()
        self.assertTrue(accepted.closed)
        self.assertEqual(self.reactor.readers, [acceptor])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_mistake_of_the_protocol(self) -> None:
        """Its transport is aborted, so that the reactor forgets the descriptor."""
        transports: list[Transport] = []

        class Mistaken(Protocol):
            def makeConnection(self, transport: Any) -> None:
                transports.append(transport)
                raise ZeroDivisionError

        self.accept((Accepted(), ("192.0.2.1", 4711)), build=lambda _: Mistaken()).doRead()
        self.assertTrue(transports[0].aborted)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_mistake_of_the_transport(self) -> None:
        """The protocol's connectionLost() is called; such an error is that epoll has no room (ENOSPC)."""
        lost: list[Any] = []

        class Losing(Protocol):
            def connectionLost(self, reason: Any = None) -> None:
                lost.append(reason.value)

        def broken(*_: object) -> None:
            raise OSError(errno.ENOSPC, "no room")

        accepted = Accepted()
        self.patch(Port, "transport", broken)
        self.accept((accepted, ("192.0.2.1", 4711)), build=lambda _: Losing()).doRead()
        self.assertTrue(accepted.closed)
        self.assertEqual(lost, self.errors(OSError))

    def errors(self, kind: type[Exception]) -> list[BaseException]:
        return [failure.value for failure in self.flushLoggedErrors(kind)]

    def test_a_link_local_address(self) -> None:
        """It keeps its zone; other IPv6 addresses have none."""
        name = socket.if_indextoname(1)
        for address, host in (
            (("fe80::1", 4711, 0, 1), f"fe80::1%{name}"),
            (("2001:db8::1", 4711, 0, 0), "2001:db8::1"),
        ):
            self.accept((Accepted(), address)).doRead()
            self.assertEqual(self.made[0].transport.address[0], host)
