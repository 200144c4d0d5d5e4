"""The older processes: former main processes that take-overs have replaced, and that still have sessions.

systemd sends SIGTERM only to the main process (KillMode=mixed in the units of the proxies).  The main process therefore
sends SIGTERM to the older processes, and waits for their end.
"""

import contextlib
import os
import signal
from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer


class Predecessors:
    """The older processes.  They are not children of this process, so each is watched by its pidfd until it ends."""

    def __init__(self, reactor: Any, pids: Iterable[int] = ()) -> None:
        self._reactor = reactor
        self._living: dict[int, _Process] = {}
        self._waiting: list[Deferred[None]] = []
        for pid in pids:
            with contextlib.suppress(OSError):  # the process has ended
                self._living[pid] = _Process(self, pid, os.pidfd_open(pid))
        for process in self._living.values():
            reactor.addReader(process)

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that still run."""
        return list(self._living)

    def end(self) -> None:
        """Send SIGTERM to each process."""
        for process in self._living.values():
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(process.fileno(), signal.SIGTERM)

    def gone(self) -> Deferred[None]:
        """Return a Deferred that fires when all processes have ended."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        self._wake()
        return waiting

    def ended(self, pid: int) -> None:
        """Forget a process.  Further calls for the same process do nothing."""
        process = self._living.pop(pid, None)
        if process is not None:
            process.close()
            self._wake()

    def _wake(self) -> None:
        if not self._living:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.callback(None)


@implementer(IReadDescriptor)
class _Process:
    """One older process.  Its pidfd becomes readable when the process ends."""

    def __init__(self, owner: Predecessors, pid: int, handle: int) -> None:
        self._owner, self._pid, self._handle = owner, pid, handle

    def fileno(self) -> int:
        return self._handle

    def logPrefix(self) -> str:
        return "predecessor"

    def doRead(self) -> None:
        self._owner.ended(self._pid)

    def connectionLost(self, reason: Any) -> None:
        """See IReadDescriptor: the reactor stops, or the kernel reports the end as a hang-up (since Linux 6.9)."""
        self._owner.ended(self._pid)

    def close(self) -> None:
        self._owner._reactor.removeReader(self)
        os.close(self._handle)
