"""Many viewers who open the console of one VM at the same moment.

QEMU's queue of new connections holds two.
"""

import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredQueue, gatherResults
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread

from novnc_twisted.contract import ConnectInfo
from novnc_twisted.messaging.waiting import peek
from tests.session.harness import FrontCase, introduce
from tests.support.vm import SmallVM
from tests.support.vnc_server import FakeVNCServer

TCP_REPAIR = 19
"""Linux, ``linux/tcp.h``: in this mode a socket is closed without a packet to its peer (needs CAP_NET_ADMIN)."""

CROWD = 16


class CrowdTests(FrontCase):
    timeout = 300

    async def vm(self, vnc: str = "") -> SmallVM:
        folder = Path(tempfile.mkdtemp())  # short, since it contains a unix socket
        self.addCleanup(shutil.rmtree, folder)
        vm = SmallVM(folder, vnc=vnc)
        self.addCleanup(vm.stop)
        await deferToThread(vm.start)
        self.port = vm.port
        return vm

    async def crowd(self, vm: SmallVM, **settings: Any) -> None:
        """All viewers connect while QEMU is stopped for a moment, as on a busy host; all get sessions."""
        self.novnc(settings=self.settings(**settings))
        vm.freeze()
        viewers = [await self.websocket() for _ in range(CROWD)]
        vm.thaw()
        await gatherResults([Deferred.fromCoroutine(introduce(viewer)) for viewer in viewers])
        self.assertEqual(self.front.sessions, CROWD)
        self.assertEqual(len(self.front.registry.services.turns), 0)

    async def test_tcp(self) -> None:
        await self.crowd(await self.vm())

    async def test_many_proxies(self) -> None:
        """The proxies do not take turns, so the kernel drops connections; all viewers get sessions in the end."""
        await self.vm()
        gate: Deferred[None] = Deferred()
        arrived: DeferredQueue[None] = DeferredQueue()

        async def authorise(*who: str) -> ConnectInfo:
            arrived.put(None)
            await peek(gate)
            return await self.authorise(*who)

        viewers = []
        for _ in range(CROWD):
            self.novnc(authorise)
            viewers.append(await self.websocket())
            await arrived.get()
        gate.callback(None)
        await gatherResults([Deferred.fromCoroutine(introduce(viewer)) for viewer in viewers])

    async def test_a_unix_socket(self) -> None:
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        path = folder / "vnc"
        vm = await self.vm(f"unix:{path}")
        self.info = {"socket": str(path), "compute_host": "host1", "host": "", "port": 0}
        await self.crowd(vm, host="host1", socket_directories=(str(folder),))


class Forgotten(Protocol):
    """A connection that the server's kernel does not know, as after a SYN cookie if its ACK finds the queue full."""

    def connectionMade(self) -> None:
        self.transport.socket.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        self.transport.abortConnection()


class Forgetful(Factory):
    """A VNC server that forgets the first connection."""

    noisy = False

    def __init__(self, server: FakeVNCServer) -> None:
        self.server, self.forgot = server, False

    def buildProtocol(self, addr: Any) -> Protocol:
        if self.forgot:
            return self.server.buildProtocol(addr)
        self.forgot = True
        return Forgotten()


class ForgottenTests(FrontCase):
    async def test_it_is_noticed_and_dialled_again(self) -> None:
        self.info = {"port": self.listen(Forgetful(self.server))}
        self.novnc()
        await introduce(await self.websocket())
