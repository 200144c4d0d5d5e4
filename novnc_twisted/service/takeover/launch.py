"""The old process's part of a take-over (SIGUSR2): a new process replaces the old one, and no connection is refused.

The old process starts the same command again, in the version that is installed now.  It passes its listening sockets to
the new process.  The old process accepts connections until the new process is ready.  If the new process cannot start,
the old process continues.  :mod:`novnc_twisted.service.takeover.successor` is the new process's part.  Its docstring
describes the channel between the two processes.
"""

import os
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from novnc_twisted.service.child_signals import without_sigusr2
from novnc_twisted.service.configuration import in_memory
from novnc_twisted.service.exits import one_line
from novnc_twisted.service.flagfile import FlagFile
from novnc_twisted.service.sockets import FIRST
from novnc_twisted.service.takeover.channel import Channel
from novnc_twisted.service.takeover.older_status import STATUS, OlderStatus
from novnc_twisted.service.takeover.predecessors import Predecessors
from novnc_twisted.service.takeover.successor import VARIABLE, described

LONGEST_START: Final = 60.0
"""Seconds for the start of the new process.  If it is not ready by then, it is killed."""

OnReady = Callable[[int, Callable[[], None]], Coroutine[Any, Any, None]]
"""Called when the new process is ready, with its pid and a function that makes it the main process."""

TAIL: Final = 4096
"""Maximum number of bytes kept from the new process's standard error.

If the process ends without sending a reason, the last line of its standard error is logged as the reason.
"""

_OF_THIS_PROCESS = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID")
"""Environment variables of systemd that are valid for this process only, and are not passed to the new one."""


