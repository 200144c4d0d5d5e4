"""A listening port on a unix socket that was opened elsewhere, and that other processes may use, too."""

import stat
from pathlib import Path
from typing import Any, Final, Self

from twisted.internet import tcp, unix
from twisted.python.failure import Failure

BACKLOG: Final = 1024
"""Maximum number of connections that wait to be accepted: enough for a burst of reconnecting viewers.  The kernel
allows at most somaxconn."""


class SharedUnixPort(unix.Port):
    """Leaves the socket's path and permissions unchanged, and does not close the socket for other processes.

    Twisted's own port lets every user connect.  When it stops, it removes the path and shuts the socket down, although
    other workers, or a successor of this process, still accept connections there.
    """

    _shouldShutdown = False

    @classmethod
    def adopt(cls, reactor: Any, descriptor: int, factory: Any) -> Self:
        """Listen on a copy of this descriptor, as ``adoptStreamPort`` does."""
        port: Self = cls._fromListeningDescriptor(reactor, descriptor, factory)
        port.backlog = BACKLOG  # startListening() calls listen() with this value
        path = port._bindPath
        # startListening() sets the permissions of the path to ``mode``.  So set ``mode`` to the present permissions.
        # An abstract socket has no file, and so no permissions.
        if path[:1] != b"\0":
            port.mode = stat.S_IMODE(Path(path.decode("utf-8", "surrogateescape")).stat().st_mode)
        port.startListening()
        return port

    def connectionLost(self, reason: Failure) -> None:
        """See Port.  Skips the method of unix.Port, which would remove the socket's path."""
        tcp.Port.connectionLost(self, reason)
