"""What a traced transport logs; it never logs arguments and results."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import InvalidToken, ServiceUnavailable
from novnc_twisted.messaging.memory import MemoryTransport
from novnc_twisted.messaging.traced import TracedTransport


class TracedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.events: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)
        self.clock = Clock()
        self.transport = TracedTransport(MemoryTransport(self.clock), self.clock)
        self.successResultOf(self.transport.start())
        self.addCleanup(lambda: self.successResultOf(self.transport.stop()))
        self.later: Deferred[None] = Deferred()

        async def check_token(*, secret: str) -> dict[str, Any]:
            await self.later
            if secret == "wrong":
                raise InvalidToken("the token is unknown")
            return {"password": secret}

        methods = {"check_token": check_token}
        self.withdraw = self.successResultOf(self.transport.serve("consoleauth", methods, binary="b", host="h"))

    def lines(self) -> list[str]:
        self.assertEqual({event["log_level"] for event in self.events}, {LogLevel.debug})
        return [formatEvent(event) for event in self.events]

    def test_both_sides(self) -> None:
        call = self.transport.call("consoleauth", "check_token", secret="s3cret")
        self.clock.advance(0.25)
        self.later.callback(None)
        self.assertEqual(self.successResultOf(call), {"password": "s3cret"})
        line = "consoleauth check_token: answered after 250.0 ms"
        self.assertEqual(self.lines(), [f"served {line}", f"called {line}"])
        self.assertNotIn("s3cret", str(self.events))

    def test_a_refusal(self) -> None:
        self.later.callback(None)
        self.failureResultOf(self.transport.call("consoleauth", "check_token", secret="wrong"), InvalidToken)
        line = "consoleauth check_token: InvalidToken: the token is unknown after 0.0 ms"
        self.assertEqual(self.lines(), [f"served {line}", f"called {line}"])

    def test_nobody(self) -> None:
        self.failureResultOf(self.transport.call("nobody", "x"), ServiceUnavailable)
        self.assertEqual(self.lines(), ["called nobody x: ServiceUnavailable: nobody serves nobody after 0.0 ms"])

    def test_other_methods_are_passed_on(self) -> None:
        self.successResultOf(self.transport.announce("novncproxy.h", binary="nova-novncproxy", host="h"))
        topics = [service.topic for service in self.successResultOf(self.transport.services())]
        self.assertEqual(topics, ["consoleauth", "novncproxy.h"])
        self.successResultOf(self.transport.ping("consoleauth"))
        self.successResultOf(self.transport.store.put("key", {"a": 1}, 10))
        self.successResultOf(self.withdraw())
        self.assertEqual(self.events, [])
