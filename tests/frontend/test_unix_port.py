"""A unix socket that several processes share."""

import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.protocol import Factory
from twisted.trial.unittest import TestCase

from novnc_twisted.frontend import Acceptor
from tests.session.harness import Raw


class Greeting(Raw):
    def connectionMade(self) -> None:
        self.transport.write(b"hello")
        self.transport.loseConnection()


class SharedTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        folder = tempfile.mkdtemp()  # the path of a socket is short
        self.addCleanup(shutil.rmtree, folder)
        self.path = f"{folder}/s"
        self.listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.listener.close)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o640)  # noqa: PTH101
        self.listener.listen()
        self.listener.setblocking(False)

    def accept(self) -> Acceptor:
        factory = Factory.forProtocol(Greeting)
        factory.noisy = False
        return Acceptor(reactor, self.listener.dup(), factory)

    async def greeted(self) -> None:
        factory = Factory.forProtocol(Raw)
        factory.noisy = False
        client = await UNIXClientEndpoint(reactor, self.path).connect(factory)
        self.assertEqual(await client.everything(), b"hello")

    async def test_the_end_of_one_does_not_end_the_others(self) -> None:
        """Neither by shutting the socket down nor by removing its path; and its permissions stay."""
        first, second = self.accept(), self.accept()
        await self.greeted()
        await first.stop()
        await self.greeted()
        self.assertEqual(stat.S_IMODE(Path(self.path).stat().st_mode), 0o640)
        await second.stop()
        self.assertTrue(Path(self.path).exists())
