"""Dialling sets TCP_NODELAY, and tries again if there is no answer."""

import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from novnc_twisted.contract import ConnectInfo
from novnc_twisted.errors import ConsoleUnreachable, Stopping
from novnc_twisted.messaging.waiting import within
from novnc_twisted.session import SessionSettings
from novnc_twisted.session.upstream import dial as module
from novnc_twisted.session.upstream.dial import dial
from tests.session.harness import Raw


class Dialling(TestCase):
    async def test_by_address_and_by_name(self) -> None:
        port = reactor.listenTCP(0, Factory.forProtocol(Raw), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        for host in "127.0.0.1", "localhost":
            info = ConnectInfo(host=host, port=port.getHost().port)
            end = await Deferred.fromCoroutine(dial(reactor, info, SessionSettings()))
            self.assertEqual(end.peer, f"{host}:{info.port}")
            self.assertEqual(end.transport.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), 1)
            end.close(Stopping())
            await end.closed()


@implementer(IReactorFDSet)
class FDClock(Clock):
    """A clock that claims to be a reactor with file descriptors."""


class NoAnswer(SynchronousTestCase):
    """An attempt ends after at most a second; the caller sets the deadline."""

    def setUp(self) -> None:
        self.clock = FDClock()
        self.attempts: list[Deferred[Any]] = []
        self.given_up = 0

        def give_up(_: Any) -> None:
            self.given_up += 1

        async def connect(_reactor: Any, _family: int, _address: Any, seconds: float | None = None) -> Any:
            attempt: Deferred[Any] = Deferred(give_up)
            self.attempts.append(attempt)
            return await (attempt if seconds is None else within(attempt, seconds, self.clock))

        self.patch(module, "connect", connect)
        info = ConnectInfo(host="192.0.2.1", port=5900)
        self.dialled = Deferred.fromCoroutine(dial(self.clock, info, SessionSettings()))

    def test_again(self) -> None:
        """Five attempts have at most a second each; the sixth has no limit."""
        self.clock.pump([0.1] * 24)
        self.assertTrue(3 <= len(self.attempts) <= 5, self.attempts)
        self.clock.pump([0.1] * 71)
        self.assertEqual(len(self.attempts), 6)
        self.assertEqual(self.given_up, len(self.attempts) - 1)
        self.assertNoResult(self.dialled)
        self.attempts[-1].errback(ConnectionRefusedError())
        self.failureResultOf(self.dialled, ConsoleUnreachable)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        self.dialled.addErrback(lambda _: None)
        self.dialled.cancel()
        self.assertEqual((self.given_up, len(self.attempts), self.clock.getDelayedCalls()), (1, 1, []))
