"""A store that has lost its data gets back the tokens in use; dropped tokens stay dropped."""

from unittest import mock

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access import hash_token
from novnc_twisted.consoleauth import recent
from novnc_twisted.consoleauth.recent import RecentTokens
from novnc_twisted.consoleauth.store import DROPPED, TokenRecord
from novnc_twisted.contract import ConnectInfo
from novnc_twisted.errors import InvalidToken, Revoked
from tests.consoleauth.harness import TOKEN, VIEWER, VM, ConsoleAuthCase
from tests.support.logged import Logged

HASH = hash_token(TOKEN)
SECOND, THIRD, FOURTH = (f"0b3a1c7e-2f5d-4e0b-9c43-6a1f7d2e8b9{number}" for number in range(1, 4))


class LostTests(ConsoleAuthCase):
    """Tokens that the store has lost."""

    async def setUp(self) -> None:
        await super().setUp()
        self.transport.store.may_lose_data = True  # as Redis may

    async def test_a_store_that_cannot_lose_anything(self) -> None:
        """consoleauth remembers no token: the memory store loses its data only with this process."""
        self.transport.store.may_lose_data = False
        await self.used()
        await self.refused(InvalidToken, self.check())

    async def used(self, **policy: object) -> None:
        """Make a token, use it, and let the store lose it."""
        await self.serve(**policy)
        (await self.host()).run()
        await self.token()
        await self.check()
        await self.lose()

    async def lose(self) -> None:
        self.assertEqual(await self.transport.store.remove(f"token:{HASH}"), 1)

    async def test_a_live_session_keeps_its_token(self) -> None:
        await self.used(token_ttl=100)
        self.clock.advance(90)
        logged = Logged(self)
        await self.api.keep_token(TOKEN, VIEWER)
        self.assertEqual(len(logged.lines("Redis has lost tokens")), 1)
        self.clock.advance(50)
        self.assertEqual((await self.check()).host, "one.example")
        self.clock.advance(10)
        await self.refused(InvalidToken, self.check())

    async def test_a_session_longer_than_the_tokens_time(self) -> None:
        await self.serve(token_ttl=100)
        (await self.host()).run()
        await self.token()
        await self.check()
        for _ in range(100):
            self.clock.advance(20)
            await self.api.keep_token(TOKEN, VIEWER)
        await self.lose()
        await self.refused(InvalidToken, self.check())
        await self.api.keep_token(TOKEN, VIEWER)
        await self.check()

    async def test_a_valid_token_is_good_at_once(self) -> None:
        await self.used(token_ttl=100)
        self.clock.advance(99)
        await self.check(viewer="198.51.100.9")
        self.clock.advance(1)
        await self.refused(InvalidToken, self.check())

    async def test_one_line_a_minute(self) -> None:
        await self.used()
        logged = Logged(self)
        for _ in range(3):
            await self.check()
            await self.lose()
        self.assertEqual(len(logged.lines("Redis has lost tokens")), 1)

    async def test_an_unused_token_is_not_restored(self) -> None:
        await self.serve()
        (await self.host()).run()
        await self.token()
        await self.lose()
        await self.api.keep_token(TOKEN, VIEWER)
        await self.refused(InvalidToken, self.check())

    async def test_a_token_that_was_not_used_for_an_hour(self) -> None:
        """It is remembered for no longer than the store keeps the marks of dropped tokens."""
        await self.serve(token_ttl=10_000)
        (await self.host()).run()
        await self.token()
        await self.check()
        self.clock.advance(DROPPED + 1)
        await self.lose()
        await self.refused(InvalidToken, self.check())

    async def test_dropped_tokens_stay_dropped(self) -> None:
        """Neither of two consoleauths, which receive the calls in turn, restores them."""
        for _ in range(2):
            await self.serve()
        (await self.host()).run()
        await self.token()
        for _ in range(4):
            await self.check()
        self.assertEqual(await self.delete_tokens(VM), 1)
        for _ in range(4):
            await self.refused(Revoked, self.api.keep_token(TOKEN, VIEWER))
            await self.refused(InvalidToken, self.check())
        self.clock.advance(1)
        other = "0b3a1c7e-2f5d-4e0b-9c43-6a1f7d2e8b90"
        await self.token(other)
        await self.check(other)

    async def test_surplus_tokens_stay_dropped(self) -> None:
        for limit in ({"max_tokens_per_server": 1}, {"max_tokens_per_user": 1}):
            await self.setUp()
            await self.serve(**limit)
            (await self.host()).run()
            await self.token()
            await self.check()
            self.clock.advance(1)
            await self.token("0b3a1c7e-2f5d-4e0b-9c43-6a1f7d2e8b90")
            await self.api.keep_token(TOKEN, VIEWER)
            await self.refused(InvalidToken, self.check())

    async def test_dropped_after_one_was_restored(self) -> None:
        """The restored token is the oldest, although it is last in the index of the server."""
        for _ in range(2):
            await self.serve()
        (await self.host()).run()
        await self.token()
        self.clock.advance(10)
        await self.token(SECOND)
        for token in (TOKEN, SECOND):
            for _ in range(2):
                await self.check(token)
        await self.lose()
        await self.check()
        self.assertEqual(await self.delete_tokens(VM), 2)
        for _ in range(2):
            for token in (TOKEN, SECOND):
                await self.refused(Revoked, self.api.keep_token(token, VIEWER))
                await self.refused(InvalidToken, self.check(token))

    async def test_dropped_by_a_consoleauth_that_knows_only_shorter_lifetimes(self) -> None:
        """Another one that remembers the token does not restore it, even if the store had lost it before the drop."""
        for lost in (False, True):
            await self.setUp()
            first = await self.serve(token_ttl=86_400)
            (await self.host()).run()
            await self.token()
            await first.stop()
            second = await self.serve(token_ttl=600)
            await self.check()
            if lost:
                await self.lose()
            await self.manager(token_ttl=600)._policy.drop_of_instance(VM, "gone")
            await self.refused(InvalidToken, self.check())
            self.assertEqual(await self.transport.store.indexed(f"instance:{VM}"), [])
            await second.stop()

    async def test_surplus_tokens_after_one_was_restored(self) -> None:
        """The restored token is dropped after a newer one, and both stay dropped."""
        await self.serve(max_tokens_per_server=2)
        (await self.host()).run()
        for token in (TOKEN, SECOND):
            await self.token(token)
            await self.check(token)
            self.clock.advance(10)
        await self.lose()
        await self.check()
        for token in (THIRD, FOURTH):
            await self.token(token)
        for token in (TOKEN, SECOND):
            await self.api.keep_token(token, VIEWER)
            await self.refused(InvalidToken, self.check(token))

    async def test_dropped_while_the_store_has_lost_it(self) -> None:
        await self.used()
        self.assertEqual(await self.delete_tokens(VM), 0)
        await self.refused(Revoked, self.api.keep_token(TOKEN, VIEWER))
        await self.refused(InvalidToken, self.check())

    async def test_one_time(self) -> None:
        """It is not restored, because the mark of its use is lost as well."""
        await self.used(one_time=True)
        await self.transport.store.remove(f"used:{HASH}")
        await self.api.keep_token(TOKEN, VIEWER)
        await self.refused(InvalidToken, self.check())

    async def test_bound_to_the_address_of_its_first_use(self) -> None:
        await self.used(bind_address=True)
        await self.transport.store.remove(f"bound:{HASH}")
        await self.refused(InvalidToken, self.check(viewer="198.51.100.9"))

    async def test_bound_to_the_address_that_asked(self) -> None:
        await self.serve(bind_address=True)
        (await self.host()).run()
        await self.token(client_address=VIEWER)
        await self.check()
        await self.lose()
        await self.check()


