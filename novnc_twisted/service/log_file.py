"""The file of ``[DEFAULT] log_file``: opened again when it was renamed, so that logrotate needs no signal."""

import contextlib
import os
from pathlib import Path
from typing import Final

_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY | os.O_CLOEXEC


class LogFile:
    """A file for lines of the log; each write goes to the file that has the path now.

    A line that can't be written, on a full disk for example, is dropped.

    :ivar path: the path.
    """

    def __init__(self, path: str) -> None:
        """Open the file, and create it if it does not exist.

        :raises OSError: it can't be opened.
        """
        self.path = os.path.abspath(path)  # noqa: PTH100 (pathlib's resolve() would follow links)
        self._handle = _open(self.path)

    def write(self, text: str) -> None:
        """Append a text at once."""
        # Renamed or removed: a file at this path is not ours any more.  If no new one can be made, the old one stays.
        if self._is_moved():
            with contextlib.suppress(OSError):
                self.reopen()
        data = text.encode("utf-8", "backslashreplace")
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._handle, data) :]

    def flush(self) -> None:
        """Nothing to do: there is no buffer."""

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


def _open(path: str) -> int:
    # O_NONBLOCK for the opening alone, which would wait for a reader of a named pipe.
    handle = os.open(path, _FLAGS | os.O_NONBLOCK, 0o666)
    os.set_blocking(handle, True)
    return handle
