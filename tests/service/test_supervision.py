"""How many workers a supervisor starts and when, its watchdog and its log, without a process."""

import os
import sys
from signal import SIGKILL
from types import SimpleNamespace
from typing import Any

from twisted.internet.error import ProcessTerminated
from twisted.logger import LogLevel, eventAsText, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from novnc_twisted.service import workers
from novnc_twisted.service.relayed_log import LONGEST, RelayedLog
from novnc_twisted.service.restart_pauses import LONG_LIFE, LONGEST_PAUSE, RestartPauses
from novnc_twisted.service.settings import worker_count
from novnc_twisted.service.sockets import Sockets
from novnc_twisted.service.workers import LONGEST_START, Supervisor
from tests.service.spawning import Spawning
from tests.support.logged import Logged


class CountTests(TestCase):
    """The number of worker processes of a command."""

    def count(self, command: str, workers: int) -> int:
        return worker_count(command, SimpleNamespace(workers=workers, transport_url="redis://"))

    def test_proxies(self) -> None:
        """As many as ``workers``; 0: one for each core that this process may use."""
        for command in ("novncproxy", "xvpvncproxy"):
            self.assertEqual([self.count(command, number) for number in (1, 3)], [1, 3])
            self.assertEqual(self.count(command, 0), len(os.sched_getaffinity(0)))

    def test_the_others(self) -> None:
        """They are one process, because ``workers`` in a shared file is for the proxies."""
        for command in ("consoleauth", "consolecompute", "consoleapi"):
            self.assertEqual([self.count(command, number) for number in (0, 1, 3)], [1, 1, 1])


class WatchdogTests(TestCase):
    """systemd's watchdog, which the supervisor notifies for its workers."""

    def setUp(self) -> None:
        self.patch(os, "environ", os.environ | {"WATCHDOG_USEC": "8000000"})
        self.reactor = Spawning()
        self.supervisor = Supervisor(self.reactor, "novncproxy", 2, [], Sockets(), [])
        self.supervisor.running = True
        self.supervisor.begin()
        self.beats = 0
        self.supervisor.alive = self.count
        for worker in self.reactor.spawned:
            worker.outReceived(b'{"ready": true}\n')

    def count(self) -> None:
        self.beats += 1

    def wait(self, seconds: int, *answering: int) -> None:
        """Each second, these workers answer, and the supervisor checks all workers."""
        for _ in range(seconds):
            self.reactor.advance(1)
            for number in answering:
                self.reactor.spawned[number].outReceived(b'{"report": "alive"}\n')
            self.supervisor.beat()

    def test_all_answer(self) -> None:
        self.wait(20, 0, 1)
        self.assertEqual((self.beats, self.reactor.signals), (20, []))

    def test_one_hangs(self) -> None:
        """It is killed after half of the interval, and the supervisor goes on with the others."""
        self.wait(4, 1)
        self.assertEqual((self.beats, self.reactor.signals), (4, []))
        self.wait(1, 1)
        self.assertEqual((self.beats, self.reactor.signals), (4, [(100, SIGKILL)]))
        self.reactor.spawned[0].processEnded(Failure(ProcessTerminated(signal=SIGKILL)))
        self.reactor.advance(0)
        self.assertEqual([worker.number for worker in self.reactor.spawned], [1, 2, 1])
        self.wait(20, 1)
        self.assertEqual((self.beats, self.reactor.signals), (24, [(100, SIGKILL)]))

    def test_one_hangs_in_its_start(self) -> None:
        """It has more time, because it may load slowly.  A worker that waits for Redis answers."""
        for worker in self.reactor.spawned:
            worker.processEnded(Failure(ProcessTerminated(exitCode=1)))
        self.reactor.advance(0)
        self.wait(int(LONGEST_START), 2)
        self.assertEqual(self.reactor.signals, [])
        self.wait(1, 2)
        self.assertEqual(self.reactor.signals, [(103, SIGKILL)])

    def test_one_can_not_be_killed(self) -> None:
        """The watchdog is no longer notified, so that systemd restarts the service."""
        self.wait(20, 1)
        self.assertEqual(self.beats, 4)


