"""A hostile VNC server's screen: its size is bounded before ServerInit, and its updates are not parsed."""

import contextlib
import struct
import tracemalloc
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import ConsoleClosed, ConsoleUnreachable
from novnc_twisted.rfb import HandshakeDriver, login
from tests.session.harness import TOKEN, FrontCase, WebSocket, introduce
from tests.support.vnc_server import PIXEL_FORMAT

HUGE = 0xFFFF


def rectangle(x: int, y: int, width: int, height: int, encoding: int, body: bytes = b"") -> bytes:
    """A FramebufferUpdate of one rectangle."""
    return struct.pack(">BxHHHHHi", 0, 1, x, y, width, height, encoding) + body


MESSAGES = {
    "CVE-2014-8240, CVE-2019-15691 to 15695: outside of the screen": rectangle(HUGE, HUGE, HUGE, HUGE, 0),
    "CVE-2014-8241, CVE-2014-6052: a screen of 4 Gpixels": rectangle(0, 0, HUGE, HUGE, -223),
    "CVE-2019-15690, CVE-2019-20788: a cursor that overflows": rectangle(0, 0, HUGE, HUGE, -239, b"\xff" * 64),
    "CVE-2023-43826: a Tight rectangle that announces 4 MiB": rectangle(0, 0, 1, 1, 7, b"\x00\xff\xff\xff"),
    "a ZRLE rectangle of 4 GiB": rectangle(0, 0, 1, 1, 16, b"\xff\xff\xff\xff"),
    "CVE-2018-20748: a cut text of 4 GiB": b"\3\0\0\0\xff\xff\xff\xff",
    "an extended cut text that is shorter than its flags": b"\3\0\0\0\xff\xff\xff\xfe",
    "CVE-2020-14405: TextChat of 2 GiB": b"\x0b\0\0\0\x7f\xff\xff\xff",
    "a message of an unknown type": bytes(range(200, 250)),
    "bytes of a WebSocket close frame": b"\x88\x02\x03\xe8",
}


class AfterServerInit(FrontCase):
    timeout = 300

    async def test_nothing_is_decoded(self) -> None:
        """The viewer receives each message unchanged, and the proxy does not fail."""
        self.novnc()
        for what, message in MESSAGES.items():
            viewer: WebSocket = await self.websocket()
            await introduce(viewer)
            connection = await self.server.live.get()
            connection.transport.write(message)
            connection.transport.loseConnection()
            self.assertEqual(await viewer.read(len(message)), message, what)
            self.assertEqual((await viewer.until_closed())[0], ConsoleClosed.close_code, what)
            await self.all_over()
        causes = {event["cause"] for event in self.events if event.get("event") == "session"}
        self.assertEqual(causes, {"ConsoleClosed"})
        self.assertEqual([event for event in self.events if "log_failure" in event], [])

    async def test_the_same_by_xvp(self) -> None:
        self.xvp()
        for what, message in MESSAGES.items():
            client = await self.raw()
            client.write(b"CONNECT /console?token=%b HTTP/1.0\r\n\r\n" % TOKEN.encode())
            await client.until(b"\r\n\r\n")
            await introduce(client)
            connection = await self.server.live.get()
            connection.transport.write(message)
            connection.transport.loseConnection()
            self.assertEqual(await client.everything(), message, what)
            await self.all_over()


class BeforeServerInit(SynchronousTestCase):
    """A length that the server announces takes no memory before the bytes arrive."""

    START = b"RFB 003.008\n\1\1\0\0\0\0"

    def handshake_after(self, *pieces: bytes) -> HandshakeDriver:
        handshake = HandshakeDriver(login())
        handshake.start()
        for piece in pieces:
            handshake.receive(piece)
        return handshake

    @contextlib.contextmanager
    def little_memory(self) -> Iterator[None]:
        tracemalloc.start()
        try:
            yield
            self.assertLess(tracemalloc.get_traced_memory()[1], 1_000_000)
        finally:
            tracemalloc.stop()

    def test_lengths_cost_nothing(self) -> None:
        """CVE-2018-20748, CVE-2023-43826, nova bug 2155052: each kind of length, with 4 GiB."""
        announced = {
            "reason of no security types": (b"RFB 003.008\n\0", b"\xff\xff\xff\xff"),
            "reason of 3.3": (b"RFB 003.003\n", b"\0\0\0\0\xff\xff\xff\xff"),
            "reason of the result": (b"RFB 003.008\n\1\1", b"\0\0\0\1\xff\xff\xff\xff"),
            "name": (self.START, struct.pack(">HH16sI", 64, 48, PIXEL_FORMAT, 0xFFFFFFFF)),
            "name, sign bit": (self.START, struct.pack(">HH16sI", 64, 48, PIXEL_FORMAT, 0x80000000)),
        }
        for what, pieces in announced.items():
            with self.little_memory():
                handshake = self.handshake_after(*pieces)
                for _ in range(64):  # it ends soon, whatever bytes follow
                    if not handshake.done:
                        handshake.receive(b"A" * 1024)
            self.assertIsInstance(handshake.error, ConsoleUnreachable, what)
            self.assertRegex(str(handshake.error), "refuses us: A+$|authentication failed: A+$|claims a name of", what)

    def test_screens_of_every_size(self) -> None:
        """CVE-2014-6052, CVE-2014-8240: no framebuffer is allocated."""
        for width, height in ((0, 0), (HUGE, HUGE), (0, HUGE), (1, HUGE)):
            with self.little_memory():
                handshake = self.handshake_after(
                    self.START, struct.pack(">HH16sI", width, height, PIXEL_FORMAT, 1) + b"n"
                )
            if handshake.error is None:
                self.assertEqual((handshake.result.width, handshake.result.height), (width, height))
            else:
                self.assertIsInstance(handshake.error, ConsoleUnreachable)
