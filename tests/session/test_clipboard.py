"""Clipboard limits in real sessions, on both fronts."""

from typing import Any

from novnc_twisted import errors
from novnc_twisted.rfb.clipboard import ClipboardLimits
from tests.rfb.test_clipboard import text
from tests.rfb.viewer_messages import cut_text
from tests.session.harness import introduce
from tests.session.test_shield import CONNECT
from tests.session.test_view_only import ViewOnlyCase

BELL = b"\2"


class ClipboardCase(ViewOnlyCase):
    async def start(self, limits: ClipboardLimits, front: str = "novnc") -> tuple[Any, Any]:
        settings = self.settings(clipboard=limits)
        if front == "novnc":
            self.novnc(settings=settings)
            return await self.begin()
        self.info = {"console_type": "xvpvnc"}
        self.xvp(settings=settings)
        viewer = await self.raw()
        viewer.write(CONNECT)
        await viewer.until(b"\r\n\r\n")
        await introduce(viewer)
        return viewer, await self.live()

    async def shown(self, viewer: Any, server: Any, *sent: bytes) -> bytes:
        """Send these messages and a bell; return what the viewer receives before the bell."""
        server.transport.write(b"".join(sent) + BELL)
        shown = b""
        while not shown.endswith(BELL):
            shown += await viewer.read(1)
        return shown.removesuffix(BELL)

    async def check_both_directions(self, front: str) -> None:
        viewer, server = await self.start(ClipboardLimits(to_server=5, from_server=4), front)
        self.assertEqual(await self.shown(viewer, server, text(b"a secret"), text(b"four")), text(b"four"))
        heard = await self.until_update(viewer, server, cut_text(b"hello!"), cut_text(b"hello"))
        self.assertEqual(heard, cut_text(b"hello"))

    async def test_both_directions_on_novnc(self) -> None:
        await self.check_both_directions("novnc")

    async def test_both_directions_on_xvp(self) -> None:
        await self.check_both_directions("xvp")

    async def test_it_can_be_view_only_as_well(self) -> None:
        viewer, server = await self.start(ClipboardLimits(from_server=0))
        for mode, heard in (("view", b""), ("control", cut_text(b"x"))):
            self.session().change_mode(mode)
            self.assertEqual(await self.until_update(viewer, server, cut_text(b"x")), heard)
            self.assertNotIn(b"secret", await self.shown(viewer, server, text(b"secret")))

    async def test_a_server_that_cannot_be_followed(self) -> None:
        viewer, server = await self.start(ClipboardLimits(from_server=0))
        server.transport.write(b"\x63")
        self.assertEqual(await viewer.until_closed(), (4502, errors.ConsoleUnreachable.sentence))
        self.assertIn("clipboard policy", (await self.ended())["detail"])

    async def test_no_limits(self) -> None:
        viewer, server = await self.start(ClipboardLimits())
        server.transport.write(text(b"secret") + b"\x63")
        self.assertEqual(await viewer.read(15), text(b"secret") + b"\x63")
