"""max_tokens_per_user: many links of one user drop only tokens of this user, and use bounded memory."""

from novnc_twisted.errors import InvalidToken
from tests.consoleauth.harness import OTHER_VM, VM, ConsoleAuthCase


class UserTests(ConsoleAuthCase):
    async def setUp(self) -> None:
        await super().setUp()
        (await self.host()).run()
        self.hosts["one"].run(OTHER_VM, port=5901)

    async def dropped(self, *tokens: str) -> None:
        for token in tokens:
            await self.refused(InvalidToken, self.check(token))

    async def good(self, *tokens: str) -> None:
        for token in tokens:
            await self.check(token)

    async def test_one_more_drops_the_oldest(self) -> None:
        """The oldest token of any server is dropped; tokens of other users stay."""
        await self.serve(max_tokens_per_user=3)
        await self.token("other", user_id="somebody else")
        await self.token("nobody", user_id=None)
        for number, uuid in enumerate((VM, OTHER_VM, VM, OTHER_VM, VM)):
            await self.token(f"t{number}", instance_uuid=uuid)
            self.clock.advance(1)
        await self.dropped("t0", "t1")
        await self.good("t2", "t3", "t4", "other", "nobody")

    async def test_only_valid_ones_count(self) -> None:
        """Expired tokens, tokens of a deleted server, and tokens that another limit dropped do not count."""
        await self.serve(max_tokens_per_user=3, max_tokens_per_server=2, token_ttl=100)
        await self.token("expired")
        self.clock.advance(100)
        await self.token("gone", instance_uuid=OTHER_VM)
        await self.delete_tokens(OTHER_VM)
        self.clock.advance(1)
        for name in ("a", "b", "c"):
            await self.token(name)
        await self.token("d", instance_uuid=OTHER_VM)
        await self.dropped("a")
        await self.good("b", "c", "d")

    async def test_what_is_gone_drops_nothing_older(self) -> None:
        await self.serve(max_tokens_per_user=3)
        await self.token("old", instance_uuid=OTHER_VM)
        for name in ("a", "b"):
            await self.token(name)
        await self.delete_tokens(VM)
        self.clock.advance(1)
        await self.token("c")
        await self.token("d")
        await self.good("old", "c", "d")

    async def test_the_same_call_once_more(self) -> None:
        await self.serve(max_tokens_per_user=2)
        for name in ("a", "b", "b", "b"):
            await self.token(name)
        await self.good("a", "b")

    async def test_zero_is_off(self) -> None:
        await self.serve(max_tokens_per_user=0, max_tokens_per_server=0)
        for number in range(1100):
            await self.token(f"t{number}")
        await self.good("t0")

    async def test_1024_by_default(self) -> None:
        await self.serve(max_tokens_per_server=0)
        for number in range(1025):
            await self.token(f"t{number}")
        await self.dropped("t0")
        await self.good("t1")

    async def test_a_strange_name(self) -> None:
        await self.serve(max_tokens_per_user=1)
        for token in ("a", "b"):
            await self.token(token, user_id="Bob Ö:* 'x'")
        await self.dropped("a")
        await self.good("b")

    async def test_nothing_is_left_of_what_expired(self) -> None:
        await self.serve(max_tokens_per_user=2, token_ttl=100)
        for name in ("a", "b", "c"):
            await self.token(name)
        self.clock.advance(4000)
        await self.token("d")
        # The token, and its entries in the indexes of the user and the project.
        self.assertEqual(len(self.transport.store), 3)
