"""The shield in front of a real QEMU, which would execute the messages that the shield removes."""

import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from novnc_twisted.contract import ConnectInfo
from novnc_twisted.errors import MessageTooBig, ProtocolViolation
from novnc_twisted.novncproxy import NoVNCProxyFactory
from novnc_twisted.session import SessionSettings
from tests.rfb.viewer_messages import (
    ALL_ACTIONS,
    CAPS,
    CLIPBOARD,
    EVERYTHING,
    NOTIFY,
    PROVIDE,
    REFUSED,
    REQUEST,
    TEXT,
    XVP,
    encodings,
    extended,
    packed,
    pixel_format,
)
from tests.support.viewer import Viewer, Viewers
from tests.support.vm import SmallVM

XVP_INIT = b"\xfa\0\1\1"
RESET = b"\xfa\0\1\4"
LISTED = encodings(0, -223, XVP)


class RealQEMU(TestCase):
    timeout = 300

    async def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()  # not trial's folder: the path of a unix socket must be short
        self.addCleanup(folder.cleanup)
        self.vm = SmallVM(Path(folder.name), vnc="power-control=on")
        self.addCleanup(self.vm.stop)
        await deferToThread(self.vm.start)
        self.viewers = Viewers(self)
        first = await (await self.open()).ready()  # until then, the guest changes the size of its screen
        await first.leave()

    async def open(self, **settings: Any) -> Viewer:
        """Open a viewer, with its own proxy."""

        async def authorise(*_: str) -> ConnectInfo:
            return ConnectInfo(host="127.0.0.1", port=self.vm.port, name="myserver20")

        front = NoVNCProxyFactory(reactor, authorise, settings=SessionSettings(**settings))
        port = reactor.listenTCP(0, front, interface="127.0.0.1")
        self.addCleanup(maybeDeferred, port.stopListening)
        self.addCleanup(maybeDeferred, front.stop_sessions)
        return await self.viewers.open(f"http://127.0.0.1:{port.getHost().port}/vnc_auto.html?token=t")

    async def test_power_control(self) -> None:
        """QEMU offers power control to every viewer.  The shield removes the offer and the viewer's requests."""
        bare = await self.open(shield=False)
        bare.stream.write(LISTED)
        self.assertEqual(await bare.stream.read(4), XVP_INIT)
        await bare.leave()
        viewer = await self.open()
        viewer.stream.write(LISTED)
        await viewer.ready()  # fails at any unexpected message
        await viewer.type("a")
        before = viewer.text()
        viewer.stream.write(RESET + RESET)
        await viewer.type("b")
        self.assertNotEqual(viewer.text(), before)
        shown = await deferToThread(self.vm.text)
        self.assertIn("> ab", shown)

    async def test_refused(self) -> None:
        """Each refused message ends only its own session: the next viewer can type."""
        for message in REFUSED.values():
            viewer = await self.open()
            viewer.stream.write(EVERYTHING + message)
            self.assertIn(
                await viewer.closed(),
                ((cause.close_code, cause.sentence) for cause in (ProtocolViolation, MessageTooBig)),
            )
        viewer = await (await self.open()).ready()
        await viewer.type("a")

    async def test_clipboard(self) -> None:
        """The extended clipboard, from one viewer to another: QEMU is notified, requests the text, and receives it."""
        for flush in (zlib.Z_FULL_FLUSH, zlib.Z_FINISH):  # compressed as noVNC does, and as QEMU does
            one, other = await self.open(), await self.open()
            for viewer in (one, other):
                viewer.stream.write(encodings(0, CLIPBOARD))
                self.assertTrue((await self.cut_text(viewer))[0] & CAPS)
                viewer.stream.write(extended(ALL_ACTIONS | TEXT, struct.pack(">I", 1 << 20)))
            one.stream.write(extended(NOTIFY | TEXT))
            self.assertEqual(await self.cut_text(other), (NOTIFY | TEXT, b""))
            other.stream.write(extended(REQUEST | TEXT))
            self.assertEqual(await self.cut_text(one), (REQUEST | TEXT, b""))
            text = "Grüße \N{GRINNING FACE}\0".encode()
            one.stream.write(extended(PROVIDE | TEXT, packed(text, flush)))
            flags, body = await self.cut_text(other)
            self.assertEqual(flags, PROVIDE | TEXT)
            self.assertIn(text, zlib.decompressobj().decompress(body))
            await one.leave()
            await other.leave()

    async def cut_text(self, viewer: Viewer) -> tuple[int, bytes]:
        """The next extended ServerCutText: its flags and what follows them."""
        kind, length, flags = struct.unpack(">B3xiI", await viewer.stream.read(12))
        self.assertEqual(kind, 3)
        return flags, await viewer.stream.read(-length - 4)

    async def test_pixel_formats(self) -> None:
        """QEMU draws in pixel formats that the shield permits."""
        for bits, most, shifts in (
            (32, (255, 255, 255), (16, 8, 0)),
            (16, (31, 63, 31), (11, 5, 0)),
            (8, (7, 7, 3), (0, 3, 6)),
        ):
            viewer = await self.open()
            viewer.stream.write(pixel_format(bits, bits, most=most, shifts=shifts))
            viewer.stream.write(encodings(0) + struct.pack(">BBHHHH", 3, 0, 0, 0, 64, 64))
            kind, count = struct.unpack(">BxH", await viewer.stream.read(4))
            self.assertEqual(kind, 0)
            for _ in range(count):
                _, _, width, height, encoding = struct.unpack(">HHHHi", await viewer.stream.read(12))
                self.assertEqual(encoding, 0)
                await viewer.stream.read(width * height * bits // 8)
