"""The option one_time: a token opens one console once."""

from typing import Any
from uuid import uuid4

from twisted.internet.defer import Deferred

from novnc_twisted.consoleauth.session_counts import SessionRules
from novnc_twisted.errors import InstanceNotFound, InvalidToken
from tests.consoleauth.harness import ELSEWHERE, TOKEN, VIEWER, VM, ConsoleAuthCase


class OneTimeTests(ConsoleAuthCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.vm = await self.host()
        self.vm.run()
        self.one_time = await self.serve(one_time=True)

    async def test_once(self) -> None:
        await self.token()
        info = await self.check()
        self.assertFalse(info.reconnects)
        await self.refused(InvalidToken, self.check())
        await self.api.keep_token(TOKEN, VIEWER)
        await self.refused(InvalidToken, self.check())

    async def test_a_shorter_token_ttl(self) -> None:
        """It applies to new tokens; existing ones keep their lifetime and the mark that they were used."""
        rules: Any = {"max_tokens_per_server": 64, "max_tokens_per_user": 64, "history_retention": 60.0}
        other = str(uuid4())
        until = await self.token()
        self.one_time.change(token_ttl=1, session_rules=SessionRules(), **rules)
        self.assertEqual(await self.token(other), until - 599)
        self.clock.advance(2)
        await self.refused(InvalidToken, self.check(other))
        await self.check()
        self.clock.advance(500)
        await self.refused(InvalidToken, self.check())

    async def test_it_is_not_asked_for_again(self) -> None:
        """That would be a second use of the token."""
        await self.token()
        info = await self.check()
        self.assertIsNone(await self.api.find_again(TOKEN, VIEWER, info))

    async def test_a_used_token_is_refused_without_asking_the_host(self) -> None:
        await self.token()
        await self.check()
        self.vm.asked.clear()
        await self.refused(InvalidToken, self.check())
        self.assertEqual(self.vm.asked, [])

    async def test_one_of_two_at_once(self) -> None:
        await self.token()
        results = [Deferred.fromCoroutine(self.check()) for _ in range(8)]
        good = []
        for result in results:
            result.addCallbacks(good.append, lambda failure: failure.trap(InvalidToken))
            await result
        self.assertEqual(len(good), 1)

    async def test_the_password_of_the_same_connection(self) -> None:
        self.vm.passwords[VM] = "secret"
        await self.token()
        await self.refused(InvalidToken, self.api.get_vnc_password(TOKEN, "novnc", VIEWER))
        await self.check()
        self.assertEqual(await self.api.get_vnc_password(TOKEN, "novnc", VIEWER), "secret")
        await self.refused(InvalidToken, self.api.get_vnc_password(TOKEN, "novnc", ELSEWHERE))

    async def test_a_missing_server_does_not_use_the_token_up(self) -> None:
        self.vm.consoles.clear()
        await self.token()
        await self.refused(InstanceNotFound, self.check())
        self.vm.run()
        await self.check()

    async def test_it_does_not_become_new_again(self) -> None:
        await self.token()
        await self.check()
        for _ in range(10):
            self.clock.advance(60)
            await self.refused(InvalidToken, self.check())
