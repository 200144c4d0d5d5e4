"""The values that the workers of a command send to each other."""

import json
from typing import Any

from twisted.internet.error import ProcessTerminated
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.service import peers
from novnc_twisted.service.peers import Outbox
from novnc_twisted.service.sockets import Sockets
from novnc_twisted.service.workers import Supervisor
from tests.service.spawning import Spawning


class OutboxTests(SynchronousTestCase):
    def test_batches(self) -> None:
        """The next batch is sent when the worker has taken the previous one."""
        sent: list[list[Any]] = []
        outbox = Outbox(sent.append)
        for value in (1, 2, 3):
            outbox.add(value)
        self.assertEqual(sent, [[1]])
        outbox.taken()
        outbox.taken()
        outbox.add(4)
        self.assertEqual(sent, [[1], [2, 3], [4]])

    def test_a_worker_that_hangs(self) -> None:
        """The oldest values are dropped."""
        self.assertEqual(peers.MAX_WAITING, 20_000)
        sent: list[list[Any]] = []
        outbox = Outbox(sent.append)
        for value in range(peers.MAX_WAITING + 6):
            outbox.add(value)
        outbox.taken()
        self.assertEqual((len(sent[1]), sent[1][0]), (peers.MAX_WAITING, 6))


class SupervisorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Spawning()
        self.supervisor = Supervisor(self.reactor, "novncproxy", 3, [], Sockets(), [])
        self.supervisor.running = True
        self.supervisor.begin()
        for worker in self.reactor.spawned:
            worker.outReceived(b'{"ready": true}\n')
        self.reactor.orders.clear()

    def says(self, worker: int, **report: Any) -> None:
        self.reactor.spawned[worker].outReceived(json.dumps(report).encode() + b"\n")

    def test_all_others_get_it(self) -> None:
        self.says(1, report="share", value=["a", None])
        self.assertEqual(self.reactor.orders, [(100, b'take [["a", null]]\n'), (102, b'take [["a", null]]\n')])
        self.says(1, report="share", value="b")
        self.says(0, report="taken")
        self.assertEqual(self.reactor.orders[2:], [(100, b'take ["b"]\n')])

    def test_not_one_that_starts(self) -> None:
        """It does not read values before it is ready."""
        self.reactor.spawned[0].processEnded(Failure(ProcessTerminated(signal=9)))
        self.reactor.advance(0)
        self.says(1, report="share", value="a")
        self.assertEqual(self.reactor.orders, [(102, b'take ["a"]\n')])
