"""The files of the tables of sessions (:class:`novnc_twisted.session.shared_table.SharedTable`).

A process of a proxy writes its sessions to a table, so that another process can report their end if this process is
killed.

The files are in the RuntimeDirectory of the service's unit.  Each file belongs to one process, which writes to it.  The
file is locked while this process or its supervisor is alive.  If all processes of a proxy are killed, the next start of
the proxy finds the files without a lock, and reports the sessions in them.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

if TYPE_CHECKING:
    from novnc_twisted.session.shared_table import SharedTable
    from novnc_twisted.session.table_rows import Row

KILLED: Final = "the proxy was killed or has crashed"
"""What the log, the history and the audit trail say about a session of a proxy that was killed as a whole."""

_PREFIX: Final = "sessions-"

_log = Logger()


class SessionTables:
    """Makes files for tables, and finds those that earlier processes have left behind.

    :param folder: where the files are; empty: there is no folder; None: the RuntimeDirectory, or no folder if the
        service has none.  Without a folder, no files are found, and new files are made in memory.  Such files are lost
        if all processes of the proxy are killed.  A worker has no folder, because its supervisor makes the worker's
        table.
    """

    def __init__(self, folder: str | None = None) -> None:
        self.folder = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] if folder is None else folder
        self._paths: dict[int, str] = {}

    def make(self) -> int:
        """Return the descriptor of a new table.  It is in memory if there is no folder, or if the folder can't be used.

        :raises OSError: no table can be made.
        """
        if self.folder:
            try:
                return self._make_file()
            except OSError as error:
                _log.warn(
                    "can't make a table of sessions in {folder}: {reason}; if this service is killed as a whole, the "
                    "history and the audit trail will not show how its sessions ended; correct RUNTIME_DIRECTORY",
                    folder=self.folder,
                    reason=error.strerror,
                )
        return os.memfd_create("novnc sessions")

    def make_if_possible(self) -> int | None:
        """Return the descriptor of a new table; None after an error.  All processes also work without a table."""
        try:
            return self.make()
        except OSError as error:
            _log.error(
                "can't make a table of sessions: {reason}; if a process of this proxy is killed, the history and the "
                "audit trail may not show how its sessions ended",
                reason=error.strerror,
            )
            return None

    def _make_file(self) -> int:
        table, name = mkstemp(prefix=".", dir=self.folder)
        path = Path(name)
        try:
            fcntl.flock(table, fcntl.LOCK_EX)
            # Lock the file before it gets the name of a table: if a proxy starts at this moment, it removes all tables
            # that are not locked.
            self._paths[table] = str(path.rename(path.with_name(_PREFIX + path.name[1:])))
        except OSError:
            os.close(table)
            path.unlink()
            raise
        return table

    def remove(self, table: int) -> None:
        """Close the descriptor of a table, and remove its file."""
        path = self._paths.pop(table, None)
        if path is not None:
            with suppress(OSError):
                Path(path).unlink()
        os.close(table)

    def leave(self, table: "SharedTable") -> None:
        """Remove the table of this process, unless it has sessions that the next start has to report."""
        if table.sessions:
            in_file = f"the next start reports them if the files in {self.folder} still exist"
            in_memory = "the history will not show them, because no file contains them"
            _log.warn(
                "sessions whose end could not be reported: {count}; {what}",
                count=table.sessions,
                what=in_file if table.handle in self._paths else in_memory,
            )
            return
        handle, table.handle = table.handle, None
        if handle is not None:
            self.remove(handle)

    def left_behind(self) -> "Iterator[tuple[list[Row], float]]":
        """Remove the tables that earlier processes have left; yield each table's rows, and when it was last written.

        The time of the last write is Unix time in seconds.  If the process was killed, it is close to the time of the
        kill, because a process with live sessions writes to its table each second.
        """
        from novnc_twisted.session.shared_table import read_table

        for path in sorted(Path(self.folder).glob(f"{_PREFIX}*")) if self.folder else ():
            try:
                table = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
            except OSError:
                continue
            self._paths[table] = str(path)
            try:
                fcntl.flock(table, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found = read_table(table), os.fstat(table).st_mtime
            except OSError:  # usually BlockingIOError: a live process uses it, such as the old process of a take-over
                os.close(table)
                del self._paths[table]
                continue
            self.remove(table)
            yield found
