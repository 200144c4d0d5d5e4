"""The file of the audit trail.

Several processes may write to one file: the workers of one ``twistd`` command, and commands that run as the same user.
Each entry is one ``write()`` to a file opened with O_APPEND.  Linux locks the file for each write, so the entry is
appended as a whole.  (NFS does not do this.)  Entries are not buffered, so a crash of the process loses none.  They are
not forced to the disk (fsync), so a power failure may lose the entries of the last seconds.
"""

import errno
import os
import stat
from pathlib import Path
from typing import Final

# O_RDWR, because _is_torn() reads the last byte.
_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK


class AuditFile:
    """A file to which lines are appended.

    If the file was renamed or removed, the next write opens the path again, and creates the file if it is missing.

    :ivar name: how log lines name the file.
    """

    def __init__(self, path: str) -> None:
        """Store the path; :meth:`open` or the first :meth:`write` opens the file."""
        self.name = path
        self._path = Path(path)
        self._handle = -1

    def open(self) -> None:
        """Open the path, even if a file is open already.  A new file gets mode 0600.

        :raises OSError: the path cannot be opened, or is not a regular file.  The previous file stays open.
        """
        # _FLAGS has O_NONBLOCK because the opening of some devices would wait.
        handle = os.open(self._path, _FLAGS, 0o600)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise OSError(errno.EINVAL, "it is not a regular file")
        self.close()
        self._handle = handle

    def close(self) -> None:
        """Close the file."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def write(self, line: bytes) -> None:
        """Append a line.

        :raises OSError: the line was not written, or only a part of it, for example because the disk is full.
        """
        if self._handle < 0 or self._is_moved():
            self.open()
        if self._is_torn():
            line = b"\n" + line
        if os.write(self._handle, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _is_moved(self) -> bool:
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._handle))
        except FileNotFoundError:
            return True
        except OSError:
            return False  # the folder is not readable now, but the open file can still be written

    def _is_torn(self) -> bool:
        """Return whether the file's last line is incomplete, for example after a full disk or a crash."""
        size = os.fstat(self._handle).st_size
        return bool(size) and os.pread(self._handle, 1, size - 1) != b"\n"
