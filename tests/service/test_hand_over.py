"""A take-over in which the old process has a bug when the new process is ready."""

from collections.abc import Callable

from twisted.internet.error import ProcessTerminated
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.service.takeover.launch import TakeOver
from novnc_twisted.service.takeover.predecessors import Predecessors
from tests.service.test_takeover import Spawning
from tests.support.logged import Logged


class HandOverTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.logged = Logged(self)
        self.reactor = Spawning()
        self.take_over = TakeOver(self.reactor, [], Predecessors(self.reactor))
        self.broken = True

    async def hand_over(self, pid: int, lead: Callable[[], None]) -> None:
        if self.broken:
            raise ValueError("a bug")
        lead()

    def test_a_bug(self) -> None:
        """The new process is killed, and the old one goes on; the next attempt is possible."""
        outcome = self.take_over.begin(self.hand_over)
        self.reactor.channel.dataReceived(b"ready\n")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertIn("failed: the new process was ready", self.successResultOf(outcome))
        self.assertEqual(self.reactor.killed, ["KILL"])
        self.assertEqual((self.reactor.transport.value(), self.reactor.transport.disconnecting), (b"", True))
        self.reactor.spawned[-1].processEnded(Failure(ProcessTerminated(signal=9)))
        self.assertEqual(len(self.logged.lines("take-over failed")), 1)
        self.assertEqual(self.logged.lines("has taken over"), [])
        self.broken = False
        outcome = self.take_over.begin(self.hand_over)
        self.reactor.channel.dataReceived(b"ready\n")
        self.assertEqual(self.successResultOf(outcome), "ok")
        self.assertEqual(len(self.logged.lines("the new process (pid 4711) has taken over")), 1)

    def test_a_bug_after_the_new_process_leads(self) -> None:
        """The new process stays the main process."""

        async def late(pid: int, lead: Callable[[], None]) -> None:
            lead()
            raise ValueError("a bug")

        outcome = self.take_over.begin(late)
        self.reactor.channel.dataReceived(b"ready\n")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual((self.successResultOf(outcome), self.reactor.killed), ("ok", []))
