"""A real QEMU at its own limit of viewers (``connections``, 32 by default)."""

import shutil
import tempfile
from pathlib import Path

from twisted.internet.threads import deferToThread

from novnc_twisted import errors
from tests.session.harness import TOKEN, FrontCase, introduce, refused
from tests.support.vm import SmallVM


class QEMULimit(FrontCase):
    """The viewer above the limit gets TooManySessions; the others stay connected."""

    timeout = 300

    async def vm(self, connections: int) -> None:
        folder = Path(tempfile.mkdtemp())  # short, since it contains a unix socket
        self.addCleanup(shutil.rmtree, folder)
        vm = SmallVM(folder, vnc=f"connections={connections}")
        self.addCleanup(vm.stop)
        await deferToThread(vm.start)
        self.port = vm.port

    async def test_at_the_novnc_port(self) -> None:
        await self.vm(2)
        self.novnc()
        viewers = [await self.websocket() for _ in range(2)]
        for viewer in viewers:
            await introduce(viewer)
        late = await self.websocket()
        self.assertEqual(await refused(late), errors.TooManySessions.sentence)
        self.assertEqual((await late.until_closed())[0], 4429)
        self.assertEqual(self.front.sessions, 2)

    async def test_at_the_xvp_port(self) -> None:
        await self.vm(1)
        self.xvp()
        request = b"CONNECT /?token=%s HTTP/1.0\r\n\r\n" % TOKEN.encode()
        first = await self.raw()
        first.write(request)
        self.assertEqual(await first.read(19), b"HTTP/1.1 200 OK\r\n\r\n")
        await introduce(first)
        late = await self.raw()
        late.write(request)
        self.assertEqual(
            await late.until(b"\r\n\r\n"), f"HTTP/1.1 429 {errors.TooManySessions.sentence}\r\n\r\n".encode()
        )
