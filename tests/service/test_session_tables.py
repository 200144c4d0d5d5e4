"""The files of session tables: the next start reads only those of killed processes."""

import fcntl
import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.service.session_tables import SessionTables
from tests.service.test_lost_sessions import write
from tests.session.test_shared_table import row
from tests.support.logged import Logged


class TableTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.tables = SessionTables(str(self.folder))

    def left(self) -> list[str]:
        """Return the ids of the sessions that the next start finds."""
        return [one.id for rows, _ in SessionTables(str(self.folder)).left_behind() for one in rows]

    def test_a_killed_process(self) -> None:
        """Its table is found once, with the time of its last write."""
        table = self.tables.make()
        write(table, row(1))
        [path] = self.folder.iterdir()
        os.close(table)
        os.utime(path, (50.0, 160.0))
        [(rows, at)] = self.tables.left_behind()
        self.assertEqual(([one.id for one in rows], at), ([row(1).id], 160.0))
        self.assertEqual((self.left(), list(self.folder.iterdir())), ([], []))

    def test_a_live_process(self) -> None:
        """Its table stays, also while only a worker has the descriptor."""
        table = self.tables.make()
        workers = os.dup(table)
        write(table, row(1))
        for one in (table, workers):
            self.assertEqual(self.left(), [])
            os.close(one)
        self.assertEqual(self.left(), [row(1).id])

    def test_removed(self) -> None:
        table = self.tables.make()
        write(table, row(1))
        self.assertEqual(next(self.folder.iterdir()).stat().st_mode & 0o777, 0o600)
        self.tables.remove(table)
        self.assertEqual(list(self.folder.iterdir()), [])
        self.assertRaises(OSError, os.fstat, table)

    def test_other_files(self) -> None:
        """They stay; a damaged table has no rows."""
        (self.folder / "control").write_text("x")
        (self.folder / "sessions-broken").write_text("x" * 2000)
        (self.folder / "sessions-link").symlink_to("/etc/passwd")
        self.assertEqual(self.left(), [])
        self.assertEqual({path.name for path in self.folder.iterdir()}, {"control", "sessions-link"})

    def test_no_folder(self) -> None:
        """Without RUNTIME_DIRECTORY, a table is in memory; of two folders in the variable, the first is used."""
        self.patch(os, "environ", {})
        tables = SessionTables()
        self.assertEqual(list(tables.left_behind()), [])
        table = tables.make()
        write(table, row(1))
        tables.remove(table)
        self.patch(os, "environ", {"RUNTIME_DIRECTORY": f"{self.folder}:/run/other"})
        self.assertEqual(SessionTables().folder, str(self.folder))

    def test_an_unusable_folder(self) -> None:
        """The table is then in memory, and a log line has the reason."""
        logged = Logged(self)
        tables = SessionTables(str(self.folder / "missing"))
        self.assertEqual(list(tables.left_behind()), [])
        table = tables.make()
        write(table, row(1))
        tables.remove(table)
        self.assertEqual(len(logged.lines("No such file or directory")), 1)

    def test_a_folder_without_locks(self) -> None:
        """No file stays there: without a lock, the next start would take the table of a live process."""

        def flock(*_: object) -> None:
            raise OSError(37, "No locks available")

        logged = Logged(self)
        self.patch(fcntl, "flock", flock)
        os.close(self.tables.make())
        self.assertEqual(list(self.folder.iterdir()), [])
        self.assertEqual(len(logged.lines("No locks available")), 1)

    def test_another_start_at_the_same_time(self) -> None:
        """It does not read the file before this process has locked it."""
        flock = fcntl.flock

        def slow(*arguments: Any) -> None:
            self.patch(fcntl, "flock", flock)
            self.assertEqual(self.left(), [])
            flock(*arguments)

        self.patch(fcntl, "flock", slow)
        table = self.tables.make()
        write(table, row(1))
        os.close(table)
        self.assertEqual(self.left(), [row(1).id])
