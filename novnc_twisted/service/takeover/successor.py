"""The new process's part of a take-over (SIGUSR2): the descriptors that it gets, and its reports.

The old process, the predecessor (:mod:`novnc_twisted.service.takeover.launch`), starts the same command again.  The
environment variable ``NOVNC_TWISTED_TAKEOVER`` describes the descriptors that the old process passes.  One of them is
the channel, which is one socket of a socket pair.  The new process reports ``ready`` or ``failed: REASON`` on the
channel.  When it receives the line ``lead``, it accepts connections, and is the service's main process.  If
``[monitoring] listen`` is set, the main process then asks the old process for its metrics on the channel
(:mod:`novnc_twisted.service.takeover.older_status`).
"""

import contextlib
import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from novnc_twisted.service.exits import one_line
from novnc_twisted.service.flagfile import FlagFile

VARIABLE = "NOVNC_TWISTED_TAKEOVER"
"""The name of the environment variable.  Its value is a JSON object: the arguments of :class:`PredecessorChannel`."""

LEAD = b"lead"
"""The line by which the predecessor makes this process the main process."""

DAEMON = "daemon of the service"
"""A key of twistd's options: whether the service was started as a daemon.

The option ``nodaemon`` does not show this: it is always set in the new process, which must not fork.
"""

_STDERR = 2


@implementer(IReadDescriptor)
class PredecessorChannel:
    """The new process's connection to its predecessor.

    :ivar owners: the service of each listening socket; the sockets are descriptors from 3 on.
    :ivar older: the process ids of the older processes that still have sessions, and of the predecessor, which is last.
    :ivar channels: the channels to older processes, on which the main process asks for their metrics.
    :ivar files: the configuration files that a reload request has sent to the predecessor, which passes them on.  If
        there are any, they replace those of the command line.
    """

    def __init__(
        self,
        *,
        owners: list[str],
        older: list[int],
        channel: int,
        errors: int,
        files: Sequence[tuple[str, int]] = (),
        channels: Mapping[str, int] | None = None,
    ) -> None:
        """:param channel: descriptor of the channel.
        :param errors: descriptor of the service's standard error.  Until this process is the main process, its
            standard error is a pipe to the predecessor.
        :param files: the path of each configuration file, and the descriptor of its text.
        :param channels: descriptors of the channels to the processes in ``older``, by process id.  The last process in
            ``older``, the predecessor, is not among them: its channel is ``channel``.
        """
        self.files = [FlagFile.of_text(path, _text(handle)) for path, handle in files]
        self.channels = {int(pid): socket.socket(fileno=handle) for pid, handle in (channels or {}).items()}
        for handle in (channel, errors, *(channels or {}).values()):
            os.set_inheritable(handle, False)
        self.owners = owners
        self.older = older
        self._errors = errors
        self._channel = socket.socket(fileno=channel)
        self._received = b""
        self._reactor: Any = None
        self._on_lead: Callable[[], None] | None = None

    def adjust(self, twistd: Any) -> None:
        """Change the options of twistd: it must leave the pid file alone, and must not fork.

        The pid file belongs to the predecessor until this process is the main process.  Until then, its path is kept in
        another option.  If the predecessor has changed its user (``--uid``), this process is not root.  Then twistd
        must not change the user again, because only root can.
        """
        twistd["pidfile of the service"] = twistd.get("pidfile")
        twistd["pidfile"] = ""
        twistd[DAEMON] = not twistd.get("nodaemon")
        twistd["nodaemon"] = True
        if os.geteuid() != 0:
            twistd["uid"] = twistd["gid"] = None

    def watch(self, reactor: Any, on_lead: Callable[[], None]) -> None:
        """Wait for the line ``lead`` on the channel.

        :param on_lead: called when this process becomes the main process: after the line ``lead``, or if the
            predecessor has died.
        """
        self._reactor, self._on_lead = reactor, on_lead
        self._channel.setblocking(False)
        reactor.addReader(self)

    def detached_channel(self) -> socket.socket | None:
        """Stop reading the channel, and return it; None: the predecessor has closed it."""
        if self._channel.fileno() < 0:
            return None
        self._reactor.removeReader(self)
        return socket.socket(fileno=self._channel.detach())

    def ready(self) -> None:
        """Report that this process can become the main process.  The predecessor then sends the line ``lead``."""
        self._send("ready")

    def failed(self, reason: object) -> None:
        """Report why this process cannot start; the predecessor logs the reason."""
        self._send(f"failed: {one_line(reason)}")

    def _send(self, line: str) -> None:
        with contextlib.suppress(OSError):  # the predecessor is gone
            self._channel.sendall(line.encode() + b"\n")

    def fileno(self) -> int:
        """See IFileDescriptor."""
        return self._channel.fileno()

    def logPrefix(self) -> str:
        """See ILoggingContext."""
        return "predecessor"

    def doRead(self) -> None:
        """See IReadDescriptor."""
        try:
            data = self._channel.recv(65536)
        except BlockingIOError:
            return
        except OSError:  # a reset: the predecessor was killed before it had read the line ``ready``
            data = b""
        *lines, self._received = (self._received + data).split(b"\n")
        if LEAD in lines or not data:
            self._lead()
        if not data:
            self.connectionLost(None)

    def connectionLost(self, reason: Any) -> None:
        """See IReadDescriptor: the predecessor has closed the channel, or this reactor stops."""
        if self._channel.fileno() >= 0:
            self._reactor.removeReader(self)
            self._channel.close()

    def _lead(self) -> None:
        on_lead, self._on_lead = self._on_lead, None
        if on_lead is not None:
            os.dup2(self._errors, _STDERR)
            os.close(self._errors)
            on_lead()


@cache
def channel_to_predecessor() -> PredecessorChannel | None:
    """Return the connection to the predecessor; None: this is an ordinary start."""
    # Removed, because the processes that this process starts must not inherit the variable.
    described = os.environ.pop(VARIABLE, "")
    return PredecessorChannel(**json.loads(described)) if described else None


def described(**arguments: Any) -> str:
    """Return the value of :data:`VARIABLE` for these arguments."""
    return json.dumps(arguments)


def _text(handle: int) -> str:
    """Return the text of a file in memory, and close the file."""
    with open(handle, encoding="utf-8") as file:
        file.seek(0)  # both processes share the file position, which is at the end after the predecessor's write
        return file.read()
