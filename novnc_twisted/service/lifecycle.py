"""The life of a command's process, from its start to its end, and the signals that change it.

SIGTERM and SIGINT end the process with exit code 0.  After the first one, sessions may go on for ``drain_timeout``; a
second one closes them at once.  SIGHUP reloads the process.  After SIGUSR2, a new process of the installed version
takes over, and this process ends when its sessions have ended, at the latest after ``drain_timeout`` (0: no limit).
"""

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ReactorNotRunning
from twisted.internet.task import LoopingCall
from twisted.logger import ILogObserver, Logger

from novnc_twisted.service.control import listen_for_reload, stop_listening
from novnc_twisted.service.flagfile import FlagFile
from novnc_twisted.service.log_file import LogFile
from novnc_twisted.service.log_output import LogSettings
from novnc_twisted.service.notify import notify, watchdog_interval
from novnc_twisted.service.sockets import SocketCopies
from novnc_twisted.service.takeover.launch import TakeOver
from novnc_twisted.service.takeover.predecessors import Predecessors
from novnc_twisted.service.takeover.successor import PredecessorChannel

if TYPE_CHECKING:
    from novnc_twisted.monitoring import Status
    from novnc_twisted.service.monitoring import MonitoringPort
    from novnc_twisted.service.takeover.older_status import OlderStatus


def stop(reactor: Any) -> None:
    """Stop the reactor, unless it is stopping already."""
    with contextlib.suppress(ReactorNotRunning):
        reactor.stop()


