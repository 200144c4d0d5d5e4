"""The test case of the Redis transport."""

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging import transport_from_url
from tests.support.logged import Logged
from tests.support.redis_server import RedisServer


class RedisTestCase(TestCase):
    """A TestCase with a real Redis; each test makes the transports that it needs."""

    timeout = 300

    def setUp(self) -> None:
        self.logged = Logged(self)
        self.ran: list[Any] = []

    async def transport(self, url: str, role: str = "") -> Any:
        """Start a transport, which is stopped at the end of the test."""
        transport = transport_from_url(reactor, url, role)
        self.addCleanup(transport.stop)
        await transport.start()
        return transport

    async def pair(self, redis: RedisServer) -> tuple[Any, Any]:
        """A caller and a server of the topic ``t``: ``note(value)`` notes its value in ``ran`` and returns it.

        ``wait(seconds)`` notes that it waits, then waits.
        """
        caller, server = await self.transport(redis.url), await self.transport(redis.url)
        await self.serve(server)
        return caller, server

    async def serve(self, server: Any) -> Any:
        """Serve the topic ``t``."""

        async def note(value: Any) -> Any:
            self.ran.append(value)
            return value

        async def wait(seconds: float) -> None:
            self.ran.append("waits")
            await self.pause(seconds)

        return await server.serve("t", {"note": note, "wait": wait}, binary="nova-consoleauth", host="control")

    def pause(self, seconds: float) -> Deferred[None]:
        """Wait in real time."""
        return deferLater(reactor, seconds, lambda: None)

    async def until_answered(self, caller: Any, value: Any) -> None:
        """Call until there is an answer, as callers of idempotent methods do; the test's time-out ends it.

        A call whose answer is late is repeated, and may have run more than once.
        """
        while True:
            try:
                self.assertEqual(await caller.call("t", "note", deadline=1, value=value), value)
                return
            except ServiceUnavailable:
                await self.pause(0.05)

    async def until(self, condition: Any) -> None:
        """Wait until a condition holds; the test's time-out ends it."""
        while not condition():
            await self.pause(0.01)

    async def fails(self, called: Deferred[Any]) -> str:
        """Assert that a call fails with ServiceUnavailable, and return the detail."""
        with self.assertRaises(ServiceUnavailable) as caught:
            await called
        return caught.exception.detail

    def assert_quiet(self, lost: int, back: int) -> None:
        """Assert how many lines report that Redis was lost and is back, and that nothing else was logged about it."""
        self.assertEqual(len(self.logged.lines("cannot be reached")), lost, self.logged.lines())
        self.assertEqual(len(self.logged.lines("is back")), back, self.logged.lines())
        self.assertEqual(len(self.logged.lines("Redis at")), lost + back, self.logged.lines())
        self.assertEqual(self.logged.lines("Traceback"), [])
        self.assertEqual(self.flushLoggedErrors(), [])
