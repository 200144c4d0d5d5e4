"""The predecessor's and the new process's parts of a take-over, without real processes."""

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ProcessTerminated
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.monitoring import Status
from novnc_twisted.service.flagfile import FlagFile
from novnc_twisted.service.settings import no_take_over
from novnc_twisted.service.takeover import successor as module
from novnc_twisted.service.takeover.launch import LONGEST_START, TakeOver
from novnc_twisted.service.takeover.predecessors import Predecessors
from novnc_twisted.service.takeover.successor import VARIABLE, PredecessorChannel, channel_to_predecessor, described
from tests.support.logged import Logged


class Spawning(Clock):
    """A reactor that starts no process, and connects no channel."""

    def __init__(self) -> None:
        super().__init__()
        self.spawned: list[Any] = []
        self.environment: dict[str, str] = {}
        self.files: dict[int, Any] = {}
        self.blocked: set[Any] = set()
        self.killed: list[str] = []
        self.broken = False
        self.readers: list[Any] = []

    def spawnProcess(self, protocol: Any, *arguments: Any, childFDs: Any) -> None:
        if self.broken:
            raise OSError(12, "Cannot allocate memory")
        self.blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        self.environment, self.files = arguments[2], childFDs
        protocol.makeConnection(SimpleNamespace(pid=4711, signalProcess=self.killed.append))
        self.spawned.append(protocol)

    def adoptStreamConnection(self, handle: int, family: int, factory: Any) -> None:
        self.channel = factory.buildProtocol(None)
        self.transport = StringTransport()
        self.channel.makeConnection(self.transport)

    def addReader(self, reader: Any) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers.remove(reader)