class CommandService(Service):
    """The base of a command's service: handles signals, take-overs, the watchdog and the monitoring port.

    :ivar log_settings: where the log goes.
    :ivar observer: if it is set, it replaces twistd's own log observer.
    :ivar log_file: the file of the log, which SIGHUP opens again.
    :ivar monitoring: the port of ``[monitoring] listen``; None in a worker, or if the option is unset.  Subclasses
        close the port at the end of a shutdown (:meth:`stop_monitoring`).
    :ivar older_status: adds the metrics of older processes to those of this process; None in a worker, or if
        ``[monitoring] listen`` is unset.
    :ivar predecessor: the connection to the old process, if this process was started by a take-over; otherwise None.
    :ivar take_over: starts the new process of a take-over (the successor); None: SIGUSR2 is ignored, as in a worker.
    :ivar copies: copies of listening sockets, for a successor.
    :ivar older: the old processes of all earlier take-overs (the predecessors) that still have sessions.
    :ivar twistd: the options of twistd, which name its pid file.
    :ivar leads: True in a worker, and in a process that is or was the main process.  The main process accepts
        connections, itself or in its workers.  A successor becomes the main process when its predecessor sends the line
        ``lead``, or has died.  The old process is then no longer the main process (see ``released``).
    :ivar released: whether a successor has taken over from this process, which is then no longer the main process.
    :ivar alive: called regularly while the reactor runs, for systemd's watchdog.
    """

    log = Logger()

    ends_by: tuple[int, ...] = (signal.SIGTERM, signal.SIGINT)
    """Signals that end the process with exit code 0.

    twistd would end by the signal itself, which some process supervisors report as a crash.
    """

    second_signal_ends_sessions = True
    """Whether a second signal ends sessions at once.

    False in workers: a signal to all processes of a command reaches a worker directly, and again from its supervisor.
    """

    def __init__(self, reactor: Any, warnings: list[str]) -> None:
        """:param warnings: lines to log when the service begins."""
        self._reactor = reactor
        self._warnings = warnings
        self._control: Any = None
        self._heartbeat: LoopingCall | None = None
        self._ending = False
        self.log_settings = LogSettings()
        self.predecessor: PredecessorChannel | None = None
        self.take_over: TakeOver | None = None
        self.copies: SocketCopies | None = None
        self.older = Predecessors(reactor)
        self.twistd: Any = {}
        self.leads = False
        self.released = False
        self.observer: ILogObserver | None = None
        self.log_file: LogFile | None = None
        self.monitoring: MonitoringPort | None = None
        self.older_status: OlderStatus | None = None
        self.alive: Callable[[], None] = lambda: notify("WATCHDOG=1")

    @property
    def is_main(self) -> bool:
        """Whether this is the main process, which ends the older processes and waits for them; also True in a worker.

        A worker has no older processes.  A successor that does not lead yet must not end its older processes, because
        its predecessor is one of them, and still serves.
        """
        return self.leads and not self.released

    def setServiceParent(self, parent: Any) -> None:
        """See Service; twistd logs with the observer of its application."""
        super().setServiceParent(parent)
        if self.observer is not None:
            parent.setComponent(ILogObserver, self.observer)

    def startService(self) -> None:
        """See Service."""
        super().startService()
        # One iteration later, because the reactor installs its own signal handlers when it starts to run.
        self._reactor.callWhenRunning(self._reactor.callLater, 0, self._first)

    def _first(self) -> None:
        if not self.running:
            return
        for warning in self._warnings:
            self.log.warn("{warning}", warning=warning)
        for number in self.ends_by:
            # Not called directly, because a Python signal handler may interrupt any code.  callFromThread also wakes
            # the reactor.
            signal.signal(number, lambda *_: self._reactor.callFromThread(self._signalled))
        signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self.reopen_and_reload))
        # If a supervisor or a predecessor has started this process, SIGUSR2 is still blocked (child_signals.py).  A
        # SIGUSR2 that has arrived since the start of this process is discarded here.
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        if self.predecessor is None:
            self._lead()
        else:
            self.predecessor.watch(self._reactor, self._lead)
        self.begin()

    def _lead(self) -> None:
        """Begin the tasks of the main process, or of a worker."""
        self.leads = True
        if self._ending:
            # SIGTERM or SIGINT came before this process was the main process, so the older processes were not ended.
            self.older.end()
        if self.take_over is not None:
            signal.signal(signal.SIGUSR2, lambda *_: self._reactor.callFromThread(self._replace))
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR2])
        if self.predecessor is not None:
            # The pid file belongs to this process now, so twistd must remove it at the end.  The path was kept by
            # PredecessorChannel.adjust().
            self.twistd["pidfile"] = self.twistd.get("pidfile of the service", "")
        self._control = listen_for_reload(self._reactor, self.reopen_and_reload, self._replace)
        if self.older_status is not None and self.predecessor is not None:
            # The last of the older processes is the predecessor itself.
            self.older_status.lead(self.predecessor.older[-1], self.predecessor.detached_channel())
        if self.monitoring is not None:
            self.monitoring.start()
        interval = watchdog_interval()
        if interval is not None:
            self._heartbeat = LoopingCall(self.beat)
            self._heartbeat.clock = self._reactor
            # Four beats in each interval, so that one late beat does not make systemd kill the service.
            self._heartbeat.start(interval / 4)
        self.lead()

    def _replace(self) -> "Deferred[str]":
        if self.take_over is None or not self.running or self.released:
            return succeed("failed: this process is ending")
        return self.take_over.begin(self._hand_over)

    async def _hand_over(self, pid: int, lead: Callable[[], None]) -> None:
        """Make the new process the main process, and end this one when its sessions have ended.

        :param pid: the id of the new process.
        :param lead: notifies the new process that it is the main process.
        """
        control, self._control = self._control, None
        # The control socket is closed before the new process creates its own at the same path, because closing removes
        # the file at this path.
        await stop_listening(control)
        notify(f"MAINPID={pid}")
        # systemd accepts messages only from the main process, and logs a warning about messages from others.
        os.environ.pop("NOTIFY_SOCKET", None)
        if path := self.twistd.get("pidfile"):
            self.twistd["pidfile"] = ""  # twistd would remove the file at the end
            try:
                # Replaced in one step, so that no reader sees an empty file.
                new = Path(f"{path}.new")
                new.write_text(str(pid))
                new.replace(path)
            except OSError as error:
                self.log.warn(
                    "the pid file {path} could not be replaced ({reason}) and does not name the new process (pid "
                    "{pid}); the user of this process (uid {user}) needs the right to write its folder",
                    path=path,
                    reason=error.strerror,
                    pid=pid,
                    user=os.geteuid(),
                )
        # From now on, the new process reports the state of the service.
        self.stop_monitoring()
        if self.older_status is not None:
            self.older_status.release()
        self.released = True
        lead()
        # One iteration later, so that the answer on the control socket is sent first.
        self._reactor.callLater(0, self._release)

    def _release(self) -> None:
        if not self._ending:
            self.release()

    def status(self) -> "Deferred[Status]":
        """Return the metrics and the readiness of the command.

        May be called only if ``[monitoring] listen`` is set.
        """
        raise NotImplementedError

    def release(self) -> None:
        """End the process when its sessions have ended, but at the latest after ``drain_timeout``; 0: no limit."""
        raise NotImplementedError

    def lead(self) -> None:
        """Hook for subclasses, to accept connections: this process has become the main process, or is a worker."""

    def _signalled(self) -> None:
        if self.is_main:
            self.older.end()
        if self._ending and self.second_signal_ends_sessions:
            self.end_now()
        else:
            self._ending = True
            self.end()

    def end(self) -> None:
        """Stop the reactor, which ends the process after :meth:`stopService`.

        In ``stopService``, subclasses let sessions go on for ``drain_timeout``.
        """
        stop(self._reactor)

    def end_now(self) -> None:
        """End the process and all its sessions at once."""
        raise NotImplementedError

    def begin(self) -> None:
        """Start the work of the service."""
        raise NotImplementedError

    def beat(self) -> None:
        """Show that the reactor runs; called four times in each interval of systemd's watchdog."""
        self.alive()

    def stop_monitoring(self) -> None:
        """Close the monitoring port.  A shutdown does this last, so that the port reports the shutdown until then."""
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
        return Deferred.fromCoroutine(stop_listening(self._control))

    def reopen_and_reload(self, files: list[FlagFile] | None = None) -> Deferred[str | None]:
        """Handle SIGHUP or a reload request: open the log file again, and reload; see :meth:`reload`."""
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
        """Read the mutable options and files such as certificates again, and use their new content; sessions go on.

        :param files: the new configuration files, if they came with the reload request.  None: read the current
            configuration files again; those that came with an earlier reload request are in memory, and stay unchanged.
        :return: fires with None, or with an error in one line.  After an error, the previous options,
            certificates and keys stay in use.
        """
        raise NotImplementedError
