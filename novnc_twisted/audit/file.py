"""The file of the audit trail.

Several processes may write to one file: the workers of a command, and several commands of one user.  Each entry is one
``write()`` of at most 4096 bytes to a file that was opened with O_APPEND.  Linux appends it as a whole, since it locks
the file for each write.  (NFS does not.)  There is no buffer that a crash could lose: the entry is in the file once the
event has happened.  It is not forced to the disk (fsync), so that a power failure may lose the last seconds.
"""

import os
import stat
from pathlib import Path
from typing import Final

_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK


class AuditFile:
    """A file to which lines are appended.

    A file that was renamed or removed is not written to any more: the path is opened again.

    :ivar name: for the log.
    """

    def __init__(self, path: str) -> None:
        """Open nothing yet."""
        self.name = path
        self._path = Path(path)
        self._handle = -1

    def open(self) -> None:
        """Open the path, again if it is open already; the file is created for its owner alone (mode 0600).

        :raises OSError: it can't be opened, or is not a regular file; the previous file stays in use.
        """
        # O_NONBLOCK: the opening of a named pipe would wait for its reader.
        handle = os.open(self._path, _FLAGS, 0o600)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise OSError(22, "it is not a regular file")
        self.close()
        self._handle = handle

    def close(self) -> None:
        """Close the file."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def write(self, line: bytes) -> None:
        """Append a line.

        :raises OSError: it was not written, or only in part, for example because the disk is full.
        """
        if self._handle < 0 or self._is_moved():
            self.open()
        if self._is_torn():
            line = b"\n" + line
        if os.write(self._handle, line) < len(line):
            raise OSError(28, os.strerror(28))

    def _is_moved(self) -> bool:
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._handle))
        except FileNotFoundError:
            return True
        except OSError:
            return False  # the folder may not be read any more; the open file can still be written

    def _is_torn(self) -> bool:
        """Whether the file ends within a line: the disk was full, or the machine crashed."""
        size = os.fstat(self._handle).st_size
        return bool(size) and os.pread(self._handle, 1, size - 1) != b"\n"
