"""Whole sessions that a token file authorises."""

from pathlib import Path

from novnc_twisted.token_plugins import TokenFile, TokenPluginAuthority
from tests.session.harness import FrontCase, introduce, refused


class SessionTests(FrontCase):
    def begin(self, **more: bool) -> None:
        self.path = Path(self.mktemp())
        self.path.write_text(f"one: 127.0.0.1:{self.port}\n")
        authority = TokenPluginAuthority(TokenFile(str(self.path)), **more)
        self.novnc(
            authority.check_token,
            keep_token=authority.keep_token,
            find_again=authority.find_again,
            settings=self.settings(keep_interval=0.01, max_token=authority.max_token),
        )

    async def refusal(self, token: str) -> int:
        """Return the close code of a refusal."""
        viewer = await self.websocket(f"/?token={token}")
        await refused(viewer)
        return (await viewer.until_closed())[0]

    async def test_a_token_that_is_removed(self) -> None:
        """With enforce_session_timeout, the session ends.  New sessions are refused."""
        self.begin(enforce_session_timeout=True)
        viewer = await self.websocket("/?token=one")
        await introduce(viewer)
        self.path.write_text("another: 127.0.0.1:1\n")
        self.assertEqual((await viewer.until_closed())[0], 4410)
        self.assertEqual(await self.refusal("one"), 4401)
        await self.all_over()

    async def test_a_session_that_outlives_its_token(self) -> None:
        self.begin()
        viewer = await self.websocket("/?token=one")
        await introduce(viewer)
        self.path.write_text("another: 127.0.0.1:1\n")
        self.assertEqual(await self.refusal("one"), 4401)
        ended = [event["phase"] for event in self.events if event.get("event") == "session"]
        self.assertNotIn("live", ended)

    async def test_a_token_that_is_too_long(self) -> None:
        self.begin()
        self.path.write_text(f"{'x' * 257}: 127.0.0.1:{self.port}\n")
        self.assertEqual(await self.refusal("x" * 257), 4401)
        self.assertEqual((await self.ended())["detail"], "longer than max_token, 256 characters")
