"""One worker as its supervisor sees it."""

import signal
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol

from novnc_twisted.service.relayed_log import RelayedLog


class WorkerProcess(ProcessProtocol):
    """A child process, whose output goes to the log.

    :ivar number: which of the workers it is, from 1.
    :ivar began: when it was started (the reactor's seconds).
    :ivar pid: its process.
    :ivar ended: fires once it is gone.
    :ivar heard: when it last showed that its reactor runs (the reactor's seconds).
    :ivar failure: why it could not start, and its exit code; None if it has reported no failure.
    :ivar reloading: fires with the outcome of a reload that goes on.
    """

    def __init__(
        self,
        number: int,
        began: float,
        log: RelayedLog,
        on_ready: Callable[["WorkerProcess"], None],
        on_end: Callable[["WorkerProcess", str], None],
    ) -> None:
        """Tell when it is ready, and how it ended."""
        self.number = number
        self.began = began
        self.pid: int | None = None
        self.ended: Deferred[None] = Deferred()
        self.heard = began
        self.reloading: Deferred[str | None] | None = None
        self.failure: tuple[str, int] | None = None
        self._log = log
        self._on_ready = on_ready
        self._on_end = on_end

    def reload(self) -> Deferred[str | None]:
        """Have it read its certificates again; fires with the error in one line, or None."""
        self._reloaded(None)
        self.reloading = Deferred()
        outcome = self.reloading
        if not self.signal(signal.SIGHUP):
            self._reloaded(None)
        return outcome

    def reported(self, report: Mapping[str, Any], now: float) -> None:
        """Take a report other than a line of the log."""
        self.heard = now
        if report["report"] == "failed":
            self.failure = str(report["reason"]), int(report["code"])
        elif report["report"] == "reloaded":
            self._reloaded(report.get("failed"))

    def _reloaded(self, failed: str | None) -> None:
        reloading, self.reloading = self.reloading, None
        if reloading is not None:
            reloading.callback(failed)

    def signal(self, number: int) -> bool:
        """Send it a signal; False where it is gone."""
        if self.ended.called or self.transport is None:
            return False
        try:
            self.transport.signalProcess(number)
        except ProcessExitedAlready:
            return False
        return True

    def connectionMade(self) -> None:
        """It was started."""
        self.pid = self.transport.pid if self.transport is not None else None

    def outReceived(self, data: bytes) -> None:
        """What it logs, and that it is ready."""
        if self._log.received(data):
            self._on_ready(self)

    def errReceived(self, data: bytes) -> None:
        """Output outside its log, such as an error message of the interpreter."""
        self._log.raw(data)

    def processEnded(self, reason: Any) -> None:
        """It is gone, and its pipes are empty."""
        self._log.end()
        status = reason.value
        if status.signal is None:
            how = f"with exit code {status.exitCode}"
        else:
            how = f"by signal {status.signal} ({signal.strsignal(status.signal)})"
        self._reloaded(None)  # the next one reads what is there now
        self._on_end(self, how)
        self.ended.callback(None)
