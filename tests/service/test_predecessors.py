"""The older processes, which earlier take-overs have replaced."""

import os
import signal

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.service.takeover.predecessors import Predecessors
from tests.service.test_takeover import Spawning


class PredecessorsTests(SynchronousTestCase):
    def test_none(self) -> None:
        self.successResultOf(Predecessors(Spawning()).gone())

    def test_one_that_has_ended_already(self) -> None:
        pid = os.posix_spawn("/bin/true", ["true"], {})
        os.waitpid(pid, 0)
        self.assertEqual(Predecessors(Spawning(), [pid]).pids, [])

    def test_life(self) -> None:
        """It gets SIGTERM, and is forgotten when it has ended."""
        reactor = Spawning()
        reader, writer = os.pipe()
        self.addCleanup(os.close, writer)
        pid = os.posix_spawn("/bin/cat", ["cat"], {}, file_actions=[(os.POSIX_SPAWN_DUP2, reader, 0)])
        os.close(reader)
        older = Predecessors(reactor, [pid])
        gone = older.gone()
        self.assertEqual((older.pids, len(reactor.readers)), ([pid], 1))
        older.end()
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), -signal.SIGTERM)
        self.assertNoResult(gone)
        process = reactor.readers[0]
        process.doRead()
        process.connectionLost(None)  # the reactor stops later
        self.successResultOf(gone)
        self.assertEqual((older.pids, reactor.readers), ([], []))
