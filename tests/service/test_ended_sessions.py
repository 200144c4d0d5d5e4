"""Sessions that end with their process are reported to the history, even if consoleauth ends with them."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.messaging.memory import MemoryTransport
from novnc_twisted.service import session_tables
from novnc_twisted.service.ended_sessions import report_ended
from novnc_twisted.service.session_tables import KILLED, SessionTables
from novnc_twisted.service.shutdown import Phase
from novnc_twisted.session.shared_table import SharedTable, read_table
from tests.service.test_lifecycle import ShutdownCase
from tests.service.test_lost_sessions import write
from tests.session.test_closed_reports import ended
from tests.session.test_shared_table import row


class ReportsCase(ShutdownCase):
    """The reports of a proxy to consoleauth; the tests call the registry's ``on_closed``.

    :cvar with_table: whether the proxy has its own table of sessions.
    """

    with_table = False

    def setUp(self) -> None:
        super().setUp()
        self.reported: list[Any] = []
        self.last: Deferred[None] = Deferred()
        self.registry: Any = SimpleNamespace(none_left=lambda: self.last)
        transport = MemoryTransport(self.clock)
        transport.start()

        async def report_closed(sessions: Any) -> Any:
            self.reported += [each["session"]["id"] for each in sessions]
            return {}

        methods = {"report_closed": report_closed}
        serving = transport.serve("consoleauth", methods, binary="nova-consoleauth", host="control")
        self.stopping = self.shutdown()
        self.stop_consoleauth = self.successResultOf(serving)
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.events: list[Any] = []
        self.context: Any = SimpleNamespace(
            transport=transport,
            reactor=self.clock,
            shutdown=self.stopping,
            table=SharedTable(None, self.clock) if self.with_table else None,
            tables=SessionTables(str(self.folder)),
            observer=self.events.append,
            conf=SimpleNamespace(host="control1"),
        )
        self.begin = report_ended(self.context, self.registry, history=True)


class LastReportsTests(ReportsCase):
    def test_sessions_that_end(self) -> None:
        # As in ``twistd console``: all services of a process stop in the same phase.
        self.stopping.add(Phase.STOP_SERVICES, self.stop_consoleauth)
        over = self.run_it(self.stopping)
        self.registry.on_closed(ended(1))
        self.clock.advance(1.5)
        self.registry.on_closed(ended(2))
        self.last.callback(None)
        self.successResultOf(over)
        self.assertEqual(self.reported, ["1", "2"])
        self.assertEqual(self.logged.lines("missing from the history"), [])

    def test_a_session_that_does_not_end(self) -> None:
        """When the time of END_SESSIONS is over, the others are reported to a consoleauth in another process."""
        over = self.run_it(self.stopping)
        self.clock.advance(3)
        self.registry.on_closed(ended(1))
        self.clock.advance(0.5)
        self.assertEqual(self.reported, ["1"])
        self.clock.pump([0.5, 0.5])
        self.successResultOf(over)
        self.assertEqual(self.reported, ["1"])


class KilledTests(ReportsCase):
    """A proxy without workers has no supervisor, so its next start reports the sessions."""

    with_table = True

    def test_the_next_start(self) -> None:
        """It reports the sessions of a proxy that was killed."""
        left = SessionTables(str(self.folder)).make()
        write(left, row(1), row(2, cause="ClientLeft", ended_at=150.0))
        os.close(left)
        self.begin()
        self.clock.advance(1)
        self.assertEqual([(event.session_id, event.cause, event.detail) for event in self.events],
                         [(row(1).id, "WorkerLost", KILLED)])  # fmt: skip
        self.assertEqual(self.reported, [row(1).id, row(2).id])
        self.last.callback(None)
        self.successResultOf(self.run_it(self.stopping))

    def test_an_orderly_end(self) -> None:
        """A session is in the table until consoleauth has its report; an empty table is removed at the end."""
        self.begin()
        self.registry.on_closed(ended(1))
        self.assertEqual([one.id for one in read_table(self.context.table.handle)], ["1"])
        self.clock.advance(1)
        self.assertEqual((self.reported, read_table(self.context.table.handle)), (["1"], []))
        self.last.callback(None)
        self.successResultOf(self.run_it(self.stopping))
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_an_end_without_consoleauth(self) -> None:
        """The table stays for the next start."""
        self.begin()
        self.stop_consoleauth()
        self.registry.on_closed(ended(1))
        self.last.callback(None)
        self.successResultOf(self.run_it(self.stopping))
        self.assertEqual(len(self.logged.lines("sessions whose end could not be reported: 1")), 1)
        os.close(self.context.table.handle)
        [(rows, _)] = SessionTables(str(self.folder)).left_behind()
        self.assertEqual([one.id for one in rows], ["1"])

    def test_an_end_without_consoleauth_and_folder(self) -> None:
        """The table is in memory, so the next start cannot report the sessions."""
        self.folder.rmdir()
        self.begin()
        self.stop_consoleauth()
        self.registry.on_closed(ended(1))
        self.last.callback(None)
        self.successResultOf(self.run_it(self.stopping))
        self.assertEqual(
            len(self.logged.lines("sessions whose end could not be reported: 1; the history will not show them")), 1
        )
        self.assertEqual(self.logged.lines("the next start"), [])
        os.close(self.context.table.handle)

    def test_a_start_without_descriptors(self) -> None:
        """The proxy works without a table, and the sessions of a killed proxy are reported."""
        left = SessionTables(str(self.folder)).make()
        write(left, row(1))
        os.close(left)

        def none(*_: object, **__: object) -> int:
            raise OSError(24, "Too many open files")

        self.patch(session_tables, "mkstemp", none)
        self.patch(os, "memfd_create", none)
        self.begin()
        self.assertEqual(len(self.logged.lines("if a process of this proxy is killed")), 1)
        self.registry.on_closed(ended(1))
        self.clock.advance(1)
        self.assertEqual(self.reported, [row(1).id, "1"])
        self.last.callback(None)
        self.successResultOf(self.run_it(self.stopping))

    def test_a_start_without_consoleauth(self) -> None:
        """The sessions of a killed proxy stay in a table until consoleauth has their reports."""
        left = SessionTables(str(self.folder)).make()
        write(left, row(1), row(2, cause="ClientLeft", ended_at=150.0))
        os.close(left)
        self.stop_consoleauth()
        self.begin()
        self.last.callback(None)
        self.successResultOf(self.run_it(self.stopping))
        os.close(self.context.table.handle)
        [(rows, _)] = SessionTables(str(self.folder)).left_behind()
        self.assertEqual([(one.id, one.cause) for one in rows], [(row(1).id, "WorkerLost"), (row(2).id, "ClientLeft")])