class FailedStartTests(TestCase):
    def setUp(self) -> None:
        self.codes: list[int] = []
        self.patch(workers, "exit_with", self.codes.append)
        self.reactor = Spawning()
        self.supervisor = Supervisor(self.reactor, "novncproxy", 2, [], Sockets(), [])
        self.supervisor.running = True
        self.supervisor.begin()

    def fails(self, worker: Any, code: int = 78) -> None:
        worker.outReceived(f'{{"report": "failed", "reason": "cert: no certificate", "code": {code}}}\n'.encode())
        worker.processEnded(Failure(ProcessTerminated(exitCode=code)))

    def test_the_first_start(self) -> None:
        """The command ends with the exit code of the worker, and logs the reason once."""
        lines: list[str] = []
        observer = lambda event: lines.append(eventAsText(event, includeTimestamp=False, includeSystem=False))  # noqa: E731
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        for worker in list(self.reactor.spawned):
            self.fails(worker)
        self.assertEqual((self.codes, self.reactor.stopped), ([78], 1))
        self.assertEqual(
            [line for line in lines if "cert" in line], ["novncproxy could not start: cert: no certificate"]
        )
        self.assertEqual(len(self.reactor.spawned), 2, "none is started again")

    def test_a_later_one(self) -> None:
        """The other workers go on, and it is started again."""
        for worker in list(self.reactor.spawned):
            worker.outReceived(b'{"ready": true}\n')
        self.reactor.spawned[0].processEnded(Failure(ProcessTerminated(exitCode=1)))
        self.reactor.advance(0)
        self.fails(self.reactor.spawned[2])
        self.assertEqual((self.codes, self.reactor.stopped), ([], 0))
        self.reactor.advance(1)
        self.assertEqual(len(self.reactor.spawned), 4)

    def test_a_process_that_cannot_be_started(self) -> None:
        """The command ends if it was never ready; otherwise, the process is started again later."""
        logged = Logged(self)
        for ready in (False, True):
            self.setUp()
            if ready:
                for worker in self.reactor.spawned:
                    worker.outReceived(b'{"ready": true}\n')
            self.reactor.broken = True
            self.reactor.spawned[0].processEnded(Failure(ProcessTerminated(exitCode=1)))
            self.reactor.advance(0)
            self.assertEqual((self.codes, self.reactor.stopped), ([], 0) if ready else ([1], 1))
            self.assertEqual(len(self.reactor.getDelayedCalls()), ready)
        reason = f"Cannot allocate memory: {sys.executable}"
        self.assertEqual(len(logged.lines(f"novncproxy could not start: {reason}")), 1)
        line = f"worker 1 ended before it was ready ({reason}); it is started again in 1 s"
        self.assertEqual(len(logged.lines(line)), 1)

    def test_no_process_can_be_started(self) -> None:
        """The first failure ends the command; no other process is tried."""
        logged = Logged(self)
        self.reactor.broken = True
        self.codes.clear()
        supervisor = Supervisor(self.reactor, "novncproxy", 2, [], Sockets(), [])
        supervisor.running = True
        supervisor.begin()
        self.assertEqual((self.codes, self.reactor.stopped, self.reactor.getDelayedCalls()), ([1], 1, []))
        self.assertEqual(len(logged.lines("could not start")), 1)


