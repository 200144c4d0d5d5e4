"""A unix socket that several processes share."""

import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.protocol import Factory
from twisted.trial.unittest import TestCase

from novnc_twisted.access.forwarded import UNKNOWN
from novnc_twisted.frontend import Acceptor
from tests.session.harness import HANDSHAKE, TOKEN, FrontCase, Raw, WebSocket, introduce


class Greeting(Raw):
    def connectionMade(self) -> None:
        self.transport.write(b"hello")
        self.transport.loseConnection()


class SharedTests(TestCase):
    timeout = 300

    def setUp(self) -> None:
        folder = tempfile.mkdtemp()  # the path of a socket must be short
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
        """A stopped acceptor neither shuts down the socket, nor removes its path, nor changes its permissions."""
        first, second = self.accept(), self.accept()
        await self.greeted()
        await first.stop()
        await self.greeted()
        self.assertEqual(stat.S_IMODE(Path(self.path).stat().st_mode), 0o640)
        await second.stop()
        self.assertTrue(Path(self.path).exists())


class SessionTests(FrontCase):
    """Sessions of clients that have no address."""

    def listen(self, factory: Any) -> int:
        if factory is self.server:
            return super().listen(factory)
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.path = f"{folder}/s"
        port = reactor.listenUNIX(self.path, factory)
        self.addCleanup(port.stopListening)
        return 0

    async def begin(self, head: str) -> Raw:
        factory = Factory.forProtocol(Raw)
        factory.noisy = False
        client: Raw = await UNIXClientEndpoint(reactor, self.path).connect(factory)
        client.write(head.encode())
        await client.until(b"\r\n\r\n")
        return client

    async def test_the_address_is_unknown(self) -> None:
        """consoleauth accepts no empty address."""
        self.novnc()
        viewer = WebSocket(await self.begin(HANDSHAKE.format(path=f"/?token={TOKEN}", more="")))
        self.assertEqual((await introduce(viewer))[2], "myserver20")
        viewer.raw.transport.abortConnection()
        await self.all_over()
        self.xvp()
        client = await self.begin(f"CONNECT /console?token={TOKEN} HTTP/1.0\r\n\r\n")
        self.assertEqual((await introduce(client))[2], "myserver20")
        client.transport.abortConnection()
        await self.all_over()
        self.assertEqual([address for _, _, address in self.asked], [UNKNOWN, UNKNOWN])

    async def test_a_trusted_proxy_names_it(self) -> None:
        self.novnc(trusted_proxies=["127.0.0.1"])
        more = "X-Forwarded-For: 203.0.113.7\r\n"
        viewer = WebSocket(await self.begin(HANDSHAKE.format(path=f"/?token={TOKEN}", more=more)))
        await introduce(viewer)
        viewer.raw.transport.abortConnection()
        await self.all_over()
        self.assertEqual([address for _, _, address in self.asked], ["203.0.113.7"])
