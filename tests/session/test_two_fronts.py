"""Two fronts of one process: they count sessions and failed attempts together."""

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from novnc_twisted.access.failures import Failures
from novnc_twisted.contract import ConnectInfo
from novnc_twisted.errors import InvalidToken, TooManyFailures, TooManySessions
from novnc_twisted.session import SessionLimits
from tests.session.harness import TOKEN, FrontCase, introduce, refused


class TwoFronts(FrontCase):
    async def by_xvp(self, port: int, token: str) -> bytes:
        """Connect as a Java viewer; return the whole response."""
        viewer = await self.raw(port)
        viewer.write(f"CONNECT /console?token={token} HTTP/1.0\r\n\r\n".encode())
        return await viewer.everything()

    async def test_one_limit(self) -> None:
        limits = SessionLimits(max_sessions=1)
        self.xvp(limits=limits)
        xvp_port = self.front_port
        self.novnc(limits=limits)
        await introduce(await self.websocket())
        self.assertIn(TooManySessions.sentence.encode(), await self.by_xvp(xvp_port, TOKEN))

    async def test_one_count_of_failures(self) -> None:
        """Above the limit, both fronts together check one token at a time."""
        failures = Failures(1, reactor.seconds)
        answer: Deferred[None] = Deferred()

        async def authorise(token: str, *_: str) -> ConnectInfo:
            if token == "held":
                await answer
            raise InvalidToken("unknown")

        self.xvp(authorise, failures=failures)
        xvp_port = self.front_port
        self.novnc(authorise, failures=failures)
        for token in ("wrong", "held"):
            viewer = await self.websocket(f"/?token={token}")
            if token == "wrong":
                self.assertEqual(await refused(viewer), InvalidToken.sentence)
                await viewer.until_closed()
        self.assertIn(TooManyFailures.sentence.encode(), await self.by_xvp(xvp_port, "other"))
        answer.callback(None)
        self.assertEqual(await refused(viewer), InvalidToken.sentence)
        await viewer.until_closed()
        self.assertIn(InvalidToken.sentence.encode(), await self.by_xvp(xvp_port, "other"))
