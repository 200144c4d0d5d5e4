"""The main process's metrics include those of older processes."""

import json
import os
import socket
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.monitoring import Status, worker_samples
from novnc_twisted.service.takeover.older_status import DEADLINE, OlderStatus
from novnc_twisted.service.takeover.successor import PredecessorChannel

SESSIONS = "novnc_sessions", (("type", "novnc"),)
TOKENS = "novnc_tokens_total", (("event", "made"),)
WORKERS = "novnc_workers", (("state", "answering"),)


def status(sessions: float, made: float) -> Status:
    return Status(state="running", samples={SESSIONS: sessions, TOKENS: made} | worker_samples(1, 0))


class OlderStatusTests(SynchronousTestCase):
    """The predecessor of this process, and an older one whose channel was passed on."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.older, passed = self.pair()
        self.predecessor, channel = self.pair()
        self.status = OlderStatus(self.reactor, lambda: succeed(status(1, 5)), {1: passed})
        self.status.lead(2, channel)
        self.addCleanup(self.status.release)

    def pair(self) -> tuple[socket.socket, socket.socket]:
        ours, theirs = socket.socketpair()
        ours.settimeout(5)
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        return ours, theirs

    def read(self) -> None:
        for reader in list(self.reactor.getReaders()):
            reader.doRead()

    def answer(self, process: socket.socket, answer: Status | str) -> None:
        word, number = process.recv(100).decode().split()
        self.assertEqual((word, number.partition(".")[0]), ("status", str(os.getpid())))
        text = answer if isinstance(answer, str) else json.dumps(answer.to_json())
        process.sendall(f"{number} {text}\n".encode())
        self.read()

    def values(self, asked: "Deferred[Status]") -> tuple[Any, ...]:
        samples = self.successResultOf(asked).samples
        return samples[SESSIONS], samples[TOKENS], samples[WORKERS]

    def test_sum(self) -> None:
        """Only the main process counts among the workers: the others accept no connections."""
        asked = self.status.status()
        self.answer(self.predecessor, status(2, 10))
        self.assertNoResult(asked)
        self.answer(self.older, status(4, 100))
        self.assertEqual(self.values(asked), (7, 115, 1))

    def test_one_that_ends(self) -> None:
        """Its counters stay."""
        asked = self.status.status()
        self.answer(self.predecessor, status(2, 10))
        self.answer(self.older, status(4, 100))
        self.assertEqual(self.values(asked), (7, 115, 1))
        asked = self.status.status()
        self.older.recv(100)
        self.older.close()
        self.answer(self.predecessor, status(2, 11))
        self.assertEqual(self.values(asked), (3, 116, 1))
        self.assertEqual((len(self.reactor.getReaders()), list(self.status.channels)), (1, [2]))

    def test_one_that_hangs(self) -> None:
        """It is left out of the gauges, and asked again only once it has answered."""
        asked = self.status.status()
        self.answer(self.predecessor, status(2, 10))
        self.reactor.advance(DEADLINE)
        self.assertEqual(self.values(asked), (3, 15, 1))
        asked = self.status.status()
        self.answer(self.predecessor, status(2, 10))
        self.answer(self.older, status(4, 100))
        self.assertEqual(self.values(asked), (7, 115, 1))

    def test_a_question_of_the_last_main_process(self) -> None:
        asked = self.status.status()
        self.older.sendall(b"1.7 " + json.dumps(status(9, 900).to_json()).encode() + b"\n")
        self.read()
        self.answer(self.predecessor, status(2, 10))
        self.assertNoResult(asked)
        self.answer(self.older, status(4, 100))
        self.assertEqual(self.values(asked), (7, 115, 1))

    def test_nonsense(self) -> None:
        for wrong in ("", "{", "[]", '{"samples": 7}'):
            asked = self.status.status()
            self.answer(self.predecessor, status(2, 10))
            self.answer(self.older, wrong)
            self.assertEqual(self.values(asked), (3, 15, 1))
        self.flushLoggedErrors()

    def test_a_successor_reads(self) -> None:
        """This process no longer reads, because it could take away the successor's answers."""
        self.status.release()
        self.assertEqual((self.reactor.getReaders(), self.status.channels), ([], {}))
        self.assertEqual(self.values(self.status.status()), (1, 5, 1))

    def test_the_channel_of_the_successor(self) -> None:
        """It is used for the take-over first, and then for the metrics."""
        predecessor, theirs = self.pair()
        _, other = self.pair()
        found = PredecessorChannel(
            owners=[], older=[1, 2], channel=theirs.detach(), errors=os.dup(2), channels={"1": other.detach()}
        )
        self.assertEqual([found.channels[1].getpeername(), os.get_inheritable(found.channels[1].fileno())], ["", False])
        channels: list[socket.socket | None] = []
        error = os.dup(2)
        self.addCleanup(os.close, error)
        found.watch(self.reactor, lambda: channels.append(found.detached_channel()))
        predecessor.sendall(b"lead\n")
        found.doRead()
        [channel] = channels
        assert channel is not None
        predecessor.sendall(b"x")
        self.assertEqual((channel.recv(9), found.fileno(), found.detached_channel()), (b"x", -1, None))
        channel.close()
        found.channels[1].close()
