"""The monitoring port: the supervisor's status, without real workers, and the option."""

import json
import os
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessTerminated
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.monitoring import Status
from novnc_twisted.service import settings
from novnc_twisted.service.options.values import listen_address
from novnc_twisted.service.sockets import Sockets
from novnc_twisted.service.worker import SupervisorPipe
from novnc_twisted.service.worker_status import DEADLINE
from novnc_twisted.service.workers import Supervisor
from tests.service.spawning import Spawning
from tests.service.test_checks import CheckCase

SESSIONS = "novnc_sessions", (("type", "novnc"),)
TOKENS = "novnc_tokens_total", (("event", "made"),)
SILENT = "novnc_workers", (("state", "silent"),)


class Pipe(SimpleNamespace):
    """The transport of a worker's process."""

    def __init__(self) -> None:
        super().__init__(pid=7, written=[], signalProcess=lambda _number: None)

    def write(self, data: bytes) -> None:
        self.written.append(data)


class WorkersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Spawning()
        self.supervisor = Supervisor(self.reactor, "novncproxy", 2, [], Sockets(), [])
        self.supervisor.running = True
        self.supervisor.begin()
        self.pipes = []
        for worker in self.reactor.spawned:
            worker.outReceived(b'{"ready": true}\n')
            worker.transport = Pipe()
            self.pipes.append(worker.transport)

    def answer(self, number: int, status: Any) -> None:
        """Let a worker report this status."""
        line = json.dumps({"report": "status", "status": status})
        self.reactor.spawned[number - 1].outReceived(line.encode() + b"\n")

    def report(self, number: int, sessions: int, made: int, **more: Any) -> None:
        status = Status(state="running", samples={SESSIONS: sessions, TOKENS: made}, **more)
        self.answer(number, status.to_json())

    def test_sum(self) -> None:
        asked = self.supervisor.status()
        self.assertEqual([pipe.written for pipe in self.pipes], [[b"status\n"]] * 2)
        self.report(1, 2, 10)
        self.assertNoResult(asked)
        self.report(2, 3, 100)
        status = self.successResultOf(asked)
        self.assertTrue(status.ready)
        self.assertEqual((status.samples[SESSIONS], status.samples[TOKENS]), (5, 110))

    def test_a_silent_worker(self) -> None:
        """It is left out after the deadline, and asked again only once it has answered."""
        for _ in range(3):
            asked = self.supervisor.status()
            self.report(1, 2, 10)
            self.reactor.advance(DEADLINE)
            status = self.successResultOf(asked)
            self.assertTrue(status.ready)
            self.assertEqual((status.samples[SESSIONS], status.samples[SILENT]), (2, 1))
        self.assertEqual([len(pipe.written) for pipe in self.pipes], [3, 1])
        self.report(2, 3, 100)
        asked = self.supervisor.status()
        self.report(1, 2, 10)
        self.report(2, 3, 101)
        self.assertEqual(self.successResultOf(asked).samples[TOKENS], 111)

    def test_two_probers(self) -> None:
        """The second prober waits no longer than the first, even if it asks during the wait for a silent worker."""
        first = self.supervisor.status()
        self.report(1, 2, 10)
        self.reactor.advance(DEADLINE / 2)
        second = self.supervisor.status()
        self.reactor.advance(DEADLINE / 2)
        self.assertEqual([self.successResultOf(asked).samples[SILENT] for asked in (first, second)], [1, 1])

    def test_a_worker_that_ends(self) -> None:
        """Its counters stay, and its successor's are added."""
        asked = self.supervisor.status()
        self.report(1, 2, 10)
        self.report(2, 3, 100)
        self.successResultOf(asked)
        asked = self.supervisor.status()
        self.report(1, 2, 10)
        self.reactor.spawned[1].processEnded(Failure(ProcessTerminated(signal=9)))
        status = self.successResultOf(asked)
        self.assertEqual((status.samples[SESSIONS], status.samples[TOKENS], status.samples[SILENT]), (2, 110, 1))

    def test_not_ready(self) -> None:
        """One ready worker is enough, because it gets the connections; without one, all reasons are named."""
        asked = self.supervisor.status()
        self.report(1, 0, 0, missing={"bus": "no answer"})
        self.report(2, 0, 0)
        self.assertTrue(self.successResultOf(asked).ready)
        asked = self.supervisor.status()
        self.report(1, 0, 0, missing={"bus": "no answer"})
        self.report(2, 0, 0, missing={"authority": "nobody serves consoleauth"})
        status = self.successResultOf(asked)
        self.assertFalse(status.ready)
        self.assertEqual(status.missing, {"bus": "no answer", "authority": "nobody serves consoleauth"})

    def test_the_workers_have_ended_before_older_processes(self) -> None:
        self.supervisor.leads = True
        self.supervisor.older.gone = Deferred
        self.supervisor.stopService()
        for worker in self.reactor.spawned:
            worker.processEnded(Failure(ProcessTerminated(exitCode=0)))
        self.assertEqual(self.successResultOf(self.supervisor.status()).state, "stopping")

    def test_nonsense(self) -> None:
        asked = self.supervisor.status()
        self.answer(1, {"samples": 7})
        self.answer(2, None)
        status = self.successResultOf(asked)
        self.assertEqual((status.ready, status.state, status.samples[SILENT]), (False, "starting", 2))


class RequestTests(SynchronousTestCase):
    """The worker's end of the pipe."""

    def test_requests_and_the_end(self) -> None:
        reactor = MemoryReactorClock()
        handle, other = os.pipe()
        self.addCleanup(os.close, handle)
        asked: list[None] = []
        supervised = SupervisorPipe(reactor, {"status": lambda _: asked.append(None)}, lambda: None, handle)
        os.write(other, b"status\nstatus\n")
        supervised.doRead()
        os.write(other, b"status\n")
        supervised.doRead()
        self.assertEqual(len(asked), 3)
        self.assertEqual(reactor.getReaders(), [supervised])
        os.close(other)
        self.patch(SupervisorPipe, "connectionLost", lambda self, reason: asked.clear())
        supervised.doRead()
        self.assertEqual(asked, [])


class OptionTests(CheckCase):
    GOOD = ("127.0.0.1:9100", "[::1]:9100", "0.0.0.0:1", "localhost:65535")
    BAD = (
        "",
        "9100",
        ":9100",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "h:65536",
        "h:x",
        "::1:9100",
        "[::1]",
        "http://h:1",
    )

    def test_addresses(self) -> None:
        self.assertEqual([listen_address(text)[1] for text in self.GOOD], [9100, 9100, 1, 65535])
        self.assertEqual(listen_address("[::1]:9100")[0], "::1")
        for text in (*self.BAD, "[127.0.0.1]:9100", "a b:1"):
            self.assertRaises(ValueError, listen_address, text)

    def test_one_line(self) -> None:
        for text in self.BAD[1:]:
            [line] = self.examine(f"[monitoring]\nlisten = {text}\n").errors
            self.assertIn("[monitoring] listen: ", line)

    def test_a_port_of_another_service(self) -> None:
        text = "[vnc]\nnovncproxy_port = 9100\n[monitoring]\nlisten = 127.0.0.1:9100\n"
        [line] = self.examine(text).errors
        self.assertIn("[monitoring] listen: 9100 is also the port of [vnc] novncproxy_port", line)

    def test_unset(self) -> None:
        self.assertIsNone(settings.monitoring_address(self.examine("").conf))
