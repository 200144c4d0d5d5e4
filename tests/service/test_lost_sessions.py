"""The supervisor reports the sessions of a worker that was killed."""

import os
from pathlib import Path
from signal import SIGKILL
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.contract import EndedSession
from novnc_twisted.events import SessionClosed
from novnc_twisted.messaging.memory import MemoryTransport
from novnc_twisted.service import lost_sessions, session_tables, workers
from novnc_twisted.service.lost_sessions import LostSessions
from novnc_twisted.service.session_tables import KILLED, SessionTables
from novnc_twisted.service.sockets import Sockets
from novnc_twisted.service.workers import STOP_TIMEOUT, Supervisor
from novnc_twisted.session.table_rows import ENDED, LIVE, SIZE, Row, encode
from tests.service.spawning import Spawning
from tests.session.test_shared_table import row
from tests.support.logged import Logged


def write(table: int, *rows: Row) -> None:
    for number, one in enumerate(rows):
        os.pwrite(table, encode(one, ENDED if one.cause else LIVE), number * SIZE)


class LostCase(SynchronousTestCase):
    """A bus with a consoleauth that records the reports."""

    def begin(self, clock: Clock) -> LostSessions:
        self.clock = clock
        self.transport = MemoryTransport(clock)
        self.events: list[Any] = []
        self.kept: list[EndedSession] = []
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        return LostSessions(clock, "control1", self.events.append, self.transport, tables=self.tables())

    def tables(self) -> SessionTables:
        """Return the tables of this process."""
        return SessionTables(str(self.folder))

    def killed_before(self, *rows: Row) -> None:
        """Leave the table of an earlier proxy, which was killed as a whole."""
        table = self.tables().make()
        write(table, *rows)
        [path] = self.folder.glob("sessions-*")
        os.close(table)
        os.utime(path, (160.0, 160.0))

    def serve(self) -> None:
        async def report_closed(sessions: list[Any]) -> dict[str, Any]:
            self.kept += map(EndedSession.from_wire, sessions)
            return {"kept": len(sessions)}

        methods = {"report_closed": report_closed}
        serving = self.transport.serve("consoleauth", methods, binary="nova-consoleauth", host="c")
        self.stop_consoleauth = self.successResultOf(serving)


