"""Two fronts of one process: they count sessions and failed attempts together."""

from twisted.internet import reactor

from novnc_twisted.access.failures import Failures
from novnc_twisted.errors import InvalidToken, TooManyFailures, TooManySessions
from novnc_twisted.session import SessionLimits
from tests.session.harness import TOKEN, FrontCase, introduce, refused


class TwoFronts(FrontCase):
    async def by_xvp(self, port: int, token: str) -> bytes:
        """How a Java viewer is refused."""
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
        failures = Failures(1, reactor.seconds)
        self.xvp(failures=failures)
        xvp_port = self.front_port
        self.novnc(failures=failures)
        viewer = await self.websocket("/?token=wrong")
        self.assertEqual(await refused(viewer), InvalidToken.sentence)
        await viewer.until_closed()
        await self.all_over()
        self.assertIn(TooManyFailures.sentence.encode(), await self.by_xvp(xvp_port, TOKEN))
