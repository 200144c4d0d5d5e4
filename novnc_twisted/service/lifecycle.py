"""The signals of a service: SIGTERM and SIGINT end it with exit code 0, SIGHUP reloads it, SIGUSR2 replaces it.

After the first SIGTERM, sessions may go on for ``drain_timeout``; a second one closes them at once.  After SIGUSR2, a
new process of the installed version takes over, and this one ends when its sessions have ended.
"""

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.task import LoopingCall
from twisted.logger import ILogObserver, Logger

from novnc_twisted.service.control import listen_for_reload
from novnc_twisted.service.flagfile import FlagFile
from novnc_twisted.service.log_file import LogFile
from novnc_twisted.service.log_output import LogSettings
from novnc_twisted.service.notify import notify, watchdog_interval
from novnc_twisted.service.predecessors import Predecessors
from novnc_twisted.service.sockets import Copies
from novnc_twisted.service.successor import Successor
from novnc_twisted.service.takeover import TakeOver

if TYPE_CHECKING:
    from novnc_twisted.monitoring import Status
    from novnc_twisted.service.monitoring import MonitoringPort


def stop(reactor: Any) -> None:
    """Stop the reactor, unless it is stopping already."""
    with contextlib.suppress(ReactorNotRunning):
        reactor.stop()


