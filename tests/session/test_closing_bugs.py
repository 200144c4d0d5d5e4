"""Bugs while a session ends: its other connections are still closed."""

from typing import Any

from novnc_twisted.errors import InvalidToken, Refusal, ServiceUnavailable
from novnc_twisted.novncproxy.protocol import NoVNCViewer
from novnc_twisted.relay.stream_end import StreamEnd
from tests.session.harness import FrontCase, introduce


class ClosingBugs(FrontCase):
    """Each bug is logged, and both connections are gone before the session counts as closed."""

    def breaks(self, owner: type, name: str) -> None:
        """Let a method raise an exception, after it has done its work."""
        method = getattr(owner, name)

        def broken(*arguments: Any) -> None:
            method(*arguments)
            raise ZeroDivisionError

        self.patch(owner, name, broken)

    async def test_the_reason_cannot_be_made(self) -> None:
        self.breaks(NoVNCViewer, "refusal")
        self.novnc()
        viewer = await self.websocket("/?token=unknown")
        self.assertEqual((await viewer.until_closed())[0], InvalidToken.close_code)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_the_servers_connection_of_a_refused_session(self) -> None:
        self.upstream_breaks()
        self.novnc()
        viewer = await self.websocket()
        await viewer.read(12)
        self.end_all()
        self.assertEqual((await viewer.until_closed())[0], ServiceUnavailable.close_code)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_the_servers_connection_of_a_live_session(self) -> None:
        self.upstream_breaks()
        await self.live()
        await self.ends_with_the_reason()

    async def test_the_relay_of_a_live_session(self) -> None:
        await self.live()
        (session,) = self.front.registry
        self.breaks(type(session.relay), "stop")
        await self.ends_with_the_reason()

    async def live(self) -> None:
        self.novnc()
        self.viewer = await self.websocket()
        await introduce(self.viewer)

    async def ends_with_the_reason(self) -> None:
        self.end_all()
        self.assertEqual((await self.viewer.until_closed())[0], ServiceUnavailable.close_code)
        await self.server.connections[0].gone
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def end_all(self) -> None:
        for session in self.front.registry:
            session.end(ServiceUnavailable())

    def upstream_breaks(self) -> None:
        close = StreamEnd.close

        def broken(end: StreamEnd, cause: Refusal) -> None:
            close(end, cause)
            if end.peer == f"127.0.0.1:{self.port}":
                raise ZeroDivisionError

        self.patch(StreamEnd, "close", broken)
