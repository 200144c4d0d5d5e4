"""The files of the log.

The file of ``[DEFAULT] log_file`` is opened again after a rename, so that logrotate needs no signal.  twistd's own
log file needs no logrotate, because this process rotates it.
"""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

from twisted.python import logfile

_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY | os.O_CLOEXEC


class LogFile:
    """A file for lines of the log.  Each write goes to the file that is at the path at that time.

    If the file at the path cannot be opened, the write goes to the previous file.

    A line that can't be written is dropped, for example on a full disk.

    :ivar path: the path.
    """

    def __init__(self, path: str) -> None:
        """Open the file, and create it if it does not exist.

        :raises OSError: it can't be opened.
        """
        self.path = os.path.abspath(path)  # noqa: PTH100 (pathlib's resolve() would follow links)
        self._handle = _open(self.path)

    def write(self, text: str) -> None:
        """Append a text, without a buffer."""
        # After a rename or a removal, a new file is made at the path.  If that fails, the old file stays in use.
        if self._is_moved():
            with contextlib.suppress(OSError):
                self.reopen()
        data = text.encode("utf-8", "backslashreplace")
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._handle, data) :]

    def flush(self) -> None:
        """Do nothing, because there is no buffer."""

    def reopen(self) -> None:
        """Open the path again.

        :raises OSError: it can't be opened; the previous file stays in use.
        """
        handle = _open(self.path)
        previous, self._handle = self._handle, handle
        os.close(previous)

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)

    def _is_moved(self) -> bool:
        try:
            return not os.path.samestat(Path(self.path).stat(), os.fstat(self._handle))
        except OSError:
            return True


class RotatedFile(logfile.LogFile):
    """Twisted's log file, to which several processes may append.

    During a take-over, the old and the new process have the file open.  With Twisted's own class, each process would
    continue at its own position, and overwrite the lines of the other process.
    """

    def _openFile(self) -> None:
        super()._openFile()
        handle = self._file.fileno()
        fcntl.fcntl(handle, fcntl.F_SETFL, fcntl.fcntl(handle, fcntl.F_GETFL) | os.O_APPEND)


def _open(path: str) -> int:
    # O_NONBLOCK only for os.open(), which would otherwise wait for a reader if the path is a named pipe.
    handle = os.open(path, _FLAGS | os.O_NONBLOCK, 0o666)
    os.set_blocking(handle, True)
    return handle
