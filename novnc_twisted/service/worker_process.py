"""The supervisor's view of a worker process, and the orders that the supervisor sends to it."""

import json
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol

from novnc_twisted.service.flagfile import FlagFile
from novnc_twisted.service.peers import Outbox
from novnc_twisted.service.relayed_log import RelayedLog

ACCEPT: Final = "accept"
"""The order to accept connections from now on.  As an argument of a worker: accept them from the start on."""

RELOAD: Final = "reload"
"""The order to reload.  The path and the text of each configuration file may follow as JSON."""

STATUS: Final = "status"
"""The order to report the metrics and the readiness."""

TAKE: Final = "take"
"""The order to take values of other workers (:class:`.Peers`), which follow as JSON.

The worker then reports that it has taken them.
"""

WAIT: Final = "wait"
"""The argument of a worker that waits for the order :data:`ACCEPT`."""

RELEASE: Final = "release"
"""The order to end as soon as the worker's sessions have ended, at the latest after ``drain_timeout`` (0: no limit).

The supervisor sends this order after a new process has taken over (SIGUSR2).
"""


class WorkerProcess(ProcessProtocol):
    """A worker process.  Its output goes to the log.

    :ivar number: its number, from 1.
    :ivar began: when it was started, in the reactor's seconds.
    :ivar pid: its process id.
    :ivar ended: fires when it has ended.
    :ivar last_report: when it last reported something, in the reactor's seconds.
    :ivar failure: why it could not start, and its exit code; None: no such failure is known.
    :ivar outbox: sends the values of other workers to it.
    :ivar table: the supervisor's descriptor of the table to which the worker writes its sessions (see
        :mod:`novnc_twisted.session.shared_table`); None: there is no table.
    """

    def __init__(
        self,
        number: int,
        began: float,
        log: RelayedLog,
        on_ready: Callable[["WorkerProcess"], None],
        on_end: Callable[["WorkerProcess", str], None],
        on_share: Callable[["WorkerProcess", Any], None],
    ) -> None:
        """Prepare for ``spawnProcess``.

        :param on_ready: called when the worker is ready.
        :param on_end: called when the worker has ended, with a text such as ``with exit code 1``.
        :param on_share: called with each value that the worker sends for the other workers.
        """
        self.number = number
        self.began = began
        self.pid: int | None = None
        self.ended: Deferred[None] = Deferred()
        self.last_report = began
        self.failure: tuple[str, int] | None = None
        self.table: int | None = None
        self.outbox = Outbox(lambda values: self.order(f"{TAKE} {json.dumps(values)}"))
        self._asked = False
        self._reloads: deque[Deferred[str | None]] = deque()  # reloads whose outcome is not reported yet
        self._wanted: list[Deferred[Any]] = []
        self._log = log
        self._on_ready = on_ready
        self._on_end = on_end
        self._on_share = on_share

    def reload(self, files: Sequence[FlagFile]) -> Deferred[str | None]:
        """Order the worker to reload.

        :param files: the configuration files to use.  Empty: the worker keeps its configuration files, and reads again
            only other files, such as certificates.
        :return: fires with the error in one line; with None after a success, or if the worker ends before its answer.
        """
        if self.ended.called or self.transport is None:
            return succeed(None)
        texts = [(file.path, file.normalised()) for file in files]
        self.order(f"{RELOAD} {json.dumps(texts)}" if texts else RELOAD)
        # The worker reports the outcome of each reload, in the sequence of the orders.
        outcome: Deferred[str | None] = Deferred()
        self._reloads.append(outcome)
        return outcome

    def reported(self, report: Mapping[str, Any], now: float) -> None:
        """Handle a report of the worker.  Log events are not reports."""
        self.last_report = now
        if report["report"] == "failed":
            self.failure = str(report["reason"]), int(report["code"])
        elif report["report"] == "reloaded":
            if self._reloads:
                self._reloads.popleft().callback(report.get("failed"))
        elif report["report"] == "status":
            self._reported_status(report.get("status"))
        elif report["report"] == "taken":
            self.outbox.taken()
        elif report["report"] == "share":
            self._on_share(self, report["value"])

    def ask_status(self) -> Deferred[Any]:
        """Ask for the metrics and the readiness; fires with the worker's answer, or with None if the worker ends."""
        wanted: Deferred[Any] = Deferred()
        self._wanted.append(wanted)
        # Only one request at a time, because requests to a hanging worker would fill the pipe.
        if not self._asked and self.transport is not None and not self.ended.called:
            self._asked = True
            self.order(STATUS)
        return wanted

    def _reported_status(self, status: Any) -> None:
        self._asked = False
        wanted, self._wanted = self._wanted, []
        for one in wanted:
            if not one.called:
                one.callback(status)

    def signal(self, number: int) -> bool:
        """Send a signal; return False if the process has ended."""
        if self.ended.called or self.transport is None:
            return False
        try:
            self.transport.signalProcess(number)
        except ProcessExitedAlready:
            return False
        return True

    def order(self, what: str) -> None:
        """Write an order to the worker's standard input.  The worker reads it when its reactor runs."""
        if self.transport is not None:
            self.transport.write(what.encode() + b"\n")

    def end_now(self) -> None:
        """Make the worker end now, with all its sessions."""
        if self.transport is not None:
            self.transport.closeStdin()

    def connectionMade(self) -> None:
        """See ProcessProtocol: the process was started."""
        self.pid = self.transport.pid if self.transport is not None else None

    def outReceived(self, data: bytes) -> None:
        """See ProcessProtocol: log events and reports."""
        if self._log.received(data):
            self._on_ready(self)

    def errReceived(self, data: bytes) -> None:
        """See ProcessProtocol: text that is not a log event, such as a traceback of the interpreter."""
        self._log.raw(data)

    def processEnded(self, reason: Any) -> None:
        """See ProcessProtocol: the process has ended, and its pipes are empty."""
        self._log.end()
        status = reason.value
        if status.signal is None:
            how = f"with exit code {status.exitCode}"
        else:
            how = f"by signal {status.signal} ({signal.strsignal(status.signal)})"
        self._reported_status(None)
        while self._reloads:
            self._reloads.popleft().callback(None)  # no error: the worker that replaces this one reads the new files
        self._on_end(self, how)
        self.ended.callback(None)
