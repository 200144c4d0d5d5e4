"""The take-over by another process (SIGUSR2), as its predecessor sees it.

The predecessor starts the same command again, as it is installed now, and passes its listening sockets.  Both processes
have the sockets until the new one is ready, so that no connection is refused.  If the new process can't start, nothing
has changed.  See :mod:`novnc_twisted.service.successor` for the channel between the two.
"""

import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver

from novnc_twisted.service.configuration import in_memory
from novnc_twisted.service.exits import one_line
from novnc_twisted.service.flagfile import FlagFile
from novnc_twisted.service.predecessors import Predecessors
from novnc_twisted.service.sockets import FIRST
from novnc_twisted.service.successor import LEAD, VARIABLE, described

LONGEST_START: Final = 60.0
"""Seconds within which the new process must be ready."""

OnReady = Callable[[int, Callable[[], None]], Coroutine[Any, Any, None]]
"""Called when the new process is ready, with its pid and a function that makes it the main process."""

TAIL: Final = 4096
"""Maximum bytes kept of the new process's standard error.  Its last line is logged as the reason if the process ends
without reporting one."""

_OF_THIS_PROCESS = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID")
"""Variables of systemd that are not meant for the new process."""


@contextmanager
def without_sigusr2() -> Iterator[None]:
    """Start processes with SIGUSR2 blocked.  Before a process has installed its handler, the signal would kill it.

    ``systemctl kill`` sends it to all processes of a unit.  To ignore the signal would not be enough, because Twisted
    restores the default in children.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class TakeOver:
    """Starts successors, one at a time.

    :ivar refusal: why this service can't hand over; empty if it can.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        listeners: Sequence[tuple[str, socket.socket]],
        older: Predecessors,
        *,
        files: Callable[[], Sequence[FlagFile]] = tuple,
        refusal: str = "",
    ) -> None:
        """Prepare.

        :param listeners: the listening sockets, each with its service.
        :param older: the predecessors of this process.
        :param files: returns the configuration files that the new process has to use in place of those of its command
            line, if there are any.
        """
        self._reactor = reactor
        self._listeners = listeners
        self._older = older
        self._files = files
        self.refusal = refusal
        self._attempt: _Attempt | None = None
        self._folder = str(Path.cwd())  # twistd may change it after this

    def begin(self, on_ready: OnReady) -> None:
        """Start the new process."""
        if self.refusal:
            self.log.error("take-over refused: {reason}", reason=self.refusal)
            return
        if self._attempt is not None:
            self.log.info("SIGUSR2: a take-over is under way already")
            return
        attempt = self._attempt = _Attempt(self, on_ready)
        ours, theirs = socket.socketpair()
        errors, files = os.dup(2), list(self._files())
        texts = [in_memory(file) for file in files]
        try:
            handles = [*(one.fileno() for _, one in self._listeners), theirs.fileno(), errors, *texts]
            channel = FIRST + len(self._listeners)
            environment = {name: value for name, value in os.environ.items() if name not in _OF_THIS_PROCESS}
            environment[VARIABLE] = described(
                owners=[name for name, _ in self._listeners],
                older=[*self._older.pids, os.getpid()],
                channel=channel,
                errors=channel + 1,
                files=[(file.path, channel + 2 + index) for index, file in enumerate(files)],
            )
            pipes: dict[int, int | str] = {0: 0, 1: 1, 2: "r"}
            line = [sys.executable, *sys.orig_argv[1:]]
            with without_sigusr2():
                self._reactor.spawnProcess(
                    attempt,
                    line[0],
                    line,
                    environment,
                    self._folder,
                    childFDs=pipes | {FIRST + index: handle for index, handle in enumerate(handles)},
                )
            factory = Factory.forProtocol(lambda: _Channel(attempt))
            factory.noisy = False
            self._reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, factory)
        except OSError as error:
            self.failed(one_line(error))
            return
        finally:
            for one in (ours, theirs):
                one.close()
            for handle in (errors, *texts):
                os.close(handle)
        attempt.watch(self._reactor.callLater(LONGEST_START, attempt.give_up, f"not ready within {LONGEST_START:g} s"))
        self.log.info("SIGUSR2: the new process (pid {pid}) is being started", pid=attempt.pid)

    def failed(self, reason: str) -> None:
        """Go on as before."""
        self._attempt = None
        self.log.error("take-over failed, the previous process goes on: {reason}", reason=reason)

    def abandon(self) -> None:
        """Kill a new process that is not ready yet, since this one ends."""
        if self._attempt is not None:
            self._attempt.abandon()


class _Attempt(ProcessProtocol):
    """A new process, until it is the main process.

    :ivar pid: its process id.
    """

    def __init__(self, owner: TakeOver, on_ready: OnReady) -> None:
        self._owner = owner
        self._on_ready: OnReady | None = on_ready
        self._errors = b""
        self._reason = ""
        self._timer: IDelayedCall | None = None
        self.pid: int | None = None
        self.channel: _Channel | None = None

    def connectionMade(self) -> None:
        """See ProcessProtocol."""
        self.pid = self.transport.pid if self.transport is not None else None

    def watch(self, timer: IDelayedCall) -> None:
        """Set the timer, which ends with the attempt."""
        self._timer = timer

    def errReceived(self, data: bytes) -> None:
        """See ProcessProtocol: its standard error."""
        self._errors = (self._errors + data)[-TAIL:]

    def reported(self, line: str) -> None:
        """Take a line from the channel."""
        if line == "ready" and self._on_ready is not None and self.pid is not None and self.channel is not None:
            on_ready, self._on_ready = self._on_ready, None
            self._stop_timer()
            self._owner.log.info("the new process (pid {pid}) has taken over", pid=self.pid)
            failed = self._owner.log.failure
            Deferred.fromCoroutine(on_ready(self.pid, self.channel.lead)).addErrback(
                lambda failure: failed("a take-over was not finished", failure)
            )
        elif line.startswith("failed: "):
            self._reason = line.removeprefix("failed: ")

    def give_up(self, reason: str) -> None:
        """Kill it, unless it is the main process already."""
        if self._on_ready is not None and self.transport is not None:
            self._reason = reason
            self.transport.signalProcess("KILL")

    def abandon(self) -> None:
        """Kill it, unless it is the main process already, and do not report its end."""
        self.give_up("")
        self._on_ready = None

    def processEnded(self, reason: Any) -> None:
        """See ProcessProtocol."""
        self._stop_timer()
        if self.channel is not None:
            self.channel.close()
        if self._on_ready is not None:
            last = self._errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
            status = reason.value
            how = f"signal {status.signal}" if status.signal else f"exit code {status.exitCode}"
            self._owner.failed(one_line(self._reason or f"the new process ended with {how}: {last}".removesuffix(": ")))

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()


class _Channel(LineOnlyReceiver):
    """The channel, on the predecessor's side."""

    delimiter = b"\n"

    def __init__(self, attempt: _Attempt) -> None:
        self._attempt = attempt

    def connectionMade(self) -> None:
        """See Protocol."""
        self._attempt.channel = self

    def lineReceived(self, line: bytes) -> None:
        """See LineOnlyReceiver."""
        self._attempt.reported(line.decode("utf-8", "replace"))

    def lead(self) -> None:
        """Make the new process the main process."""
        if self.transport is not None:
            self.transport.write(LEAD + b"\n")
            self.close()

    def close(self) -> None:
        """Close the channel."""
        if self.transport is not None:
            self.transport.loseConnection()
