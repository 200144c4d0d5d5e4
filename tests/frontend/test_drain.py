"""The connections of a proxy that stops, or whose port another process has taken over."""

from twisted.internet.defer import Deferred

from novnc_twisted.contract import ConnectInfo
from tests.session.harness import HANDSHAKE, TOKEN, FrontCase, Raw, WebSocket, introduce

GET = b"GET /vnc_auto.html HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class DrainTests(FrontCase):
    """``close_when_answered()``, and what :meth:`FrontFactory.empty` waits for."""

    async def page(self, client: Raw) -> bytes:
        """Request the page; return the head of the response after its whole body has arrived."""
        client.write(GET)
        head = (await client.until(b"\r\n\r\n")).lower()
        await client.read(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
        return head

    async def accepted(self) -> Raw:
        """A connection that the front has accepted, and that has sent nothing."""
        known = len(self.front.connections)
        client = await self.raw()
        # The front answers a later connection, so it has accepted this one before.
        await self.page(await self.raw())
        assert len(self.front.connections) == known + 2
        return client

    async def test_a_session_goes_on(self) -> None:
        """A live session and one whose token is being checked continue."""
        asked: Deferred[ConnectInfo] = Deferred()
        front = self.novnc()
        viewer = await self.websocket()
        await introduce(viewer)
        connection = await self.server.live.get()
        front.registry.services = front.registry.services.__class__(
            **{name: getattr(front.registry.services, name) for name in front.registry.services.__slots__}
            | {"authorise": lambda *_: asked}
        )
        late = await self.websocket()
        front.close_when_answered(first_requests=False)
        empty = Deferred.fromCoroutine(front.empty())
        asked.callback(await self.authorise(TOKEN, "novnc", "127.0.0.1"))
        await introduce(late)
        viewer.write(b"\3\0\0\0\0\0\0\x40\0\x30")
        self.assertEqual(await connection.inbox.get(), (3, b"\3\0\0\0\0\0\0\x40\0\x30"))
        self.assertNoResult(empty)
        late.raw.transport.loseConnection()
        viewer.raw.transport.loseConnection()
        await empty

    async def test_sigterm(self) -> None:
        """A connection that waits for its first request is closed."""
        front = self.novnc()
        waiting = await self.accepted()
        front.close_when_answered(first_requests=False)
        self.assertEqual(await waiting.everything(), b"")
        await front.empty()

    async def test_a_successor(self) -> None:
        """A connection that was accepted before the takeover may still begin a session, or get the page once."""
        front = self.novnc()
        begins, reads = await self.accepted(), await self.accepted()
        front.close_when_answered(first_requests=True)
        empty = Deferred.fromCoroutine(front.empty())
        self.assertIn(b"connection: close", await self.page(reads))
        self.assertEqual(await reads.everything(), b"")
        begins.write(HANDSHAKE.format(path=f"/?token={TOKEN}", more="").encode())
        await begins.until(b"\r\n\r\n")
        await introduce(WebSocket(begins))
        self.assertNoResult(empty)
        begins.transport.loseConnection()
        await empty