class TakeOverTests(SynchronousTestCase):
    """The predecessor."""

    def setUp(self) -> None:
        self.logged = Logged(self)
        self.reactor = Spawning()
        self.listener = socket.socket()
        self.addCleanup(self.listener.close)
        self.older = Predecessors(self.reactor)
        self.take_over = TakeOver(self.reactor, [("novncproxy", self.listener)], self.older)
        self.pids: list[int] = []

    async def hand_over(self, pid: int, lead: Callable[[], None]) -> None:
        self.pids.append(pid)
        lead()

    def begin(self) -> Any:
        self.outcome = self.take_over.begin(self.hand_over)
        return self.reactor.spawned[-1]

    def ends(self, process: Any, code: int = 78) -> None:
        process.processEnded(Failure(ProcessTerminated(exitCode=code)))

    def test_what_it_gets(self) -> None:
        """The sockets, the channel and the standard error, but no variable that systemd meant for this process."""
        self.patch(os, "environ", os.environ | {"LISTEN_FDS": "1", "WATCHDOG_PID": "1", "WATCHDOG_USEC": "1000"})
        self.begin()
        self.assertEqual(self.reactor.files[3], self.listener.fileno())
        self.assertEqual(sorted(self.reactor.files), [0, 1, 2, 3, 4, 5])
        found = {name for name in ("LISTEN_FDS", "WATCHDOG_PID", "WATCHDOG_USEC") if name in self.reactor.environment}
        self.assertEqual(found, {"WATCHDOG_USEC"})
        self.assertEqual(
            self.reactor.environment[VARIABLE],
            described(owners=["novncproxy"], older=[os.getpid()], channel=4, errors=5, files=[]),
        )

    def test_the_files_of_the_last_reload(self) -> None:
        """The new process gets them: it could read only the copy that systemd made at the start of the service."""
        file = FlagFile.of_text("/etc/nova/nova.conf", "[console]\nmax_sessions = 9\n")
        take_over = TakeOver(self.reactor, [], self.older, files=lambda: [file])
        handles: list[int] = []
        spawn = self.reactor.spawnProcess

        def spawn_process(*arguments: Any, childFDs: Any) -> None:
            handles.append(os.dup(childFDs[5]))
            spawn(*arguments, childFDs=childFDs)

        self.patch(self.reactor, "spawnProcess", spawn_process)
        take_over.begin(self.hand_over)
        [(path, _)] = json.loads(self.reactor.environment[VARIABLE])["files"]
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        found = PredecessorChannel(
            owners=[], older=[], channel=theirs.detach(), errors=os.dup(2), files=[(path, handles[0])]
        )
        self.assertEqual(found.files[0].path, file.path)
        self.assertEqual(found.files[0].sections, file.sections)
        found.watch(self.reactor, lambda: None)
        ours.close()
        found.doRead()

    def test_sigusr2_does_not_end_it(self) -> None:
        """``systemctl kill`` may send it to the new process before that process handles it."""
        self.begin()
        self.assertIn(signal.SIGUSR2, self.reactor.blocked)
        self.assertNotIn(signal.SIGUSR2, signal.pthread_sigmask(signal.SIG_BLOCK, []))

    def test_ready(self) -> None:
        """It becomes the main process, and the channel is closed."""
        self.begin()
        self.channel_says("ready")
        self.assertEqual((self.pids, self.reactor.transport.value()), ([4711], b"lead\n"))
        self.assertTrue(self.reactor.transport.disconnecting)
        self.assertEqual(self.successResultOf(self.outcome), "ok")
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_metrics(self) -> None:
        """The channel stays open for questions about them, also after the new process was replaced and has ended."""
        status: Deferred[Status] = Deferred()
        older: Any = SimpleNamespace(own=lambda: status, channels={})
        self.take_over = TakeOver(self.reactor, [], self.older, status=older)
        process = self.begin()
        self.channel_says("status 1")
        self.channel_says("ready")
        self.channel_says("status 7.2")
        status.callback(Status(state="stopping"))
        self.assertEqual(self.reactor.transport.value().count(b"\n"), 2)
        answer = self.reactor.transport.value().split(b"\n")[1]
        self.assertEqual(answer, b"7.2 " + json.dumps(Status(state="stopping").to_json()).encode())
        self.ends(process)
        self.assertFalse(self.reactor.transport.disconnecting)

    def test_no_metrics(self) -> None:
        """A bug is logged, and the new process may ask again."""
        older: Any = SimpleNamespace(own=lambda: fail(ValueError()), channels={})
        self.take_over = TakeOver(self.reactor, [], self.older, status=older)
        self.begin()
        self.channel_says("ready")
        self.channel_says("status 7.2")
        self.assertEqual(self.reactor.transport.value(), b"lead\n7.2 null\n")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_the_channels_to_older_processes(self) -> None:
        """The new process gets them, and reads them when it leads."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        older: Any = SimpleNamespace(channels={17: theirs.fileno()})
        self.take_over = TakeOver(self.reactor, [("novncproxy", self.listener)], self.older, status=older)
        self.begin()
        self.assertEqual(json.loads(self.reactor.environment[VARIABLE])["channels"], {"17": 6})
        self.assertEqual(self.reactor.files[6], theirs.fileno())

    def channel_says(self, line: str) -> None:
        self.reactor.channel.dataReceived(line.encode() + b"\n")

    def test_its_end_later(self) -> None:
        """Its predecessor does not report it."""
        process = self.begin()
        self.channel_says("ready")
        self.ends(process)
        self.assertEqual(self.logged.lines("failed"), [])

    def test_a_failed_start(self) -> None:
        """One line has the reason that the new process sent, and another attempt is possible."""
        process = self.begin()
        self.channel_says("failed: cert: no certificate")
        process.errReceived(b"something else\n")
        self.ends(process)
        (line,) = self.logged.lines("take-over failed")
        self.assertTrue(line.endswith("this process continues to serve: cert: no certificate"), line)
        self.assertEqual(self.successResultOf(self.outcome), "failed: cert: no certificate")
        self.assertEqual((self.pids, self.reactor.getDelayedCalls()), ([], []))
        self.begin()
        self.assertEqual(len(self.reactor.spawned), 2)

    def test_an_installation_that_is_broken(self) -> None:
        """The last line of its traceback is the reason."""
        process = self.begin()
        process.errReceived(b"Traceback (most recent call last):\n  File\nImportError: no")
        process.errReceived(b" module\n")
        self.ends(process, 1)
        (line,) = self.logged.lines("take-over failed")
        self.assertTrue(line.endswith("the new process ended with exit code 1: ImportError: no module"), line)
        self.assertEqual(self.logged.lines("Traceback"), [])

    def test_it_hangs(self) -> None:
        """It is killed.  If it has sent a reason before, this reason counts."""
        for report, reason in (
            ("", "the new process was not ready within 60 s"),
            ("failed: cert: no certificate", "cert: no certificate"),
        ):
            process = self.begin()
            self.channel_says(report)
            self.reactor.advance(LONGEST_START)
            self.assertEqual(self.reactor.killed.pop(), "KILL")
            process.processEnded(Failure(ProcessTerminated(signal=9)))
            self.assertEqual(self.successResultOf(self.outcome), f"failed: {reason}")

    def test_it_cannot_be_started(self) -> None:
        self.reactor.broken = True
        outcome = self.successResultOf(self.take_over.begin(self.hand_over))
        self.assertEqual(outcome, "failed: [Errno 12] Cannot allocate memory")
        self.assertEqual(len(self.logged.lines("take-over failed")), 1)

    def test_no_descriptor_is_left(self) -> None:
        """The attempt ends, nothing was started, and the next attempt succeeds."""

        def full(*_: Any) -> Any:
            raise OSError(24, "Too many open files")

        for owner, name in ((socket, "socketpair"), (os, "dup"), (self.reactor, "adoptStreamConnection")):
            patched = self.patch(owner, name, full)
            before = len(list(Path("/proc/self/fd").iterdir()))
            outcome = self.successResultOf(self.take_over.begin(self.hand_over))
            patched.restore()
            self.assertEqual(outcome, "failed: [Errno 24] Too many open files")
            self.assertLessEqual(len(list(Path("/proc/self/fd").iterdir())), before, name)
            self.assertEqual(self.reactor.spawned, [], name)
        self.begin()

    def test_one_at_a_time(self) -> None:
        self.begin()
        second = self.successResultOf(self.take_over.begin(self.hand_over))
        self.assertEqual((len(self.reactor.spawned), second), (1, "failed: another take-over has not ended yet"))
        self.assertEqual(self.logged.lines("SIGUSR2"), [])  # novnc-reload may have caused it
        self.assertNoResult(self.outcome)

    def test_the_service_ends_meanwhile(self) -> None:
        """Then the new process has to end, too; that is not an error."""
        process = self.begin()
        self.take_over.abandon()
        self.ends(process)
        self.assertEqual((self.reactor.killed, self.logged.lines("failed")), (["KILL"], []))

    def test_a_command_that_cannot(self) -> None:
        conf = SimpleNamespace(transport_url="memory://")
        take_over = TakeOver(self.reactor, [], self.older, refusal=no_take_over("console", conf))
        outcome = self.successResultOf(take_over.begin(self.hand_over))
        self.assertTrue(outcome.startswith("refused: transport_url is memory://"), outcome)
        self.assertEqual(self.reactor.spawned, [])
        self.assertEqual(len(self.logged.lines("take-over refused: transport_url is memory://")), 1)

    def test_commands_that_can(self) -> None:
        """All others; a proxy with nova's tokens needs no bus."""
        for command, url in (("console", "redis://r"), ("consolecompute", "redis://r"), ("novncproxy", "memory://")):
            self.assertEqual(no_take_over(command, SimpleNamespace(transport_url=url)), "")