class ReportTests(LostCase):
    def setUp(self) -> None:
        self.lost = self.begin(Clock())

    def made(self, *rows: Row) -> int:
        table = self.lost.make_table()
        assert table is not None
        write(table, *rows)
        return table

    def test_live_ones_and_ended_ones(self) -> None:
        """A session that had ended before gets an entry in the history, but no second event."""
        self.patch(lost_sessions.time, "time", lambda: 160.0)
        ended = row(2, cause="ClientLeft", ended_at=150.0)
        self.lost.report(self.made(row(1), ended), 2, "by signal 9 (Killed)")
        self.serve()
        self.clock.advance(1)
        [event] = self.events
        self.assertIsInstance(event, SessionClosed)
        self.assertEqual((event.session_id, event.cause, event.seconds), (row(1).id, "WorkerLost", 60.0))
        self.assertEqual(event.detail, "worker 2 ended by signal 9 (Killed)")
        self.assertEqual(
            [(one.session.id, one.cause, one.ended_at, one.session.proxy) for one in self.kept],
            [(row(1).id, "WorkerLost", 160.0, "control1"), (row(2).id, "ClientLeft", 150.0, "control1")],
        )
        self.assertEqual(self.lost.count, 1)

    def test_nothing_was_lost(self) -> None:
        """The table is closed, and the bus is not even started."""
        table = self.made()
        self.lost.report(table, 1, "with exit code 0")
        self.assertRaises(OSError, os.fstat, table)
        self.assertEqual((self.events, self.clock.getDelayedCalls()), ([], []))
        self.transport.start()  # raises if it was started

    def test_an_outage(self) -> None:
        """The reports wait for consoleauth."""
        self.lost.report(self.made(row(1)), 1, "by signal 9 (Killed)")
        self.clock.advance(1)
        self.assertEqual((len(self.events), self.kept), (1, []))
        self.serve()
        self.clock.advance(5)
        self.assertEqual(len(self.kept), 1)

    def test_no_history(self) -> None:
        """If consoleauth is not the authority, only the event is reported."""
        lost = LostSessions(self.clock, "control1", self.events.append, None, tables=self.tables())
        lost.report(self.made(row(1)), 1, "by signal 9 (Killed)")
        self.assertEqual((len(self.events), self.clock.getDelayedCalls()), (1, []))
        self.successResultOf(Deferred.fromCoroutine(lost.stop(1.0)))

    def test_the_end(self) -> None:
        """Waiting reports are sent at once."""
        self.lost.report(self.made(row(1)), 1, "by signal 9 (Killed)")
        self.serve()
        self.successResultOf(Deferred.fromCoroutine(self.lost.stop(1.0)))
        self.assertEqual((len(self.kept), self.clock.getDelayedCalls()), (1, []))

    def test_the_end_in_an_outage(self) -> None:
        """The wait is limited, and the next start reports the sessions."""
        logged = Logged(self)
        self.lost.report(self.made(row(1)), 1, "by signal 9 (Killed)")
        self.outage()
        self.assertEqual(len(logged.lines("sessions whose end could not be reported: 1")), 1)
        (table,) = self.lost._tables._paths
        os.close(table)
        [(rows, _)] = self.tables().left_behind()
        self.assertEqual([(one.id, one.cause) for one in rows], [(row(1).id, "WorkerLost")])

    def test_the_end_in_an_outage_without_a_folder(self) -> None:
        """The log says how many reports are missing."""
        logged = Logged(self)
        self.lost = LostSessions(self.clock, "control1", self.events.append, self.transport, tables=SessionTables(""))
        self.lost.report(self.made(row(1)), 1, "by signal 9 (Killed)")
        self.outage()
        self.assertEqual(len(logged.lines("consoleauth did not answer for too long: 1")), 1)

    def outage(self) -> None:
        """End while consoleauth does not answer."""
        methods = {"report_closed": lambda sessions: Deferred()}
        self.successResultOf(self.transport.serve("consoleauth", methods, binary="nova-consoleauth", host="c"))
        stopped = Deferred.fromCoroutine(self.lost.stop(0.5))
        self.assertNoResult(stopped)
        self.clock.advance(0.5)
        self.successResultOf(stopped)

    def test_a_proxy_that_was_killed_before(self) -> None:
        """Its sessions ended at the last write to the table."""
        self.serve()
        self.killed_before(row(1), row(2, cause="ClientLeft", ended_at=150.0))
        for _ in range(2):
            self.lost.report_left_behind()
            self.clock.advance(1)
        [event] = self.events
        self.assertEqual((event.cause, event.detail, event.seconds), ("WorkerLost", KILLED, 60.0))
        self.assertEqual(
            [(one.session.id, one.cause, one.detail, one.ended_at) for one in self.kept],
            [(row(1).id, "WorkerLost", KILLED, 160.0), (row(2).id, "ClientLeft", "", 150.0)],
        )
        self.assertEqual(self.lost.count, 1)

    def test_no_table(self) -> None:
        """Workers start without one, and the log names the consequence."""
        logged = Logged(self)

        def none(*_: object, **__: object) -> int:
            raise OSError(24, "Too many open files")

        self.patch(session_tables, "mkstemp", none)
        self.patch(os, "memfd_create", none)
        self.assertIsNone(self.lost.make_table())
        self.assertEqual(len(logged.lines("if a process of this proxy is killed")), 1)


