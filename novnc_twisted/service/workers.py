"""The supervisor of several worker processes on one port: starts them, replaces those that die, and ends them together.

All workers accept on the same sockets, which this process passes to them.  A separate socket for each worker
(SO_REUSEPORT) would have two disadvantages.  Connections that wait at a dead or hanging worker would be lost, and a
second instance on the same port would not be noticed.  Separate sockets would not distribute connections better, either
(:class:`novnc_twisted.frontend.accepting.Acceptor`).
"""

import math
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, DeferredList, gatherResults, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from novnc_twisted._version import __version__
from novnc_twisted.service.configuration import in_memory
from novnc_twisted.service.exits import START_FAILED, Unusable, exit_with
from novnc_twisted.service.flagfile import FlagFile
from novnc_twisted.service.lifecycle import CommandService, stop
from novnc_twisted.service.lost_sessions import LostSessions
from novnc_twisted.service.monitoring import NAME as MONITORING
from novnc_twisted.service.notify import notify, stopping, watchdog_interval
from novnc_twisted.service.reconfiguration import Reconfiguration, for_new_workers
from novnc_twisted.service.relayed_log import RelayedLog
from novnc_twisted.service.restart_pauses import RestartPauses
from novnc_twisted.service.sockets import Sockets
from novnc_twisted.service.worker_launch import launch
from novnc_twisted.service.worker_process import ACCEPT, RELEASE, WAIT, WorkerProcess
from novnc_twisted.service.worker_status import WorkersStatus

if TYPE_CHECKING:
    from novnc_twisted.monitoring import Status

STOP_TIMEOUT = 4.6
"""Seconds after ``drain_timeout`` until a worker that does not end is killed.

The shutdown of a worker takes at most 4 s, and the service must end within 5 s.
"""

REPORT_TIME = 0.3
"""Seconds after ``STOP_TIMEOUT`` for reports about the sessions of workers that had to be killed."""

LONGEST_START = 60.0
"""Seconds without a report after which a worker that is not ready yet is killed, if systemd's watchdog is used.

A longer interval of the watchdog replaces this time.
"""