class SuccessorTests(SynchronousTestCase):
    """The new process."""

    def setUp(self) -> None:
        self.reactor = Spawning()
        self.predecessor, theirs = socket.socketpair()
        self.addCleanup(self.predecessor.close)
        self.stderr = os.dup(2)
        self.addCleanup(os.close, self.stderr)
        self.channel = PredecessorChannel(owners=[], older=[1], channel=theirs.detach(), errors=os.dup(2))
        self.led = 0

    def lead(self) -> None:
        self.led += 1

    def test_reports(self) -> None:
        self.channel.ready()
        self.channel.failed("two\nlines")
        self.assertEqual(self.predecessor.recv(100), b"ready\nfailed: two lines\n")
        self.predecessor.close()
        self.channel.ready()  # nobody reads it

    def test_it_leads(self) -> None:
        """It leads once, and the channel is closed."""
        self.channel.watch(self.reactor, self.lead)
        self.channel.doRead()
        self.predecessor.sendall(b"le")
        self.channel.doRead()
        self.assertEqual(self.led, 0)
        self.predecessor.sendall(b"ad\n")
        self.predecessor.close()
        while self.reactor.readers:
            self.channel.doRead()
        self.assertEqual((self.led, self.channel.fileno()), (1, -1))

    def test_the_predecessor_dies(self) -> None:
        """The service goes on with the new process."""
        self.channel.watch(self.reactor, self.lead)
        self.predecessor.close()
        self.channel.doRead()
        self.assertEqual((self.led, self.reactor.readers), (1, []))

    def test_the_predecessor_dies_before_it_has_read_a_report(self) -> None:
        """Its socket then resets the channel."""
        self.channel.watch(self.reactor, self.lead)
        self.channel.ready()
        self.predecessor.close()
        self.channel.doRead()
        self.assertEqual((self.led, self.reactor.readers, self.channel.fileno()), (1, [], -1))

    def test_options_of_twistd(self) -> None:
        """twistd ignores the predecessor's pid file, whose path is kept for later."""
        options = {"pidfile": "twistd.pid", "nodaemon": False, "uid": 65534}
        self.patch(os, "geteuid", lambda: 65534)
        self.channel.adjust(options)
        self.assertEqual((options["pidfile"], options["nodaemon"], options["uid"]), ("", True, None))
        self.assertEqual(options["pidfile of the service"], "twistd.pid")
        self.assertTrue(options["daemon of the service"])

    def test_the_variable_is_removed(self) -> None:
        """It must not reach the workers of this process."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        value = described(owners=["novncproxy"], older=[7], channel=theirs.detach(), errors=os.dup(2))
        environment = {VARIABLE: value}
        self.patch(module.os, "environ", environment)
        channel_to_predecessor.cache_clear()
        self.addCleanup(channel_to_predecessor.cache_clear)
        found = channel_to_predecessor()
        assert found is not None
        self.assertEqual((found.owners, found.older, environment), (["novncproxy"], [7], {}))
        self.assertIs(channel_to_predecessor(), found)
        found.watch(self.reactor, self.lead)
        ours.close()
        found.doRead()

    def test_an_ordinary_start(self) -> None:
        channel_to_predecessor.cache_clear()
        self.assertIsNone(channel_to_predecessor())
