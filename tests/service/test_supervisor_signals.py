"""A supervisor reloads and stops its workers; without real processes."""

import os
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any

from twisted.internet.error import ProcessTerminated
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from novnc_twisted.service.configuration import in_memory, read_configuration
from novnc_twisted.service.control import files_of
from novnc_twisted.service.flagfile import FlagFile, Unusable
from novnc_twisted.service.reconfiguration import Reconfiguration
from novnc_twisted.service.sockets import Sockets
from novnc_twisted.service.workers import STOP_TIMEOUT, Supervisor
from tests.service.spawning import Spawning
from tests.support.logged import Logged


class ReloadTests(TestCase):
    def test_every_worker_gets_it(self) -> None:
        """A worker that is being started reads it when its reactor runs."""
        reactor = Spawning()
        supervisor = Supervisor(reactor, "novncproxy", 2, [], Sockets(), [])
        supervisor.running = True
        supervisor.begin()
        first, _ = reactor.spawned
        first.outReceived(b'{"ready": true}\n')
        supervisor.reload()
        self.assertEqual((reactor.orders, reactor.signals), ([(100, b"reload\n"), (101, b"reload\n")], []))

    def test_options(self) -> None:
        """The workers get the files, also those that are started later."""
        path = Path(self.mktemp())
        path.write_text("[DEFAULT]\ntransport_url = redis://h\nworkers = 2\n")
        reactor, logged = Spawning(), Logged(self)
        conf, _ = read_configuration([str(path)])
        files = [in_memory(FlagFile.read(str(path)))]
        supervisor = Supervisor(reactor, "novncproxy", 2, files, Sockets(), [])
        self.addCleanup(lambda: [os.close(one) for one in supervisor.files])
        supervisor.configuration = Reconfiguration("novncproxy", reactor, [str(path)], conf)
        supervisor.running = True
        supervisor.begin()
        path.write_text("[DEFAULT]\ntransport_url = redis://h\nworkers = 2\n[console]\nmax_sessions = 7\n")
        supervisor.reload()
        (pid, order), _ = reactor.orders
        (file,) = files_of(order.partition(b" ")[2])
        self.assertEqual((pid, file.path, file.sections["console"]), (100, str(path), {"max_sessions": ["7"]}))
        self.assertIn(b"max_sessions", os.pread(supervisor.files[0], 1000, 0))
        self.assertEqual(len(logged.lines("reload: changed: [console] max_sessions")), 1)

    def test_options_that_need_a_restart(self) -> None:
        """A worker that is started later has the same options as the others, from its start on.

        It must not begin with the first options: the files that they name, such as page_settings, may no longer exist.
        """
        path = Path(self.mktemp())
        path.write_text(
            "[DEFAULT]\ntransport_url = redis://h\nnovncproxy_port = 7000\n"
            "[console]\nmax_sessions = 5\nshield = false\n"
        )
        reactor, logged = Spawning(), Logged(self)
        conf, _ = read_configuration([str(path)])
        files = [in_memory(FlagFile.read(str(path)))]
        supervisor = Supervisor(reactor, "novncproxy", 1, files, Sockets(), [])
        self.addCleanup(lambda: [os.close(one) for one in supervisor.files])
        supervisor.configuration = Reconfiguration("novncproxy", reactor, [str(path)], conf)
        supervisor.running = supervisor.leads = True
        supervisor.begin()
        for limit in (7, 8):
            path.write_text(
                "[DEFAULT]\ntransport_url = redis://other\nhost = new\n"
                f"[vnc]\nnovncproxy_port = 7001\n[console]\nmax_sessions = {limit}\n"
            )
            supervisor.reload()
        restart = "in use only after a restart: transport_url, host, [vnc] novncproxy_port"
        self.assertEqual(len(logged.lines(restart)), 2)
        orders = reactor.orders[:]
        reactor.spawned[0].processEnded(Failure(ProcessTerminated(exitCode=1)))
        reactor.advance(60)
        self.assertEqual((len(reactor.spawned), reactor.orders), (2, orders))
        new, _ = read_configuration([f"/proc/self/fd/{one}" for one in supervisor.files])
        self.assertEqual((new.transport_url, new.host, new.vnc.novncproxy_port), ("redis://h", conf.host, 7000))
        self.assertEqual((new.console.max_sessions, new.console.shield), (8, True))
        self.assertEqual(len(supervisor.files), 2)

    def test_outcome(self) -> None:
        """It is the first error of a worker."""
        supervisor, (first, second) = self.two_ready()
        outcome = supervisor.reload()
        first.outReceived(b'{"report": "reloaded", "failed": null}\n')
        self.assertNoResult(outcome)
        second.outReceived(b'{"report": "reloaded", "failed": "key: unreadable"}\n')
        self.assertEqual(self.successResultOf(outcome), "key: unreadable")

    def test_two_at_the_same_time(self) -> None:
        """Each reload has its own outcome, although both send the same order."""
        supervisor, (first, second) = self.two_ready()
        outcomes = [supervisor.reload(), supervisor.reload()]
        self.assertEqual(self.reactor.orders, [(100, b"reload\n"), (101, b"reload\n")] * 2)
        self.assertNoResult(outcomes[0])
        for worker in (first, second):
            worker.outReceived(b'{"report": "reloaded", "failed": "key: unreadable"}\n')
        self.assertEqual(self.successResultOf(outcomes[0]), "key: unreadable")
        self.assertNoResult(outcomes[1])
        for worker in (first, second):
            worker.outReceived(b'{"report": "reloaded", "failed": null}\n')
        self.assertIsNone(self.successResultOf(outcomes[1]))

    def test_a_worker_that_ends_meanwhile(self) -> None:
        """Its replacement reads the new files."""
        supervisor, (first, second) = self.two_ready()
        outcome = supervisor.reload()
        first.outReceived(b'{"report": "reloaded", "failed": null}\n')
        second.processEnded(Failure(ProcessTerminated(exitCode=1)))
        self.assertIsNone(self.successResultOf(outcome))

    def test_what_is_bad_reaches_no_worker(self) -> None:
        """The supervisor reads the files first."""

        def check() -> None:
            raise Unusable("cert: no certificate (/etc/nova/cert.pem)")

        supervisor, _ = self.two_ready(check)
        self.assertEqual(self.successResultOf(supervisor.reload()), "cert: no certificate (/etc/nova/cert.pem)")
        self.assertEqual(self.reactor.orders, [])

    def two_ready(self, check: Callable[[], object] = list) -> tuple[Supervisor, list[Any]]:
        """Return a supervisor and its two workers, which are ready."""
        self.reactor = Spawning()
        supervisor = Supervisor(self.reactor, "novncproxy", 2, [], Sockets(), [], check)
        supervisor.running = True
        supervisor.begin()
        for worker in self.reactor.spawned:
            worker.outReceived(b'{"ready": true}\n')
        return supervisor, self.reactor.spawned


