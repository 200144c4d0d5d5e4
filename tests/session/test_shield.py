"""The shield in a real session, on both fronts: not one byte of a refused message reaches the VNC server."""

import struct
import zlib
from typing import Any

from novnc_twisted import errors
from tests.rfb.viewer_messages import EVERYTHING, POINTER, PROVIDE, REFUSED, TEXT, cut_text, encodings, extended
from tests.session.harness import TOKEN, FrontCase, introduce
from tests.support.vnc_server import FakeVNCConnection, FakeVNCServer

KEY = b"\4\1\0\0\0\0\0a"
CONNECT = f"CONNECT /console?token={TOKEN} HTTP/1.0\r\n\r\n".encode()


class RecordingConnection(FakeVNCConnection):
    """Also keeps every byte that it received."""

    def __init__(self, server: FakeVNCServer) -> None:
        super().__init__(server)
        self.heard = b""

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        super().dataReceived(data)


class ShieldCase(FrontCase):
    def setUp(self) -> None:
        super().setUp()

        def build(_: object) -> RecordingConnection:
            self.server.connections.append(RecordingConnection(self.server))
            return self.server.connections[-1]

        self.server.buildProtocol = build

    async def begin(self) -> tuple[Any, RecordingConnection]:
        """Return a viewer with a live session and the server's connection, which has recorded nothing yet."""
        raise NotImplementedError

    async def heard(self, viewer: Any, server: RecordingConnection, sent: list[bytes]) -> bytes:
        """Send these pieces and then a key; return what the server receives before the key."""
        for piece in sent:
            viewer.write(piece)
        viewer.write(KEY)
        while (await server.inbox.get())[1] != KEY:
            pass
        return server.heard.removesuffix(KEY)


class OnNoVNC(ShieldCase):
    async def begin(self) -> tuple[Any, RecordingConnection]:
        self.novnc()
        viewer = await self.websocket()
        await introduce(viewer)
        server: Any = await self.server.live.get()
        server.heard = b""
        return viewer, server

    async def test_good_messages(self) -> None:
        viewer, server = await self.begin()
        sent = [EVERYTHING, POINTER, POINTER * 300, cut_text(b"x" * 70000), b"\xff\0" + bytes(10), POINTER[:2]]
        sent.append(POINTER[2:])
        self.assertEqual(await self.heard(viewer, server, sent), b"".join(sent))

    async def test_taken_out(self) -> None:
        """Removed messages and encodings neither end the session nor get an answer."""
        viewer, server = await self.begin()
        sent = [encodings(7, -316, -309, 0), b"\xfa\0\1\2", cut_text(b""), POINTER]
        self.assertEqual(await self.heard(viewer, server, sent), encodings(7, 0) + POINTER)
        server.transport.write(b"drawn")
        self.assertEqual(await viewer.frame(), (2, b"drawn"), "nothing was sent to the viewer before")

    async def test_refused(self) -> None:
        """The record contains the reason; the viewer receives the sentence."""
        viewer, server = await self.begin()
        await self.heard(viewer, server, [POINTER])
        viewer.write(b"\7" + bytes(20))
        self.assertEqual(await viewer.until_closed(), (1002, errors.ProtocolViolation.sentence))
        record = await self.ended()
        self.assertEqual((record["cause"], record["phase"]), ("ProtocolViolation", "live"))
        self.assertEqual(record["detail"], "unknown client message 7")
        await server.gone
        self.assertEqual(server.heard, POINTER + KEY)

    async def test_too_big(self) -> None:
        viewer, server = await self.begin()
        viewer.write(struct.pack(">B3xi", 6, 1 << 30))
        self.assertEqual(await viewer.until_closed(), (1009, errors.MessageTooBig.sentence))
        await server.gone
        self.assertEqual(server.heard, b"")

    async def test_not_one_byte(self) -> None:
        """The server receives no byte of a refused message, sent at once or byte by byte, nor of what follows."""
        for name, message in REFUSED.items():
            for pieces in ([message + KEY], [message[at : at + 1] for at in range(min(len(message), 200))]):
                if message[8:9] == bytes([PROVIDE >> 24]) and len(pieces) > 1:
                    continue  # a packed text is passed on until it proves invalid: see the next test
                viewer, server = await self.begin()
                viewer.write(EVERYTHING)
                await server.inbox.get()
                for piece in pieces:
                    viewer.write(piece)
                self.assertIn((await viewer.until_closed())[0], (1002, 1009), name)
                await server.gone
                self.assertEqual(server.heard, EVERYTHING, name)
                await self.all_over()

    async def test_a_packed_text_is_never_completed(self) -> None:
        """Its last byte is not passed on, so the VNC server never has a whole message to unpack."""
        bad = extended(PROVIDE | TEXT, zlib.compress(b"\0\0\0\2x\0") + b"\0")
        viewer, server = await self.begin()
        viewer.write(EVERYTHING)
        await server.inbox.get()
        for at in range(len(bad)):
            viewer.write(bad[at : at + 1])
        self.assertEqual((await viewer.until_closed())[0], 1002)
        await server.gone
        self.assertTrue((EVERYTHING + bad[:-1]).startswith(server.heard))
        self.assertEqual([kind for kind, _ in server.messages], [2])

    async def test_what_a_viewer_leaves_unfinished(self) -> None:
        """The server never receives a message that the viewer did not complete."""
        viewer, server = await self.begin()
        await self.heard(viewer, server, [POINTER])
        viewer.write(b"\0\0\0\0\x20\x18")
        viewer.raw.transport.loseConnection()
        await server.gone
        self.assertEqual(server.heard, POINTER + KEY)

    async def test_before_ServerInit(self) -> None:
        """Messages that a viewer sends right after ClientInit are checked as well."""
        self.novnc()
        viewer = await self.websocket()
        viewer.write(b"RFB 003.008\n\1\1" + POINTER + b"\7" + bytes(20))
        self.assertEqual((await viewer.until_closed())[0], 1002)
        await self.ended()
        for connection in self.server.connections:
            self.assertEqual([], connection.messages)  # type: ignore[attr-defined]

    async def test_off(self) -> None:
        """Without the shield, the server receives every message."""
        self.novnc(settings=self.settings(shield=False))
        viewer = await self.websocket()
        await introduce(viewer)
        server: Any = await self.server.live.get()
        viewer.write(b"\7" + bytes(20))
        self.assertEqual((await viewer.until_closed())[0], 4504)
        self.assertTrue(server.heard.endswith(b"\7" + bytes(20)))


class OnXVP(ShieldCase):
    async def begin(self) -> tuple[Any, RecordingConnection]:
        self.xvp()
        viewer = await self.raw()
        viewer.write(CONNECT)
        await viewer.until(b"\r\n\r\n")
        await introduce(viewer)
        server: Any = await self.server.live.get()
        server.heard = b""
        return viewer, server

    async def test_good_messages(self) -> None:
        viewer, server = await self.begin()
        sent = [EVERYTHING, POINTER * 300, cut_text(b"x" * 70000), b"\xfa\0\1\3"]
        self.assertEqual(await self.heard(viewer, server, sent), b"".join(sent[:-1]))

    async def test_refused(self) -> None:
        viewer, server = await self.begin()
        viewer.write(POINTER)
        await server.inbox.get()
        viewer.write(b"\6\0\0\0\xff\xff\xff\xfd" + bytes(100))
        await viewer.everything()
        record = await self.ended()
        self.assertEqual(
            (record["cause"], record["detail"]), ("ProtocolViolation", "extended ClientCutText of 3 bytes")
        )
        await server.gone
        self.assertEqual(server.heard, POINTER)
