"""Leases, with which a token admits the same viewer after its expiry."""

from novnc_twisted.access.tokens import hash_token
from novnc_twisted.consoleauth import ConsoleAuthAPI
from novnc_twisted.consoleauth.shared_tokens import LONGEST
from novnc_twisted.errors import InvalidToken
from tests.consoleauth.harness import ELSEWHERE, TOKEN, VIEWER, VM, ConsoleAuthCase


class LeaseTests(ConsoleAuthCase):
    """While a session lives, and 60 s after it was lost, its token admits the same viewer again."""

    async def setUp(self) -> None:
        await super().setUp()
        (await self.host()).run()

    async def live(self, seconds: float) -> None:
        """Let a session live for some time; its proxy renews the lease every 20 s."""
        while seconds > 0:
            await self.api.keep_token(TOKEN, VIEWER)
            self.clock.advance(min(20, seconds))
            seconds -= 20

    async def test_a_live_session(self) -> None:
        await self.serve(token_ttl=30)
        await self.token()
        await self.live(1000)
        await self.check()
        await self.refused(InvalidToken, self.check(viewer=ELSEWHERE))

    async def test_no_renewal_is_needed_long_before_the_ttl_ends(self) -> None:
        await self.serve(token_ttl=600)
        await self.token()
        self.clock.advance(100)
        begins = (await self.check()).keep_from
        self.assertEqual(begins, 600 - 100 - 60 - 30)
        self.clock.advance(begins + 30)  # lost just before its first renewal, after the longest set-up
        self.clock.advance(59.999)
        await self.check()
        self.assertEqual((await self.check()).keep_from, 0)

    async def test_60_seconds_after_it_was_lost(self) -> None:
        await self.serve(token_ttl=30)
        await self.token()
        await self.live(110)
        await self.api.keep_token(TOKEN, VIEWER)
        self.clock.advance(59.999)
        await self.check()
        self.clock.advance(0.001)
        await self.refused(InvalidToken, self.check())

    async def test_a_session_that_begins_just_before_the_ttl_ends(self) -> None:
        await self.serve(token_ttl=600)
        await self.token()
        self.clock.advance(599.9)
        await self.check()
        self.clock.advance(2)  # the handshakes
        await self.api.keep_token(TOKEN, VIEWER)
        self.clock.advance(50)
        await self.check()

    async def test_an_outage_of_consoleauth_under_a_live_session(self) -> None:
        await self.serve(token_ttl=30)
        await self.token()
        await self.live(100)
        self.clock.advance(200)
        await self.refused(InvalidToken, self.check())
        await self.api.keep_token(TOKEN, VIEWER)
        await self.check()

    async def test_a_changed_mode_lasts_as_long_as_its_session(self) -> None:
        await self.serve(token_ttl=30)
        await self.token()
        await self.api.set_mode(hash_token(TOKEN), "view")
        for _ in range(round((LONGEST + 1000) / 50)):
            await self.api.keep_token(TOKEN, VIEWER)
            self.clock.advance(50)
        self.assertEqual((await self.check()).mode, "view")

    async def test_other_addresses_within_the_ttl(self) -> None:
        await self.serve(token_ttl=600)
        await self.token()
        await self.live(100)
        await self.check(viewer=ELSEWHERE)

    async def test_not_with_enforce_session_timeout(self) -> None:
        await self.serve(token_ttl=30, enforce_session_timeout=True)
        expires_at = await self.token()
        info = await self.check()
        self.assertEqual((info.expires_at, info.reconnects), (expires_at, False))
        skewed = ConsoleAuthAPI(self.transport, now=lambda: 1e9)
        self.assertEqual((await skewed.check_token(TOKEN, "novnc", VIEWER)).expires_at, 1e9 + 30)
        await self.api.keep_token(TOKEN, VIEWER)
        self.clock.advance(30)
        await self.refused(InvalidToken, self.check())

    async def test_a_dropped_token_stays_dropped(self) -> None:
        await self.serve()
        await self.token()
        await self.live(40)
        self.assertEqual(await self.delete_tokens(VM), 1)
        await self.api.keep_token(TOKEN, VIEWER)
        await self.refused(InvalidToken, self.check())
