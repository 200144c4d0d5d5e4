"""Limits of sessions over all proxies: each says which it is; simultaneous links, and proxies that do not answer."""

from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.consoleauth.session_counts import SETTLE, SessionRules
from novnc_twisted.contract.topics import PROXY
from novnc_twisted.errors import (
    ServiceUnavailable,
    TooManyForProject,
    TooManyForServer,
    TooManyForUser,
    TooManyFromAddress,
)
from tests.consoleauth.harness import VIEWER, VM, ConsoleAuthCase


class CountCase(ConsoleAuthCase):
    async def setUp(self) -> None:
        await super().setUp()
        (await self.host()).run()
        self.asked: list[dict[str, Any]] = []
        self.counts: dict[str, Any] = {}
        self.hangs = False
        for worker in "ab":
            topic = PROXY.of("h", worker)
            methods = {"count_sessions": self.count_sessions}
            await self.transport.serve(topic, methods, binary="novnc-sessions", host="h")

    async def count_sessions(self, **wanted: Any) -> Any:
        self.asked.append(wanted)
        if self.hangs:
            await Deferred()
        return {name: self.counts.get(name, 0) for name in wanted}

    async def begin(self, **rules: int) -> None:
        await self.serve(session_rules=SessionRules(**rules))
        await self.token()


class CountTests(CountCase):
    async def test_off(self) -> None:
        """No proxy is asked; nor for the limit that each process has by itself."""
        await self.begin(max_sessions_per_server=1)
        await self.check()
        self.assertEqual(self.asked, [])

    async def test_what_is_asked(self) -> None:
        await self.begin(
            max_sessions_per_user=9, max_sessions_per_project=9, max_sessions_per_address=9, max_sessions_per_server=9
        )
        await self.check()
        keys = {"user_id": "u", "project_id": "p", "client_network": VIEWER, "server_id": VM}
        self.assertEqual(self.asked, [keys] * 2)

    async def test_an_ipv6_network(self) -> None:
        await self.begin(max_sessions_per_address=9)
        await self.check(viewer="2001:db8::1:2:3:4")
        self.assertEqual(self.asked[0], {"client_network": "2001:db8::/64"})

    async def test_each_limit_says_which_it_is(self) -> None:
        """The sessions of all proxies count together."""
        for option, field, refusal in (
            ("user", "user_id", TooManyForUser),
            ("project", "project_id", TooManyForProject),
            ("address", "client_network", TooManyFromAddress),
            ("server", "server_id", TooManyForServer),
        ):
            await self.transport.stop()
            await self.setUp()
            await self.begin(**{"max_sessions_per_user": 100, f"max_sessions_per_{option}": 5})
            self.counts = {field: 2}
            await self.check()
            self.clock.advance(SETTLE)
            self.counts = {field: 3}
            refused = await self.refused(refusal, self.check())
            self.assertEqual((refused.close_code, refused.detail), (4429, f"max_sessions_per_{option} is 5"))

    async def test_a_user_without_a_name(self) -> None:
        await self.serve(session_rules=SessionRules(max_sessions_per_user=1))
        await self.token(user_id=None)
        await self.check()
        self.assertEqual(self.asked, [])

    async def test_a_one_time_token_is_not_used_up(self) -> None:
        await self.serve(session_rules=SessionRules(max_sessions_per_user=1), one_time=True)
        await self.token()
        self.counts = {"user_id": 1}
        await self.refused(TooManyForUser, self.check())
        self.counts = {}
        await self.check()

    async def test_no_answer_is_never_no(self) -> None:
        await self.begin(max_sessions_per_user=5)
        self.hangs = True
        asked = Deferred.fromCoroutine(self.check())
        self.clock.advance(1)
        refusal = self.failureResultOf(asked, ServiceUnavailable).value
        self.assertIn("no answer of proxy.h.a, proxy.h.b", refusal.detail)
        self.hangs = False
        await self.check()

    async def test_wrong_answers(self) -> None:
        await self.begin(max_sessions_per_user=5)
        for wrong in (-5, True, "5", None, [5]):
            self.counts = {"user_id": wrong}
            await self.check()
            self.clock.advance(SETTLE)

    async def test_simultaneous_links(self) -> None:
        """The second one is counted when the proxy of the first has had its answer; another user does not wait."""
        await self.begin(max_sessions_per_user=1)
        await self.token("other", user_id="v")
        await self.check()
        second = Deferred.fromCoroutine(self.check())
        self.assertNoResult(second)
        await self.check("other")
        self.counts = {"user_id": 1}
        self.clock.advance(SETTLE)
        self.failureResultOf(second, TooManyForUser)

    async def test_nothing_is_left(self) -> None:
        manager = await self.serve(session_rules=SessionRules(max_sessions_per_user=1, max_sessions_per_address=1))
        await self.token()
        for counts in ({}, {"user_id": 1}):
            self.counts = counts
            waiting = [Deferred.fromCoroutine(self.check()) for _ in range(3)]
            waiting[-1].addErrback(lambda _: None).cancel()
            for _ in range(3):
                self.clock.advance(SETTLE)
            for each in waiting:
                each.addErrback(lambda _: None)
        self.assertEqual(manager._counts._locks, {})
