"""A service ends in time, whoever does not answer."""

from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.service.builders import Component, _listening
from novnc_twisted.service.make_service import LEAVE_TIMEOUT, STOP_TIMEOUT, Console
from tests.support.logged import Logged


class EndingTests(SynchronousTestCase):
    """Parts, and a transport, that wait for others."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.logged = Logged(self)
        self.hung: list[Deferred[None]] = []

    async def hang(self) -> None:
        """Wait for somebody who does not answer."""
        await self._answer()

    def front(self) -> Component:
        """A proxy whose sessions do not end, on a bus where nobody hears that it leaves."""

        async def announce(_topic: str, **_more: Any) -> Any:
            return self._answer

        context: Any = SimpleNamespace(
            conf=SimpleNamespace(host="control"),
            transport=SimpleNamespace(announce=announce),
            connections=SimpleNamespace(events=SimpleNamespace(stop=lambda: None)),
        )
        factory: Any = SimpleNamespace(stop_sessions=self._answer)
        part = _listening(context, [], factory, "nova-novncproxy")
        self.successResultOf(Deferred.fromCoroutine(part.start()))  # type: ignore[arg-type]
        return part

    def _answer(self) -> Deferred[None]:
        answer: Deferred[None] = Deferred()
        self.hung.append(answer)
        return answer

    async def end(self) -> None:
        """Nothing to wait for."""

    def console(self, *stops: Any, leave: Any) -> Console:
        """A service of such parts."""
        context: Any = SimpleNamespace(reactor=self.clock, transport=SimpleNamespace(stop=leave))
        return Console("console", context, [Component(self.end, stop) for stop in stops], [])

    def test_everybody_hangs(self) -> None:
        stopped = self.console(self.hang, self.front().stop, self.end, leave=self.hang).stopService()
        self.assertEqual(len(self.hung), 3)  # side by side
        self.assertNoResult(stopped)
        self.clock.advance(STOP_TIMEOUT)
        self.assertEqual(len(self.hung), 4)  # now it takes leave
        self.assertNoResult(stopped)
        self.clock.advance(LEAVE_TIMEOUT)
        self.successResultOf(stopped)
        self.assertLessEqual(STOP_TIMEOUT + LEAVE_TIMEOUT, 4, "of 5 s: the process has to end as well")
        self.assertEqual(len(self.logged.lines("left behind")), 3)
        self.assertEqual(self.logged.lines("Traceback"), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nobody_hangs(self) -> None:
        self.successResultOf(self.console(self.end, leave=self.end).stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_mistake_of_ours(self) -> None:
        async def fail() -> None:
            raise ZeroDivisionError

        self.successResultOf(self.console(fail, leave=self.end).stopService())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
