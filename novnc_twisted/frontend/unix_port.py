"""A port on a unix socket that was opened before, and that other processes may use as well."""

import stat
from pathlib import Path
from typing import Any, Final, Self

from twisted.internet import tcp, unix
from twisted.python.failure import Failure

BACKLOG: Final = 1024
"""Connections that may wait: a burst of reconnecting viewers; the kernel caps it at somaxconn."""


class SharedUnixPort(unix.Port):
    """Changes neither the path of the socket and its permissions, nor what other processes have of it.

    Twisted's own port gives everybody the right to connect.  At its end it removes the path and shuts the socket down,
    although other workers, or a successor of this process, still accept connections there.
    """

    _shouldShutdown = False

    @classmethod
    def adopt(cls, reactor: Any, descriptor: int, factory: Any) -> Self:
        """Listen on a copy of this descriptor, as ``adoptStreamPort`` does."""
        port: Self = cls._fromListeningDescriptor(reactor, descriptor, factory)
        port.backlog = BACKLOG  # startListening() sets it again
        path = port._bindPath
        if path[:1] != b"\0":  # not in the file system
            port.mode = stat.S_IMODE(Path(path.decode("utf-8", "surrogateescape")).stat().st_mode)
        port.startListening()
        return port

    def connectionLost(self, reason: Failure) -> None:
        """See Port."""
        tcp.Port.connectionLost(self, reason)
