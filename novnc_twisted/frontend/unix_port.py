"""A port on a unix socket that was opened before, and that other processes may use as well."""

import stat
from pathlib import Path
from typing import Any, Self

from twisted.internet import tcp, unix
from twisted.python.failure import Failure


class SharedUnixPort(unix.Port):
    """Changes neither the permissions of the socket's path nor the path.

    Twisted's own port gives everybody the right to connect, and removes the path at its end, although other workers
    still accept connections there.
    """

    @classmethod
    def adopt(cls, reactor: Any, descriptor: int, factory: Any) -> Self:
        """Listen on a copy of this descriptor, as ``adoptStreamPort`` does."""
        port: Self = cls._fromListeningDescriptor(reactor, descriptor, factory)
        path = port._bindPath
        if path[:1] != b"\0":  # not in the file system
            port.mode = stat.S_IMODE(Path(path.decode("utf-8", "surrogateescape")).stat().st_mode)
        port.startListening()
        return port

    def connectionLost(self, reason: Failure) -> None:
        """See Port."""
        tcp.Port.connectionLost(self, reason)