class Orderly(Service):
    """A service that begins when the reactor runs; its signal handlers replace those of the reactor.

    :ivar log_settings: where the log goes.
    :ivar observer: logs in place of twistd's own observer, if it is set.
    :ivar log_file: the file of the log, which SIGHUP opens again.
    :ivar monitoring: the port of ``[monitoring] listen``, if it is set; subclasses stop it last.
    :ivar successor: the predecessor's side of a take-over, while this process is its successor; else None.
    :ivar take_over: starts the successor of this process; None: SIGUSR2 is ignored, as in a worker.
    :ivar copies: copies of listening sockets, for a successor.
    :ivar older: the predecessors that still have sessions.
    :ivar twistd: the options of twistd, which name its pid file.
    :ivar leads: whether this is the main process; a successor is not until its predecessor says so.
    :ivar released: whether a successor has taken over from this process.
    :ivar alive: called regularly while the reactor runs, for systemd's watchdog.
    """

    log = Logger()

    ends_by: tuple[int, ...] = (signal.SIGTERM, signal.SIGINT)
    """Signals that end the process with exit code 0.  twistd would end by the signal itself: a crash to supervisors."""

    second_signal_hurries = True
    """Whether a second signal ends sessions at once.  Workers may get each signal twice: also from their supervisor."""

    def __init__(self, reactor: Any, warnings: list[str]) -> None:
        """:param warnings: lines to log when the service begins."""
        self._reactor = reactor
        self._warnings = warnings
        self._control: Any = None
        self._heartbeat: LoopingCall | None = None
        self._ending = False
        self.log_settings = LogSettings()
        self.successor: Successor | None = None
        self.take_over: TakeOver | None = None
        self.copies: Copies | None = None
        self.older = Predecessors(reactor)
        self.twistd: Any = {}
        self.leads = False
        self.released = False
        self.observer: ILogObserver | None = None
        self.log_file: LogFile | None = None
        self.monitoring: MonitoringPort | None = None
        self.alive: Callable[[], None] = lambda: notify("WATCHDOG=1")

    def setServiceParent(self, parent: Any) -> None:
        """See Service; twistd logs with the observer of its application."""
        super().setServiceParent(parent)
        if self.observer is not None:
            parent.setComponent(ILogObserver, self.observer)

    def startService(self) -> None:
        """See Service."""
        super().startService()
        # One iteration later, since the reactor installs its own signal handlers when it starts to run.
        self._reactor.callWhenRunning(self._reactor.callLater, 0, self._first)

    def _first(self) -> None:
        if not self.running:
            return
        for warning in self._warnings:
            self.log.warn("{warning}", warning=warning)
        for number in self.ends_by:
            # callFromThread wakes the reactor: a Python signal handler runs between two instructions of anything.
            signal.signal(number, lambda *_: self._reactor.callFromThread(self._signalled))
        signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self.hang_up))
        # Ignored at first, which discards one that has arrived while it was blocked.
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        if self.successor is None:
            self._lead()
        else:
            self.successor.watch(self._reactor, self._lead)
        self.begin()

    def _lead(self) -> None:
        """Do what only the main process does."""
        self.leads = True
        if self.take_over is not None:
            signal.signal(signal.SIGUSR2, lambda *_: self._reactor.callFromThread(self._replace))
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR2])
        if self.successor is not None:
            self.twistd["pidfile"] = self.twistd.get("pidfile of the service", "")
        self._control = listen_for_reload(self._reactor, self.hang_up)
        if self.monitoring is not None:
            self.monitoring.start()
        interval = watchdog_interval()
        if interval is not None:
            self._heartbeat = LoopingCall(self.beat)
            self._heartbeat.clock = self._reactor
            # Four beats in each interval, so that one late beat does not make systemd kill the service.
            self._heartbeat.start(interval / 4)
        self.lead()

    def _replace(self) -> None:
        if self.take_over is not None and self.running and not self.released:
            self.take_over.begin(self._hand_over)

    async def _hand_over(self, pid: int, lead: Callable[[], None]) -> None:
        """Make the process with this id the main process, and end this one when its sessions have ended."""
        control, self._control = self._control, None
        if control is not None:
            # First, since closing it removes the file, which the new process makes again.
            await maybeDeferred(control.stopListening)
        notify(f"MAINPID={pid}")
        # systemd takes messages only from the main process, and logs the others.
        os.environ.pop("NOTIFY_SOCKET", None)
        if path := self.twistd.get("pidfile"):
            self.twistd["pidfile"] = ""  # twistd would remove the file at the end
            with contextlib.suppress(OSError):
                # In one step: a reader must not see an empty file.
                new = Path(f"{path}.new")
                new.write_text(str(pid))
                new.replace(path)
        # Now, and not last: the new process answers for the service.
        self.stop_monitoring()
        lead()
        self.released = True
        self.release()

    def status(self) -> "Deferred[Status]":
        """Return the metrics and the readiness of the command; only if ``[monitoring] listen`` is set."""
        raise NotImplementedError

    def release(self) -> None:
        """End the process when its sessions have ended, at the latest after ``drain_timeout`` unless that is 0."""
        raise NotImplementedError

    def lead(self) -> None:
        """Accept connections: this is the main process now."""

    def _signalled(self) -> None:
        if not self.released:  # else the successor does it
            self.older.end()
        if self._ending and self.second_signal_hurries:
            self.end_now()
        else:
            self._ending = True
            self.end()

    def end(self) -> None:
        """End the process; sessions may go on for ``drain_timeout``."""
        stop(self._reactor)

    def end_now(self) -> None:
        """End the process, and all sessions at once."""
        raise NotImplementedError

    def begin(self) -> None:
        """Start the work of the service."""
        raise NotImplementedError

    def beat(self) -> None:
        """Show that the reactor runs; called four times in each interval of systemd's watchdog."""
        self.alive()

    def stop_monitoring(self) -> None:
        """Close the monitoring port: until now it shows that the service stops."""
        if self.monitoring is not None:
            self.monitoring.stop()

    def stopService(self) -> Any:
        """See Service."""
        super().stopService()
        if self._heartbeat is not None and self._heartbeat.running:
            self._heartbeat.stop()
        if self.take_over is not None:
            self.take_over.abandon()
        if self.copies is not None:
            self.copies.close()
        return maybeDeferred(self._control.stopListening) if self._control is not None else None

    def hang_up(self, files: list[FlagFile] | None = None) -> Deferred[str | None]:
        """Open the log file again, and reload; see :meth:`reload`."""
        if self.log_file is not None:
            try:
                self.log_file.reopen()
            except OSError as error:
                self.log.error(
                    "can't open {path} again, the previous log file stays in use: {reason}",
                    path=self.log_file.path,
                    reason=error.strerror,
                )
        return self.reload(files)

    def reload(self, files: list[FlagFile] | None = None) -> Deferred[str | None]:
        """Read again what can be read again (SIGHUP); sessions go on.

        :param files: the configuration files; None: those of the command line are read again.
        :return: fires with None, or with the error in one line, and then nothing was changed.
        """
        raise NotImplementedError