class PauseTests(TestCase):
    def setUp(self) -> None:
        self.reactor = Spawning()
        self.supervisor = Supervisor(self.reactor, "novncproxy", 2, [], Sockets(), [])
        self.supervisor.running = True
        self.supervisor.begin()

    def dies(self, after: float) -> float:
        """Let worker 1 die; return the seconds until it is started again."""
        worker = [one for one in self.reactor.spawned if one.number == 1][-1]
        self.reactor.advance(after)
        worker.processEnded(Failure(ProcessTerminated(exitCode=1)))
        (coming,) = self.reactor.getDelayedCalls()
        pause = coming.getTime() - self.reactor.seconds()
        self.reactor.advance(pause)
        return pause

    def test_longer_and_longer(self) -> None:
        """The first pause is 0, and no pause is longer than LONGEST_PAUSE."""
        self.assertEqual([self.dies(0.5) for _ in range(8)], [0, 1, 2, 4, 8, 16, LONGEST_PAUSE, LONGEST_PAUSE])

    def test_any_number_of_deaths(self) -> None:
        pauses = RestartPauses()
        self.assertEqual([pauses.after_death(1, 0.5) for _ in range(2000)][-1], LONGEST_PAUSE)

    def test_a_long_life_resets_the_pause(self) -> None:
        pauses = [self.dies(0), self.dies(0), self.dies(LONG_LIFE), self.dies(0)]
        self.assertEqual(pauses, [0, 1, 0, 1])

    def test_each_for_itself(self) -> None:
        self.dies(0)
        self.assertEqual([one.number for one in self.reactor.spawned], [1, 2, 1])

    def test_what_can_not_be_started(self) -> None:
        """It is tried again, as after a death."""
        for worker in self.reactor.spawned:
            worker.outReceived(b'{"ready": true}\n')
        self.reactor.broken = True
        self.dies(0)
        self.assertEqual([call.getTime() for call in self.reactor.getDelayedCalls()], [1])
        self.reactor.broken = False
        self.reactor.advance(1)
        self.assertEqual([one.number for one in self.reactor.spawned], [1, 2, 1])

    def test_none_while_stopping(self) -> None:
        """No worker is started again, and the stop waits for the end of both."""
        stopped = self.supervisor.stopService()
        for worker in self.reactor.spawned:
            self.assertNoResult(stopped)
            worker.processEnded(Failure(ProcessTerminated(exitCode=0)))
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(len(self.reactor.spawned), 2)


class RelayedLogTests(TestCase):
    """The output of a worker, in its supervisor's log."""

    def setUp(self) -> None:
        self.events: list[Any] = []
        self.log = RelayedLog(3, self.events.append)

    def lines(self) -> list[str]:
        return [eventAsText(event, includeTimestamp=False) for event in self.events]

    def test_pieces(self) -> None:
        line = b'{"time": 5.5, "level": "warn", "system": "session", "text": "{so} it is"}\n'
        line = line.replace(b"}\n", b', "fields": {"text": "t", "n": 7}}\n')
        for position in range(len(line)):
            self.assertFalse(self.log.received(line[position : position + 1]))
        self.assertEqual(self.lines(), ["[worker 3 session#warn] {so} it is"])
        self.assertEqual((self.events[0]["log_time"], self.events[0]["log_level"]), (5.5, LogLevel.warn))
        self.assertEqual((self.events[0]["text"], self.events[0]["n"]), ("t", 7))

    def test_ready_among_others(self) -> None:
        line = b'{"time": 1, "level": "info", "system": "-", "text": "t", "fields": {}}\n'
        self.assertTrue(self.log.received(line + b'{"ready": true}\n' + line))
        self.assertEqual(len(self.events), 2)

    def test_what_is_no_log(self) -> None:
        """Other lines are logged as text."""
        for odd in (b"plain", b"[]", b"7", b'{"time": "x"}', b'{"time": 1, "level": "odd", "system": "", "text": ""}'):
            self.assertFalse(self.log.received(odd + b"\n"))
        self.log.raw(b"Fatal Python error\n\n  File")
        self.log.end()
        self.assertEqual(len(self.events), 7)
        self.assertEqual(self.lines()[0], "[worker 3 stderr#warn] plain")
        self.assertEqual(self.lines()[-1], "[worker 3 stderr#warn]   File")

    def test_numbers_and_lists_of_any_size(self) -> None:
        """Such a line is logged as text, like others that are not a report, and the next line is still read."""
        odd = b'{"time": 1%s, "level": "info", "system": "-", "text": "t", "fields": {}}' % (b"0" * 400)
        good = b'{"time": 1, "level": "info", "system": "-", "text": "good", "fields": {}}'
        for line in (odd, b"[" * 100_000):
            self.events.clear()
            self.log.received(line + b"\n" + good + b"\n")
            self.assertEqual([event["log_text"] for event in self.events], [line.decode(), "good"])

    def test_a_line_without_end(self) -> None:
        """It is kept up to LONGEST, and then logged in pieces."""
        self.log.raw(b"x" * (LONGEST + 1))
        self.assertEqual(len(self.events), 1)