class ClockTests(ConsoleAuthCase):
    """Tokens expire by the clock of the store, not by that of this machine."""

    async def test_another_wall_clock(self) -> None:
        for _ in range(2):
            manager = self.manager()
            await manager.start()
        (await self.host()).run()
        await self.token()
        with mock.patch("time.time", return_value=4e9):
            for _ in range(2):
                await self.check()
        self.clock.advance(600)
        for _ in range(2):
            await self.refused(InvalidToken, self.check())


class RecentTests(SynchronousTestCase):
    """RecentTokens holds a bounded number of records, for a bounded time."""

    def test_bounds(self) -> None:
        clock = Clock()
        tokens = RecentTokens(clock, 10)
        record = TokenRecord(connect_info=ConnectInfo(host="h", port=1), expires_at=0.0)
        self.patch(recent, "MAX_RECENT", 3)
        for name in "abcabd":
            tokens.used(name, record)
        self.assertEqual([tokens.get(name) for name in "abcd"], [record, record, None, record])
        tokens.forget("a")
        tokens.forget("a")
        self.assertIsNone(tokens.get("a"))
        clock.advance(5)
        tokens.used("b", record)
        clock.advance(6)
        self.assertEqual([tokens.get(name) for name in "bd"], [record, None])
        self.assertEqual(len(tokens), 1)
