"""A real viewer of RFB 3.3 (Debian's vncsnapshot) through the XVP proxy, with a real QEMU."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue

from tests.session.harness import TOKEN, FrontCase, Raw
from tests.support.vm import SmallVM

FIRST_PORT = 5900
"""vncsnapshot takes a display number: the port minus this."""


class Plain(Protocol):
    """Relays a plain VNC viewer to the XVP proxy, which expects a CONNECT first."""

    transport: Any

    def __init__(self, proxy_port: int) -> None:
        self.received = b""
        self.gone: Deferred[None] = Deferred()
        self._proxy_port = proxy_port
        self._proxy: Any = None

    def connectionMade(self) -> None:
        Deferred.fromCoroutine(self._connect()).addErrback(lambda _: self.transport.abortConnection())

    async def _connect(self) -> None:
        proxy: Any = await TCP4ClientEndpoint(reactor, "127.0.0.1", self._proxy_port).connect(Factory.forProtocol(Raw))
        proxy.write(b"CONNECT /?token=%s HTTP/1.0\r\n\r\n" % TOKEN.encode())
        await proxy.until(b"\r\n\r\n")
        self._proxy = proxy
        self.transport.write(await proxy.read(len(proxy.buffer)))
        proxy.dataReceived = self.transport.write
        proxy.write(self.received)

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        if self._proxy is not None:
            self._proxy.write(data)

    def connectionLost(self, reason: Any = None) -> None:
        if self._proxy is not None:
            self._proxy.transport.abortConnection()
        self.gone.callback(None)


class OldViewer(FrontCase):
    timeout = 300

    async def test_a_picture(self) -> None:
        """The viewer answers 3.3 to our 3.8, gets a session, and saves the screen."""
        program = shutil.which("vncsnapshot")
        assert program is not None, "no vncsnapshot found: apt-get install vncsnapshot"
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        vm = SmallVM(folder / "vm")
        self.addCleanup(vm.stop)
        await deferToThread(vm.start)
        self.port = vm.port
        self.xvp()
        viewers: list[Plain] = []

        def build(_address: object) -> Plain:
            viewers.append(Plain(self.front_port))
            return viewers[-1]

        factory = Factory()
        factory.buildProtocol, factory.noisy = build, False  # type: ignore[method-assign, assignment]
        display = self.listen(factory) - FIRST_PORT
        picture = folder / "picture.jpg"
        arguments = ["-allowblank", f"127.0.0.1:{display}", str(picture)]
        out, err, code = await getProcessOutputAndValue(program, arguments, env={"HOME": str(folder)})
        self.assertEqual(code, 0, out + err)
        self.assertEqual(picture.read_bytes()[:2], b"\xff\xd8", "a JPEG")
        self.assertEqual(viewers[0].received[:12], b"RFB 003.003\n")
        self.assertIn(b"myserver20", out + err)
        await viewers[0].gone
