"""Dialling gives an end whose transport is tuned for a console."""

import socket

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.trial.unittest import TestCase

from novnc_twisted.contract import ConnectInfo
from novnc_twisted.errors import Stopping
from novnc_twisted.session import SessionSettings
from novnc_twisted.session.upstream.dial import dial
from tests.session.harness import Raw


class Dialling(TestCase):
    """A real TCP server, dialled by its address and by its name."""

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