class TakeOver:
    """Starts the new process of a take-over; only one take-over at a time.

    :ivar refusal: why this service does not support a take-over; empty if it does.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        listeners: Sequence[tuple[str, socket.socket]],
        older: Predecessors,
        *,
        files: Callable[[], Sequence[FlagFile]] = tuple,
        status: "OlderStatus | None" = None,
        refusal: str = "",
    ) -> None:
        """Prepare for :meth:`begin`.

        :param listeners: the listening sockets, each with the name of its service.
        :param older: the processes of earlier take-overs that still have sessions.
        :param files: returns the configuration files that the new process uses in place of those of its command line:
            the files in use, if they came with a reload request (``novnc-reload``) to this process or to an older one.
            Otherwise, it returns an empty sequence.
        :param status: gives the metrics of this process when the new process asks for them.  It also has the channels
            to older processes; the new process gets these channels.  None: there are no metrics.
        """
        self._reactor = reactor
        self._listeners = listeners
        self._older = older
        self._files = files
        self._status = status
        self.refusal = refusal
        self._attempt: _Attempt | None = None
        self._ended: Deferred[str] | None = None
        self._folder = str(Path.cwd())  # read now: twistd may change the working directory later

    def begin(self, on_ready: OnReady) -> "Deferred[str]":
        """Start the new process.

        :return: fires with ``ok`` when the new process is the main process, or with ``failed: REASON``.  If this
            service does not support a take-over, the Deferred fires with ``refused: REASON``.  If :meth:`abandon` kills
            the new process, the Deferred does not fire.
        """
        if self.refusal:
            self.log.error("take-over refused: {reason}", reason=self.refusal)
            return succeed(f"refused: {self.refusal}")
        if self._attempt is not None:
            self.log.info("take-over ignored: another one has not ended yet")
            return succeed("failed: another take-over has not ended yet")
        ended = self._ended = Deferred()
        self._spawn(on_ready)
        return ended

    def _spawn(self, on_ready: OnReady) -> None:
        attempt = self._attempt = _Attempt(self, on_ready)
        try:
            # This closes the descriptors that _start() makes: the reactor and the new process have their own copies.
            with ExitStack() as descriptors:
                self._start(attempt, descriptors)
        except OSError as error:
            if attempt.channel is not None:
                attempt.channel.close()
            self.failed(one_line(error))
            return
        late = f"the new process was not ready within {LONGEST_START:g} s"
        attempt.watch(self._reactor.callLater(LONGEST_START, attempt.give_up, late))
        self.log.info("take-over: the new process (pid {pid}) is being started", pid=attempt.pid)

    def _start(self, attempt: "_Attempt", descriptors: ExitStack) -> None:
        """Start the new process.

        :param descriptors: closes the descriptors that are made here.
        :raises OSError: the process was not started.
        """
        ours, theirs = (descriptors.enter_context(one) for one in socket.socketpair())
        # At first, the standard error of the new process is a pipe to this process.  When the new process becomes the
        # main process, it replaces the pipe by ``errors``, a copy of this process's standard error.
        errors = os.dup(2)
        descriptors.callback(os.close, errors)
        files = list(self._files())
        texts = []
        for file in files:
            texts.append(in_memory(file))
            descriptors.callback(os.close, texts[-1])
        handles = [*(one.fileno() for _, one in self._listeners), theirs.fileno(), errors, *texts]
        channel = FIRST + len(self._listeners)
        older = self._status.channels if self._status is not None else {}
        first_older = FIRST + len(handles)
        handles += older.values()
        environment = {name: value for name, value in os.environ.items() if name not in _OF_THIS_PROCESS}
        environment[VARIABLE] = described(
            owners=[name for name, _ in self._listeners],
            older=[*self._older.pids, os.getpid()],
            channel=channel,
            errors=channel + 1,
            files=[(file.path, channel + 2 + index) for index, file in enumerate(files)],
            # Passed only if there are channels: the new process may be of an earlier version, which does not know this
            # argument.
            **({"channels": {pid: first_older + index for index, pid in enumerate(older)}} if older else {}),
        )
        # The channel is opened before the process is started.  If opening it failed afterwards, the new process would
        # find its channel closed, conclude that this process has died, and become a second main process.
        factory = Factory.forProtocol(lambda: Channel(attempt.opened, attempt.reported))
        factory.noisy = False
        self._reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, factory)
        pipes: dict[int, int | str] = {0: 0, 1: 1, 2: "r"}
        line = [sys.executable, *sys.orig_argv[1:]]
        # Until the new process has a handler for SIGUSR2, this signal would end it.
        with without_sigusr2():
            self._reactor.spawnProcess(
                attempt,
                line[0],
                line,
                environment,
                self._folder,
                childFDs=pipes | {FIRST + index: handle for index, handle in enumerate(handles)},
            )

    def answer(self, question: str, channel: Channel) -> None:
        """Answer a question of the new main process with the metrics of this process."""
        if self._status is not None:

            def failed(failure: Any) -> None:
                self.log.failure("the metrics of this process could not be sent to the new process", failure)
                # An answer without metrics, because the new process asks again only after an answer.
                channel.answer(question)

            self._status.own().addCallbacks(lambda status: channel.answer(question, status.to_json()), failed)

    @property
    def answers(self) -> bool:
        """Whether this process can send its metrics to the new process."""
        return self._status is not None

    def failed(self, reason: str) -> None:
        """Log why a new process did not take over.  This process continues to serve."""
        self._attempt = None
        self.log.error("take-over failed, this process continues to serve: {reason}", reason=reason)
        self.ended(f"failed: {reason}")

    def ended(self, outcome: str) -> None:
        """Fire the Deferred of :meth:`begin` with the outcome."""
        ended, self._ended = self._ended, None
        if ended is not None:
            ended.callback(outcome)

    def abandon(self) -> None:
        """Kill the new process if it is not ready yet.  Called when this process is being stopped."""
        if self._attempt is not None:
            self._attempt.abandon()


class _Attempt(ProcessProtocol):
    """One attempt to start a new process and to make it the main process.

    :ivar pid: the process id of the new process.
    """

    def __init__(self, owner: TakeOver, on_ready: OnReady) -> None:
        self._owner = owner
        self._on_ready: OnReady | None = on_ready
        self._errors = b""
        self._reason = ""
        self._timer: IDelayedCall | None = None
        self._leads = False
        self.pid: int | None = None
        self.channel: Channel | None = None

    def connectionMade(self) -> None:
        """See ProcessProtocol."""
        self.pid = self.transport.pid if self.transport is not None else None

    def opened(self, channel: Channel) -> None:
        """Use the channel to the new process, which is open now."""
        self.channel = channel

    def watch(self, timer: IDelayedCall) -> None:
        """Set the timer of the attempt.  The timer is cancelled when the new process is ready or has ended."""
        self._timer = timer

    def errReceived(self, data: bytes) -> None:
        """See ProcessProtocol: keep the end of the new process's standard error."""
        self._errors = (self._errors + data)[-TAIL:]

    def reported(self, line: str) -> None:
        """Handle a line from the channel.

        The new process sends ``ready`` or ``failed: REASON``.  After a successful take-over, the main process sends
        ``status IDENTIFIER``.  The main process is the new process or, after further take-overs, a later one, to which
        the new process's end of the channel was passed.
        """
        if line == "ready" and self._on_ready is not None and self.pid is not None and self.channel is not None:
            on_ready, self._on_ready = self._on_ready, None
            self._stop_timer()
            Deferred.fromCoroutine(on_ready(self.pid, self._lead)).addErrback(self._unfinished)
        elif line.startswith("failed: "):
            self._reason = line.removeprefix("failed: ")
        elif line.startswith(f"{STATUS} ") and self._on_ready is None and self.channel is not None:
            self._owner.answer(line.removeprefix(f"{STATUS} "), self.channel)

    def _lead(self) -> None:
        self._leads = True
        self._owner.log.info("the new process (pid {pid}) has taken over", pid=self.pid)
        if self.channel is not None:
            self.channel.lead(stays=self._owner.answers)
        self._owner.ended("ok")

    def _unfinished(self, failure: Failure) -> None:
        """Log why ``on_ready`` failed.  Kill the new process, unless it is the main process already."""
        self._owner.log.failure("the new process is ready, but the take-over could not be finished", failure)
        if self._leads:
            return
        # Killed first: a new process whose channel is closed would become a second main process.
        if self.transport is not None:
            with suppress(ProcessExitedAlready):
                self.transport.signalProcess("KILL")
        if self.channel is not None:
            self.channel.close()
        self._owner.failed("the new process was ready, but the old one has failed to hand over; the log has the reason")

    def give_up(self, reason: str) -> None:
        """Kill the new process, unless it is ready already.

        :param reason: for the log; not used if the new process itself has sent a reason.
        """
        if self._on_ready is not None and self.transport is not None:
            self._reason = self._reason or reason
            self.transport.signalProcess("KILL")

    def abandon(self) -> None:
        """Kill the new process as :meth:`give_up` does, but do not log its end."""
        self.give_up("")
        self._on_ready = None

    def processEnded(self, reason: Any) -> None:
        """See ProcessProtocol."""
        self._stop_timer()
        # Close the channel only if the take-over failed.  After a success, the new process may have passed its end of
        # the channel to a later main process, which requests the metrics of this process through it.
        if self._on_ready is not None:
            if self.channel is not None:
                self.channel.close()
            last = self._errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
            status = reason.value
            how = f"signal {status.signal}" if status.signal else f"exit code {status.exitCode}"
            self._owner.failed(one_line(self._reason or f"the new process ended with {how}: {last}".removesuffix(": ")))

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
