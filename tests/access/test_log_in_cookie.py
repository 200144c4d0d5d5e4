"""Browsers send the log-in cookie of the API's pages to the proxies, too; these never read, forward or log it."""

import secrets
from typing import Any

from twisted.internet.protocol import Factory, Protocol

from novnc_twisted import errors
from novnc_twisted.identity.browser_login import COOKIE
from tests.session.harness import HANDSHAKE, TOKEN, FrontCase, Raw, WebSocket, introduce, refused
from tests.support.handed_out import forms, secret
from tests.support.vnc_server import FakeVNCServer

PATH = "/console?uuid=1"


class Gate(Factory):
    """A server with an internal access path to a VNC server; stores all bytes that it receives."""

    noisy = False

    def __init__(self, server: FakeVNCServer) -> None:
        self.server = server
        self.received = b""

    def buildProtocol(self, addr: object) -> Protocol:
        return _GateConnection(self)


class _GateConnection(Protocol):
    inner: Any = None

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.head = b""

    def dataReceived(self, data: bytes) -> None:
        self.gate.received += data
        if self.inner is not None:
            self.inner.dataReceived(data)
            return
        self.head += data
        if self.head.endswith(b"\r\n\r\n"):
            self.inner = self.gate.server.buildProtocol(None)
            self.transport.write(b"HTTP/1.0 200 Connection established\r\n\r\n")
            self.inner.makeConnection(self.transport)

    def connectionLost(self, reason: Any = None) -> None:
        self.inner.connectionLost()


class LogInCookie(FrontCase):
    def setUp(self) -> None:
        super().setUp()
        self.gate = Gate(self.server)
        self.port = self.listen(self.gate)
        self.info = {"internal_access_path": PATH}
        self.login = secret(secrets.token_urlsafe(24))

    def cookie(self, value: str) -> str:
        return f"Cookie: theme=dark; {COOKIE}={value}; x\r\n"

    async def answer(self, request: str) -> bytes:
        """Send a request; return what the proxy sends until the connection ends."""
        client = await self.raw()
        client.write(request.encode())
        return await client.everything()

    async def types(self, viewer: Raw | WebSocket) -> None:
        """Begin a session, and press a key."""
        await introduce(viewer)
        connection = await self.server.live.get()
        viewer.write(b"\4\1\0\0\0\0\0A")
        await connection.inbox.get()

    async def assert_not_leaked(self, *answers: bytes) -> None:
        """Assert that no log and no answer has the cookie, and that the access path did not receive it."""
        await self.stop_sessions()  # a session is logged at its end
        self.assertTrue(self.gate.received.startswith(f"CONNECT {PATH} HTTP/1.1\r\n\r\nRFB".encode()))
        self.assertIn("myserver20", self.log_text())
        searched = (self.gate.received, self.log_text().encode(), *answers)
        for form in (COOKIE.encode(), *forms(self.login)):
            self.assertFalse(any(form in text for text in searched), form)

    async def test_novncproxy(self) -> None:
        self.novnc()
        field = self.cookie(self.login)
        page = await self.answer(f"GET /vnc_auto.html HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{field}\r\n")
        self.assertTrue(page.startswith(b"HTTP/1.1 "))
        broken = await self.answer(HANDSHAKE.format(path="/", more="Host: other\r\n" + field))
        self.assertTrue(broken.startswith(b"HTTP/1.1 400 "), broken)
        await self.types(await self.websocket(more=field))
        await self.assert_not_leaked(page, broken)

    async def test_xvpvncproxy(self) -> None:
        self.xvp()
        field = self.cookie(self.login)
        viewer = await self.raw()
        viewer.write(f"CONNECT /console?token={TOKEN} HTTP/1.0\r\n{field}\r\n".encode())
        self.assertEqual(await viewer.read(19), b"HTTP/1.1 200 OK\r\n\r\n")
        await self.types(viewer)
        await self.assert_not_leaked(await self.answer(f"BREW /console HTTP/1.0\r\n{field}\r\n"))

    async def test_it_is_no_token(self) -> None:
        """A valid console token as the value of this cookie opens no console."""
        field = self.cookie(TOKEN)
        self.novnc()
        viewer = await self.websocket("/", field)
        self.assertEqual(await refused(viewer), errors.TokenMissing.sentence)
        await viewer.until_closed()
        self.xvp()
        answer = await self.answer(f"CONNECT /console HTTP/1.0\r\n{field}\r\n")
        self.assertIn(errors.TokenMissing.sentence.encode(), answer)
        self.assertEqual((self.asked, self.gate.received), ([], b""))