class Supervisor(CommandService):
    """Keeps several workers of a command running.

    :ivar configuration: reads the options again at a reload; None: a reload does not change options.
    :ivar listeners: the listening sockets of the workers, each with its service.
    :ivar files: descriptors of configuration files, for the workers.
    :ivar lost: reports the unreported sessions of workers that have ended; None: they are not reported.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        command: str,
        count: int,
        files: list[int],
        sockets: Sockets,
        warnings: list[str],
        check: Callable[[], object] = lambda: None,
        *,
        drain: float = 0.0,
    ) -> None:
        """Prepare the start of the workers.  :meth:`begin` starts them when the reactor runs.

        :param files: descriptors of configuration files, for the workers.
        :param sockets: the workers accept on the sockets in ``taken``, except the monitoring port.
        :param check: reads the files that the workers will read at a reload; raises Unusable if one has an error.
        :param drain: ``drain_timeout``: seconds for which sessions may go on after the service is stopped.
        """
        super().__init__(reactor, warnings)
        self._command = command
        self._count = count
        self._check = check
        self._drain_timeout = drain  # the option
        self._drain = drain  # seconds for which sessions may go on after a stop; infinity: no limit
        self._kill_timer: IDelayedCall | None = None
        self._kill_time = math.inf
        self._waiting: Deferred[None] | None = None  # fires when the wait for workers is over
        self.files = files
        self.listeners = [(name, one) for name, some in sockets.taken.items() for one in some if name != MONITORING]
        self._living: dict[int, WorkerProcess] = {}
        self._restarts: dict[int, Any] = {}
        self._pauses = RestartPauses()
        self._ready: set[int] = set()
        self._was_ready = False
        self._failed = False
        self.configuration: Reconfiguration | None = None
        self._status: WorkersStatus | None = None
        self.lost: LostSessions | None = None

    def status(self) -> "Deferred[Status]":
        """Return the metrics and the readiness of all workers.  Called only if ``[monitoring] listen`` is set."""
        if self._status is None:
            self._status = WorkersStatus(self._reactor, self._living, self.lost)
        self._status.stopping = not self.running
        return self._status.status()

    def begin(self) -> None:
        """Start all workers.

        Before that, report sessions that earlier processes have left behind.  For example, a supervisor was killed
        together with its workers, so it could not report their sessions.
        """
        if self.lost is not None:
            self.lost.report_left_behind()
        for number in range(1, self._count + 1):
            if not self._failed:
                self._spawn(number)

    def reload(self, files: list[FlagFile] | None = None) -> Deferred[str | None]:
        """Reload all workers, unless the files that they will read have errors.

        A worker that is being started reloads when its reactor runs.
        """
        configuration = self.configuration
        try:
            self._check()
            changes = configuration.read(files) if configuration is not None else None
        except Unusable as error:
            self.log.error("reload failed, the previous files stay in use: {error}", error=error)
            return succeed(str(error))
        if changes is not None and configuration is not None:
            configuration.use(changes, given=files is not None)
            self._drain_timeout = changes.conf.drain_timeout
            if self.running:
                self._drain = self._drain_timeout
            # Workers that are started later read these files.
            previous = [FlagFile.read(f"/proc/self/fd/{handle}") for handle in self.files]
            old, self.files = self.files, [in_memory(file) for file in for_new_workers(previous, changes)]
            for handle in old:
                os.close(handle)
        outcomes = [worker.reload(changes.files if changes else ()) for worker in self._living.values()]
        if changes is not None and configuration is not None:
            configuration.report(changes)
        # The answer is the first error.
        return gatherResults(outcomes).addCallback(lambda errors: next((error for error in errors if error), None))

    def beat(self) -> None:
        """Notify systemd's watchdog if all workers answer.  A worker that does not answer is killed and replaced."""
        interval = watchdog_interval()
        if interval is None:
            return
        now = self._reactor.seconds()
        hung = []
        for number, worker in self._living.items():
            silent = now - worker.last_report
            # A worker that is not ready yet has more time, but it may hang, too.
            if silent > (interval / 2 if number in self._ready else max(interval, LONGEST_START)):
                hung.append((worker, silent))
        for worker, silent in hung:
            self.log.error(
                "worker {number} (pid {pid}) has not answered for {seconds:g} s and is killed",
                number=worker.number,
                pid=worker.pid,
                seconds=silent,
            )
            worker.signal(signal.SIGKILL)
        # systemd is not notified while a worker hangs.  If workers hang again and again, systemd restarts the service.
        if not hung:
            super().beat()

    def stopService(self) -> Deferred[None]:
        """See Service; fires when the workers have ended, or at the time limit.

        After a take-over, the main process (the one that has taken over) also waits for the older processes, which may
        still have sessions.
        """
        control = super().stopService()
        notify(stopping(self._drain))
        for restart in self._restarts.values():
            restart.cancel()
        self._restarts.clear()
        for _, listener in self.listeners:
            # Each worker closes its own copy of the socket.  When all copies are closed, the port is free for the next
            # instance.
            listener.close()
        return Deferred.fromCoroutine(self._stop()).addCallback(lambda _: control)

    def end(self) -> None:
        """See CommandService."""
        if self.released:
            # A new process has taken over, so this process already waits for its workers.  In release(), a
            # drain_timeout of 0 means "without a limit".  After SIGTERM, 0 means that sessions end at once, so set the
            # limit now.
            self._limit(self._drain_timeout)
            for worker in self._living.values():
                worker.signal(signal.SIGTERM)
        super().end()

    def end_now(self) -> None:
        """See CommandService."""
        self._limit(0.0)
        stop(self._reactor)
        for worker in self._living.values():
            worker.end_now()

    def release(self) -> None:
        """See CommandService."""
        self._limit(self._drain_timeout or math.inf)
        for worker in self._living.values():
            worker.order(RELEASE)
        stop(self._reactor)

    def _limit(self, drain: float) -> None:
        """Let sessions go on for this many seconds from now."""
        self._drain = drain
        if self._waiting is not None:
            self._kill_later()

    async def _stop(self) -> None:
        over = self._waiting = Deferred()
        workers = list(self._living.values())
        if not self.released:
            for worker in workers:
                worker.signal(signal.SIGTERM)
        self._kill_later()
        predecessors = [self.older.gone()] if self.is_main else []
        DeferredList([*(worker.ended for worker in workers), *predecessors]).addCallback(lambda _: self._end_waiting())
        await over
        if self.lost is not None:
            # The reports may take only the time that is left until the service has to end.
            await self.lost.stop(min(STOP_TIMEOUT, self._kill_time - self._reactor.seconds() + REPORT_TIME))
        self.stop_monitoring()

    def _end_waiting(self) -> None:
        """Wait no longer for workers and older processes: they have all ended, or the time is over."""
        if self._kill_timer is not None and self._kill_timer.active():
            self._kill_timer.cancel()
        over, self._waiting = self._waiting, None
        if over is not None:
            over.callback(None)

    def _kill_later(self) -> None:
        if self._kill_timer is not None and self._kill_timer.active():
            self._kill_timer.cancel()
        if self._drain < math.inf:
            self._kill_timer = self._reactor.callLater(self._drain + STOP_TIMEOUT, self._kill)
            self._kill_time = self._reactor.seconds() + self._drain + STOP_TIMEOUT

    def _kill(self) -> None:
        for worker in self._living.values():
            if worker.signal(signal.SIGKILL):
                self.log.warn("worker {number} did not end in time and is killed", number=worker.number)
        # A killed process usually ends at once.  Even if one does not, the service ends in time.
        self._kill_timer = self._reactor.callLater(0.2, self._end_waiting)

    def _spawn(self, number: int) -> None:
        self._restarts.pop(number, None)
        log = RelayedLog(number)
        worker = WorkerProcess(number, self._reactor.seconds(), log, self._is_ready, self._died, self._share)
        log.on_report = lambda report: worker.reported(report, self._reactor.seconds())
        if self.lost is not None:
            worker.table = self.lost.make_table()
        self._living[number] = worker
        begin = ACCEPT if self.leads else WAIT
        try:
            launch(self._reactor, worker, self._command, self.listeners, self.files, begin)
        except OSError as error:  # for example: no memory, or the user of --uid may not run this Python
            worker.failure = f"{error.strerror}: {sys.executable}", START_FAILED
            self._died(worker, "before it began")

    def _is_ready(self, worker: WorkerProcess) -> None:
        self._ready.add(worker.number)
        worker.last_report = self._reactor.seconds()
        self.log.info("worker {number} is ready (pid {pid})", number=worker.number, pid=worker.pid)
        if len(self._ready) == self._count and not self._was_ready and self.running:
            self._was_ready = True
            if self.leads:
                self._log_ready()
            elif self.predecessor is not None:
                self.predecessor.ready()

    def _share(self, sender: WorkerProcess, value: Any) -> None:
        for worker in self._living.values():
            if worker is not sender and worker.number in self._ready:
                worker.outbox.add(value)

    def _log_ready(self) -> None:
        self.log.info(
            "{command} is ready (novnc_twisted {version}, {count} workers)",
            command=self._command,
            version=__version__,
            count=self._count,
        )
        notify("READY=1")

    def lead(self) -> None:
        """See CommandService."""
        for worker in self._living.values():
            worker.order(ACCEPT)
        if self._was_ready:
            self._log_ready()

    def _give_up(self, why: str, code: int) -> None:
        """End the command, because a worker cannot start and the command has never been ready."""
        self._failed = True
        if self.predecessor is not None and not self.leads:
            self.predecessor.failed(why)  # the previous process continues, and logs the reason
        else:
            self.log.critical("{command} could not start: {reason}", command=self._command, reason=why)
        exit_with(code)
        stop(self._reactor)

    def _died(self, worker: WorkerProcess, how: str) -> None:
        number = worker.number
        del self._living[number]
        if self._status is not None:
            self._status.ended(number)
        self._ready.discard(number)
        if self.lost is not None and worker.table is not None:
            self.lost.report(worker.table, number, how)
        if not self.running or self._failed:
            return  # the service ends, so the worker is not replaced
        if worker.failure is not None:
            why, code = worker.failure
            if not self._was_ready:
                self._give_up(why, code)
                return
            how = f"before it was ready ({why})"
        pause = self._pauses.after_death(number, self._reactor.seconds() - worker.began)
        self.log.warn(
            "worker {number}{pid} ended {how}; it is started again in {pause:g} s",
            number=number,
            pid="" if worker.pid is None else f" (pid {worker.pid})",
            how=how,
            pause=pause,
        )
        self._restarts[number] = self._reactor.callLater(pause, self._spawn, number)
