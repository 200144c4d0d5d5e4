"""``internal_access_path``: a CONNECT request to an HTTP server in front of a VNC server."""

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater

from novnc_twisted import errors
from tests.session.harness import FrontCase, introduce, refused
from tests.support.held_time import HeldTime
from tests.support.script import LEAVES, Send
from tests.support.scripted import ScriptedServer


class AccessPath(FrontCase):
    async def answered(self, answer: bytes, *, close: bool = False, late: bool = False) -> str:
        """Return why the console is refused after this answer.

        :param late: let the deadline expire after the answer.
        """
        time = HeldTime()
        self.port = self.listen(ScriptedServer((Send(answer), *(LEAVES["close"] if close else ()))))
        self.info = {"internal_access_path": "/console?uuid=1"}
        self.novnc_on(time)
        viewer = await self.websocket()
        while late and [session.phase for session in self.front.registry] != ["access path"]:
            await deferLater(reactor, 0)
        if late:
            time.spend(self.settings().dial_deadline)
        self.assertEqual(await refused(viewer), errors.ConsoleUnreachable.sentence)
        await viewer.until_closed()
        record = await self.ended()
        self.events.clear()
        return f"{record['phase']}: {record['detail']}"

    async def test_what_is_no_200(self) -> None:
        for answer in (
            b"HTTP/1.1 404 200 OK\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"HTTP/1.1 503 \r\nX: HTTP/1.1 200 OK\r\n\r\n",
            b"RFB 003.008\n\n",
            b"200\r\n\r\n",
            b"x" * 20000,
        ):
            self.assertTrue((await self.answered(answer)).startswith("access path"), answer[:30])
        self.assertIn("access path: no answer", await self.answered(b"HTTP/1.1 200 OK\r\n", late=True))
        self.assertIn("closed", await self.answered(b"HTTP/1.1 200 OK\r\n", close=True))

    async def test_a_bad_path_is_not_sent(self) -> None:
        for path in ("/x\r\nEvil: 1", "/" + "x" * 1024):
            self.info = {"internal_access_path": path}
            self.novnc()
            viewer = await self.websocket()
            await refused(viewer)
            connection = await self.server.accepted.get()
            await connection.gone
            self.assertEqual(connection.client_version, b"")
            detail = (await self.ended())["detail"]
            self.assertIn("is empty, is longer than 1024 characters, or contains characters", detail)
            self.events.clear()

    async def test_bytes_that_come_with_the_200_are_kept(self) -> None:
        server = self.server
        heard: Deferred[bytes] = Deferred()

        class Gate(Protocol):
            """Sends the answer to CONNECT with the VNC server's first bytes, and then acts as the VNC server."""

            head = b""
            inner: Any = None

            def dataReceived(self, data: bytes) -> None:
                if self.inner is not None:
                    self.inner.dataReceived(data)
                    return
                self.head += data
                if self.head.endswith(b"\r\n\r\n"):
                    heard.callback(self.head)
                    self.inner = server.buildProtocol(None)
                    self.transport.write(b"HTTP/1.0 200 Connection established\r\n\r\n")
                    self.inner.makeConnection(self.transport)  # most likely in the same segment

            def connectionLost(self, reason: Any = None) -> None:
                self.inner.connectionLost()

        self.port = self.listen(Factory.forProtocol(Gate))
        self.info = {"internal_access_path": "/console?uuid=1"}
        self.novnc()
        await introduce(await self.websocket())
        self.assertEqual(await heard, b"CONNECT /console?uuid=1 HTTP/1.1\r\n\r\n")
