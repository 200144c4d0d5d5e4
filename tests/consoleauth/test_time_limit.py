"""A method answers while its caller still waits, even if each of its calls takes as long as possible."""

from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.access import hash_token
from novnc_twisted.consoleauth.session_counts import SessionRules
from novnc_twisted.contract.topics import PROXY
from novnc_twisted.errors import ServiceUnavailable
from tests.consoleauth.harness import TOKEN, VIEWER, VM, ConsoleAuthCase
from tests.consoleauth.people_case import PeopleCase

HANGS: Any = Deferred

WAITED = 5.0
"""Seconds for which the callers of consoleauth wait."""


class CallsToHosts(ConsoleAuthCase):
    """The host of the token is slow, and another one with the same address hangs."""

    async def begin(self, **policy: Any) -> None:
        await self.serve(**policy)
        self.one = await self.host("one", "shared.example")
        self.two = await self.host("two", "shared.example")
        self.one.run()
        await self.token()
        self.slow: Deferred[None] = Deferred()
        self.one.held = {"validate_console_port": self.slow, "get_vnc_password": HANGS(), "change_power": HANGS()}
        self.two.hangs = True

    def answers_after(self, work: Any, seconds: float) -> "Deferred[Any]":
        """Begin the work, and let the host of the token answer after this time; then wait as long as a caller does."""
        found = Deferred.fromCoroutine(work)
        self.clock.advance(seconds)
        self.slow.callback(None)
        self.clock.pump([0.1] * round((WAITED - seconds) * 10 + 1))
        return found

    async def unavailable(self, found: "Deferred[Any]", detail: str) -> None:
        self.assertIn(detail, str(await self.assertFailure(found, ServiceUnavailable)))

    async def test_the_password(self) -> None:
        await self.begin()
        found = self.answers_after(self.api.get_vnc_password(TOKEN, "novnc", VIEWER), 2.9)
        await self.unavailable(found, "compute.one did not answer")

    async def test_power(self) -> None:
        await self.begin()
        found = self.answers_after(self.api.change_power(TOKEN, "novnc", VIEWER, "reset"), 2.9)
        await self.unavailable(found, "compute.one did not answer")

    async def test_a_host_that_hangs_at_once(self) -> None:
        """The calls that look for the server leave time for the last one."""
        await self.begin()
        found = Deferred.fromCoroutine(self.api.get_vnc_password(TOKEN, "novnc", VIEWER))
        self.clock.pump([0.1] * round(WAITED * 10 + 1))
        await self.unavailable(found, "compute.one did not answer")

    async def test_the_count_of_sessions(self) -> None:
        await self.begin(session_rules=SessionRules(max_sessions_per_user=5))
        methods = {"count_sessions": lambda **wanted: HANGS()}
        await self.transport.serve(PROXY.of("h", "w"), methods, binary="novnc-sessions", host="h")
        await self.unavailable(self.answers_after(self.check(), 2.9), "cannot be counted")


class CallsToWorkers(PeopleCase):
    async def test_a_worker_that_hangs(self) -> None:
        """Taking control from a guest asks the workers, changes the guest's session, and informs the workers."""
        await self.begin()
        await self.one.open("a")
        await self.token("g", mode="control")
        await self.two.open("g", shared_from=hash_token("a"), token_hash=hash_token("g"))
        hanging = {"get_sessions", "set_mode", "show_people"}
        methods = {method: lambda **asked: HANGS() for method in hanging}
        topic = PROXY.of("h", "three")
        await self.transport.serve(topic, methods, binary="novnc-sessions", host="h")
        await self.transport.store.join(f"people:{VM}", topic, 60)
        taken = Deferred.fromCoroutine(self.one.change("a", "take", "g"))
        self.clock.pump([0.1] * round(WAITED * 10 + 1))
        self.assertIsNone(await taken)
        self.assertEqual(self.modes(), "a")