class SupervisorTests(LostCase):
    """When a supervisor reads the tables of its workers."""

    def setUp(self) -> None:
        self.reactor = Spawning()
        self.supervisor = Supervisor(self.reactor, "novncproxy", 2, [], Sockets(), [])
        self.supervisor.lost = self.begin(self.reactor)
        self.killed_before(row(9))
        self.supervisor.running = True
        self.supervisor.begin()
        self.serve()
        self.addCleanup(self.close_tables)
        self.reactor.advance(1)
        self.assertEqual([one.session.id for one in self.kept], [row(9).id])
        self.events.clear()
        self.kept.clear()

    def close_tables(self) -> None:
        for worker in self.reactor.spawned:
            if not worker.ended.called:
                os.close(worker.table)

    def killed(self, worker: Any) -> None:
        worker.processEnded(Failure(ProcessTerminated(signal=SIGKILL)))

    def test_a_worker_is_killed(self) -> None:
        """Its sessions are reported, not those of the others; its successor has a new table."""
        first, second = self.reactor.spawned
        write(first.table, row(1))
        write(second.table, row(2))
        self.killed(first)
        self.assertEqual([event.session_id for event in self.events], [row(1).id])
        self.assertEqual(self.events[0].detail, "worker 1 ended by signal 9 (Killed)")
        self.reactor.advance(1)
        self.assertEqual([one.session.id for one in self.kept], [row(1).id])
        self.assertEqual(os.fstat(self.reactor.spawned[2].table).st_size, 0)

    def test_a_worker_ends_in_order(self) -> None:
        first, _ = self.reactor.spawned
        os.pwrite(first.table, bytes(SIZE), 0)
        first.processEnded(Failure(ProcessDone(0)))
        self.assertEqual(self.events, [])

    def test_a_worker_is_killed_at_the_end(self) -> None:
        """The supervisor reports its sessions before it ends itself."""
        first, second = self.reactor.spawned
        write(first.table, row(1))
        stopped = self.supervisor.stopService()
        second.processEnded(Failure(ProcessDone(0)))
        self.killed(first)
        self.successResultOf(stopped)
        self.assertEqual([one.cause for one in self.kept], ["WorkerLost"])

    def test_an_outage_at_the_end(self) -> None:
        """The supervisor waits for the report about a killed worker, until the service must end."""
        self.stop_consoleauth()
        methods = {"report_closed": lambda sessions: Deferred()}
        self.successResultOf(self.transport.serve("consoleauth", methods, binary="nova-consoleauth", host="c"))
        for late in (STOP_TIMEOUT - 0.5, STOP_TIMEOUT):
            self.reactor.spawned.clear()
            self.supervisor.running = True
            self.supervisor.begin()
            first, second = self.reactor.spawned
            write(first.table, row(1))
            stopped = self.supervisor.stopService()
            self.reactor.advance(late)
            self.killed(first)
            self.killed(second)
            self.reactor.advance(STOP_TIMEOUT - late)
            self.assertNoResult(stopped)
            self.reactor.advance(0.2)
            self.assertNoResult(stopped)
            self.reactor.advance(0.11)
            self.successResultOf(stopped)

    def test_a_worker_is_killed_after_a_take_over(self) -> None:
        """The previous process still supervises its workers."""
        first, second = self.reactor.spawned
        write(first.table, row(1))
        self.supervisor.released = True
        self.supervisor.release()
        stopped = self.supervisor.stopService()
        self.killed(first)
        self.reactor.advance(1)
        self.assertEqual([one.cause for one in self.kept], ["WorkerLost"])
        self.assertNoResult(stopped)
        second.processEnded(Failure(ProcessDone(0)))
        self.successResultOf(stopped)

    def test_a_worker_cannot_be_started(self) -> None:
        """Its table is closed."""
        before = len(list(Path("/proc/self/fd").iterdir()))
        self.patch(workers, "exit_with", lambda code: None)
        self.reactor.broken = True
        self.supervisor._spawn(3)
        self.assertEqual(len(list(Path("/proc/self/fd").iterdir())), before)