class DrainTests(TestCase):
    def setUp(self) -> None:
        self.reactor = Spawning()
        self.supervisor = Supervisor(self.reactor, "novncproxy", 2, [], Sockets(), [], drain=60)
        self.supervisor.running = True
        self.supervisor.begin()

    def test_a_worker_that_does_not_end(self) -> None:
        """It is killed STOP_TIMEOUT after the end of drain_timeout."""
        stopped = self.supervisor.stopService()
        self.assertEqual(self.reactor.signals, [(100, SIGTERM), (101, SIGTERM)])
        self.reactor.spawned[0].processEnded(Failure(ProcessTerminated(exitCode=0)))
        self.reactor.advance(60 + STOP_TIMEOUT - 0.1)
        self.assertEqual(len(self.reactor.signals), 2)
        self.reactor.advance(0.2)
        self.assertEqual(self.reactor.signals[2:], [(101, SIGKILL)])
        self.assertNoResult(stopped)
        self.reactor.spawned[1].processEnded(Failure(ProcessTerminated(signal=SIGKILL)))
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_one_that_cannot_be_killed(self) -> None:
        """The service ends nevertheless."""
        stopped = self.supervisor.stopService()
        self.reactor.pump([60 + STOP_TIMEOUT, 0.2])
        self.successResultOf(stopped)
        for worker in self.reactor.spawned:
            worker.processEnded(Failure(ProcessTerminated(signal=SIGKILL)))

    def test_a_second_signal(self) -> None:
        """The workers must end at once: their pipe is closed, which cannot be mistaken for the first signal."""
        stopped = self.supervisor.stopService()
        self.reactor.advance(10)
        self.supervisor.end_now()
        self.assertEqual(self.reactor.closed, [100, 101])
        self.reactor.advance(STOP_TIMEOUT)
        self.assertEqual(self.reactor.signals[2:], [(100, SIGKILL), (101, SIGKILL)])
        for worker in self.reactor.spawned:
            worker.processEnded(Failure(ProcessTerminated(signal=SIGKILL)))
        self.successResultOf(stopped)
