"""Sessions through the noVNC front, end to end on loopback."""

from novnc_twisted import errors
from tests.session.harness import TOKEN, FrontCase, introduce, refused


class NoVNCSession(FrontCase):
    async def test_a_viewer_reaches_its_server(self) -> None:
        self.novnc()
        viewer = await self.websocket()
        self.assertEqual(await introduce(viewer), (64, 48, "myserver20"))
        connection = await self.server.live.get()
        viewer.write(b"\3\0\0\0\0\0\0\x40\0\x30")
        self.assertEqual(await connection.inbox.get(), (3, b"\3\0\0\0\0\0\0\x40\0\x30"))
        self.assertEqual((await viewer.read(4))[:1], b"\0")
        self.assertEqual(self.asked, [(TOKEN, "novnc", "127.0.0.1")])
        viewer.raw.transport.loseConnection()
        record = await self.ended()
        self.assertEqual((record["cause"], record["phase"]), ("ClientLeft", "live"))

    async def test_a_refusal_is_sent_in_rfb_and_in_the_close_frame(self) -> None:
        self.novnc()
        viewer = await self.websocket("/?token=wrong")
        self.assertEqual(await refused(viewer), errors.InvalidToken.sentence)
        self.assertEqual(await viewer.until_closed(), (4401, errors.InvalidToken.sentence))
        self.assertEqual(self.server.connections, [])

    async def test_stopping(self) -> None:
        self.novnc()
        viewer = await self.websocket()
        await introduce(viewer)
        stopped = self.front.stop_sessions()
        self.assertEqual(await viewer.until_closed(), (1001, errors.Stopping.sentence))
        await stopped
