"""The new process of a take-over (SIGUSR2): what it gets from its predecessor, and what it reports.

The predecessor (:mod:`novnc_twisted.service.takeover`) starts the same command with the variable
``NOVNC_TWISTED_TAKEOVER``, which describes its descriptors.  The new process reports ``ready`` or ``failed: REASON``
on the channel, a socket pair.  After the line ``lead``, it accepts connections, and is the service's main process.
"""

import contextlib
import json
import os
import socket
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from novnc_twisted.service.exits import one_line
from novnc_twisted.service.flagfile import FlagFile

VARIABLE = "NOVNC_TWISTED_TAKEOVER"
"""The variable of the environment: a JSON object with the arguments of :class:`Successor`."""

LEAD = b"lead"
"""The predecessor's line: it stops accepting, and this process is the main process now."""

_STDERR = 2


@implementer(IReadDescriptor)
class Successor:
    """The predecessor, seen from the new process.

    :ivar owners: the service of each listening socket; the sockets are descriptors from 3 on.
    :ivar older: the processes that still have sessions, the predecessor included.
    :ivar files: the configuration files that a reload has given to the predecessor; if there are any, they replace
        those of the command line.
    """

    def __init__(
        self,
        *,
        owners: list[str],
        older: list[int],
        channel: int,
        errors: int,
        files: Sequence[tuple[str, int]] = (),
    ) -> None:
        """:param channel: descriptor of the channel.
        :param errors: descriptor of the standard error; until this process leads, its own goes to the predecessor.
        :param files: the path of each configuration file, and the descriptor of its text.
        """
        self.files = [FlagFile.of_text(path, _text(handle)) for path, handle in files]
        for handle in (channel, errors):
            os.set_inheritable(handle, False)
        self.owners = owners
        self.older = older
        self._errors = errors
        self._channel = socket.socket(fileno=channel)
        self._received = b""
        self._reactor: Any = None
        self._on_lead: Callable[[], None] | None = None

    def adjust(self, twistd: Any) -> None:
        """Change the options of twistd: the predecessor's pid file exists, and its rights may have been given up."""
        twistd["pidfile of the service"] = twistd.get("pidfile")
        twistd["pidfile"] = ""
        twistd["nodaemon"] = True
        if os.geteuid() != 0:
            twistd["uid"] = twistd["gid"] = None

    def watch(self, reactor: Any, on_lead: Callable[[], None]) -> None:
        """Wait for the predecessor's line.

        :param on_lead: called when this process has become the main process; also if the predecessor died.
        """
        self._reactor, self._on_lead = reactor, on_lead
        self._channel.setblocking(False)
        reactor.addReader(self)

    def ready(self) -> None:
        """Report that all services have started, and wait to accept connections."""
        self._send("ready")

    def failed(self, reason: object) -> None:
        """Report why this process can't start; the predecessor logs the line."""
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
        with contextlib.suppress(BlockingIOError):
            data = self._channel.recv(65536)
            self._received += data
            *lines, self._received = self._received.split(b"\n")
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
def successor() -> Successor | None:
    """What the predecessor passed to this process; None: this is an ordinary start."""
    # Removed, since it must not reach the processes that this one starts.
    described = os.environ.pop(VARIABLE, "")
    return Successor(**json.loads(described)) if described else None


def described(**arguments: Any) -> str:
    """The value of :data:`VARIABLE` for these arguments."""
    return json.dumps(arguments)


def _text(handle: int) -> str:
    """The text of a file in memory, which is closed."""
    with open(handle, encoding="utf-8") as file:  # a descriptor
        file.seek(0)
        return file.read()
