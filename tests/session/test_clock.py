"""The exact deadlines of the set-up and of the shutdown, in memory and with a fake clock."""

import socket
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted import errors
from novnc_twisted.contract import ConnectInfo
from novnc_twisted.novncproxy import NoVNCProxyFactory
from novnc_twisted.relay.frames import close_frame
from novnc_twisted.session import SessionSettings
from novnc_twisted.xvpvncproxy import XVPVNCProxyFactory
from tests.relay.end_case import Transport
from tests.session.harness import HANDSHAKE


async def never(*_: str) -> ConnectInfo:
    return await Deferred()


class Deadlines(SynchronousTestCase):
    def connect(self, factory: Any, authorise: Any = never) -> tuple[Any, Transport]:
        self.reactor = MemoryReactorClock()
        self.factory = factory(self.reactor, authorise)
        protocol = self.factory.buildProtocol(None)
        transport = Transport()
        transport.protocol = protocol
        protocol.makeConnection(transport)
        return protocol, transport

    def gone(self, protocol: Any) -> None:
        protocol.connectionLost(Failure(ConnectionDone()))
        self.factory.stopFactory()
        self.assertEqual(self.reactor.getDelayedCalls(), [], "no timer is left")
        self.assertEqual((self.factory.sessions, self.factory.connections), (0, set()))

    def test_a_head_at_a_byte_a_second(self) -> None:
        for factory, answer in (
            (NoVNCProxyFactory, b"HTTP/1.1 408 "),
            (XVPVNCProxyFactory, f"HTTP/1.1 400 {errors.SetupTimeout.sentence}".encode()),
        ):
            protocol, transport = self.connect(factory)
            for _ in range(9):
                protocol.dataReceived(b"x")
                self.reactor.advance(1)
            self.assertEqual(transport.value(), b"")
            self.reactor.advance(1)
            self.assertTrue(transport.value().startswith(answer))
            self.reactor.advance(2)
            self.assertTrue(transport.aborted)
            self.gone(protocol)

    def test_leaving_in_the_head(self) -> None:
        for factory in (NoVNCProxyFactory, XVPVNCProxyFactory):
            protocol, _ = self.connect(factory)
            protocol.dataReceived(b"GET ")
            self.gone(protocol)

    def test_the_token_has_5_s_and_the_refusal_5_more(self) -> None:
        protocol, transport = self.connect(NoVNCProxyFactory)
        protocol.dataReceived(HANDSHAKE.format(path="/?token=t", more="").encode())
        self.assertIn(b" 101 ", transport.take())
        self.reactor.advance(4.9)
        self.assertEqual(transport.value(), b"")
        self.reactor.advance(0.1)
        self.assertEqual(transport.take(), b"\x82\x0cRFB 003.008\n")
        self.reactor.advance(5)
        cause = errors.ServiceUnavailable
        self.assertEqual(transport.take(), close_frame(4503, cause.sentence))
        self.reactor.advance(2)
        self.assertTrue(transport.aborted)
        self.gone(protocol)

    def test_stopping_takes_no_longer_than_3_s_with_a_silent_viewer(self) -> None:
        protocol, transport = self.connect(NoVNCProxyFactory)
        protocol.dataReceived(HANDSHAKE.format(path="/?token=t", more="").encode())
        stopped = self.factory.stop_sessions()
        self.reactor.advance(1)
        self.assertTrue(transport.value().endswith(close_frame(1001, errors.Stopping.sentence)))
        self.reactor.advance(2)
        self.assertTrue(transport.aborted)
        self.assertNoResult(stopped)
        self.gone(protocol)
        self.successResultOf(stopped)

    def test_stopping_again_or_with_nothing(self) -> None:
        self.connect(NoVNCProxyFactory)
        factory = NoVNCProxyFactory(MemoryReactorClock(), never)
        self.successResultOf(factory.stop_sessions())
        self.successResultOf(factory.stop_sessions())

    def dialling(self) -> tuple[Any, Transport]:
        listening = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.addCleanup(listening.close)
        port = listening.getsockname()[1]
        first = socket.create_connection(("127.0.0.1", port))  # fills the queue, so that the next one waits
        self.addCleanup(first.close)

        async def authorise(*_: str) -> ConnectInfo:
            return ConnectInfo(host="127.0.0.1", port=port)

        protocol, transport = self.connect(XVPVNCProxyFactory, authorise)
        protocol.dataReceived(b"CONNECT /?token=t HTTP/1.0\r\n\r\n")
        (self.dialled,) = self.reactor.getWriters()  # the connection never completes
        return protocol, transport

    def given_up(self) -> None:
        self.assertEqual(self.reactor.getWriters(), [])
        self.assertEqual(self.dialled.fileno(), -1, "its socket is closed")

    def test_a_dial_has_10_s(self) -> None:
        protocol, transport = self.dialling()
        self.reactor.advance(9.9)
        self.assertEqual(transport.value(), b"")
        self.reactor.advance(0.1)
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 502 "))
        self.given_up()
        self.gone(protocol)

    def test_leaving_while_we_dial(self) -> None:
        protocol, _ = self.dialling()
        self.gone(protocol)
        self.given_up()

    def test_all_parts_together_have_30_s(self) -> None:
        """From the connection on, even if the last step may take longer by itself."""
        settings = SessionSettings(token_deadline=60)
        protocol, transport = self.connect(partial(NoVNCProxyFactory, settings=settings))
        head = HANDSHAKE.format(path="/?token=t", more="").encode()
        protocol.dataReceived(head[:9])
        self.reactor.advance(9)
        protocol.dataReceived(head[9:])
        self.assertIn(b" 101 ", transport.take())
        self.reactor.advance(20.9)
        self.assertEqual(transport.value(), b"")
        self.reactor.advance(0.1)
        self.assertEqual(transport.take(), b"\x82\x0cRFB 003.008\n", "the refusal begins")
        self.gone(protocol)

    def test_requests_for_the_page_take_no_time_from_the_session(self) -> None:
        protocol, transport = self.connect(partial(NoVNCProxyFactory, web="/nowhere"))
        for _ in range(3):
            protocol.dataReceived(b"GET /favicon.ico HTTP/1.1\r\nHost: h\r\n\r\n")
            self.reactor.advance(9)
        transport.clear()
        protocol.dataReceived(HANDSHAKE.format(path="/?token=t", more="").encode())
        self.assertIn(b" 101 ", transport.take())
        self.reactor.advance(4.9)
        self.assertEqual(transport.value(), b"", "the token has its 5 s")
        self.gone(protocol)
