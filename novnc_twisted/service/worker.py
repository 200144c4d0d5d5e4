"""Runs one worker: ``python -m novnc_twisted.service.worker COMMAND NUMBER REACTOR SOCKETS BEGIN [FILE ...]``.

Only the supervisor (:mod:`novnc_twisted.service.workers`) runs this command.  After an upgrade, a supervisor of the old
version may run it, so the arguments must stay compatible.
NUMBER is the worker's number.  The worker does not use it; it is for lists of processes, such as that of ``ps``.
REACTOR is the module of the reactor.  The listening sockets are descriptors from 3 on.  SOCKETS names the service of
each socket, for example ``novncproxy,novncproxy`` for two sockets of the noVNC proxy.  BEGIN is ``accept`` (accept
connections from the start on) or ``wait`` (accept them only after the order ``accept``).  Each FILE is a configuration
file, named ``/proc/self/fd/DESCRIPTOR``.

Standard input is a pipe with the supervisor's orders; it closes when the supervisor ends.  Log events and reports go to
standard output, as one JSON object in each line.  The supervisor writes the log events to the log of the service, and
handles the reports (:class:`WorkerReports`) itself.  An environment variable names the descriptor of the table to which
the worker writes its sessions.  The supervisor reads this table when the worker has ended
(:mod:`novnc_twisted.service.lost_sessions`).
"""

import importlib
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogBeginner
from zope.interface import implementer

from novnc_twisted.service.clock import use_monotonic_clock
from novnc_twisted.service.collector import spare_the_start
from novnc_twisted.service.exits import START_FAILED, prepare_exit, reason
from novnc_twisted.service.log_format import exception_of, namespace, text_of

if TYPE_CHECKING:
    from novnc_twisted.monitoring import Status
    from novnc_twisted.service.console_service import ConsoleService

ORPHAN_SECONDS = 5
"""Seconds within which a worker must end after its supervisor has ended."""


@implementer(IReadDescriptor)
class SupervisorPipe:
    """Receives the supervisor's orders, and ends this process when the supervisor has ended for any reason."""

    def __init__(
        self,
        reactor: Any,
        orders: Mapping[str, Callable[[bytes], object]],
        on_end: Callable[[], None],
        handle: int = 0,
    ) -> None:
        """Begin to read the pipe.

        :param orders: the function for each order, called with the rest of the line.
        :param on_end: must end the worker at once.  It is called when the supervisor has ended or has closed the pipe,
            and also when the reactor stops.
        :param handle: the descriptor of the pipe.
        """
        self._reactor = reactor
        self._orders = orders
        self._on_end = on_end
        self._handle = handle
        self._received = b""
        os.set_blocking(handle, False)
        reactor.addReader(self)

    def fileno(self) -> int:
        """See IFileDescriptor."""
        return self._handle

    def logPrefix(self) -> str:
        """See ILoggingContext."""
        return "supervisor"

    def doRead(self) -> None:
        """See IReadDescriptor: orders, or the end of the supervisor."""
        try:
            data = os.read(self._handle, 65536)
        except BlockingIOError:
            return
        if not data:
            self.connectionLost(None)
            return
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            order, _, argument = line.partition(b" ")
            self._orders[order.decode()](argument)

    def connectionLost(self, reason: Any) -> None:
        """See IReadDescriptor: the pipe has ended, or the reactor stops."""
        # If the supervisor was killed, the reactor sees a hang-up of the pipe, and calls this method without doRead().
        self._reactor.removeReader(self)
        # The alarm ends this process if its shutdown hangs: there may be no supervisor any more to kill it.
        signal.alarm(ORPHAN_SECONDS)
        self._on_end()


@implementer(ILogObserver)
class WorkerReports:
    """Sends log events and reports to the supervisor."""

    def __init__(self, to: io.TextIOBase) -> None:
        """:param to: the pipe to the supervisor."""
        self._to = to

    def __call__(self, event: LogEvent) -> None:
        """See ILogObserver."""
        level = event.get("log_level", LogLevel.info)
        self._send(
            time=event["log_time"],
            level=level.name,
            system=event.get("log_system") or event.get("log_namespace", "-"),
            namespace=namespace(event),
            pid=os.getpid(),
            text=text_of(event),
            exception=exception_of(event),
            fields={name: value for name, value in event.items() if _plain(name, value)},
        )

    def alive(self) -> None:
        """Report that the reactor runs."""
        self._send(report="alive")

    def reloaded(self, failed: str | None) -> None:
        """Report the outcome of a reload that the supervisor has ordered: the error in one line, or None."""
        self._send(report="reloaded", failed=failed)

    def status(self, status: "Status") -> None:
        """Report the metrics and the readiness."""
        self._send(report="status", status=status.to_json())

    def share(self, value: Any) -> None:
        """Report a value that the supervisor must pass to the other workers (:mod:`novnc_twisted.service.peers`)."""
        self._send(report="share", value=value)

    def taken(self) -> None:
        """Report that the values of the last order ``take`` were taken.  The supervisor may then send the next ones."""
        self._send(report="taken")

    def ready(self) -> None:
        """Report that all services have started."""
        self._send(ready=True)

    def failed(self, error: Exception) -> int:
        """Report that the worker cannot start; return its exit code."""
        code = int(getattr(error, "exit_code", START_FAILED))
        self._send(report="failed", reason=reason(error), code=code)
        return code

    def _send(self, **what: Any) -> None:
        self._to.write(json.dumps(what) + "\n")
        self._to.flush()


def _plain(name: str, value: Any) -> bool:
    """Return whether a field of a log event is sent to the supervisor.

    Only fields with a text, a number, a boolean or None are sent, without Twisted's own fields (``log_...``).
    """
    return not name.startswith("log_") and (value is None or isinstance(value, str | int | float))


def main(arguments: list[str]) -> None:
    """Run the worker.

    It ends in each of these cases: it gets SIGTERM or the order ``release``, the supervisor ends, or a service cannot
    start.
    """
    prepare_exit()
    # A terminal sends SIGINT to the supervisor, too.  The supervisor then ends the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    command, _, reactor_module, owners, begin, *paths = arguments
    importlib.import_module(reactor_module).install()
    from twisted.internet import reactor

    use_monotonic_clock(reactor)
    # A separate stream for descriptor 1, because beginLoggingTo() replaces sys.stdout.
    reports = WorkerReports(io.TextIOWrapper(io.FileIO(os.dup(1), "w"), encoding="utf-8", errors="replace"))
    globalLogBeginner.beginLoggingTo([reports])
    from novnc_twisted.service.worker_process import ACCEPT

    try:
        service = _build(command, owners, paths, reactor)
    except Exception as error:
        raise SystemExit(reports.failed(error)) from None
    codes: list[int] = []
    service.on_failure = lambda error: codes.append(reports.failed(error))
    service.ends_by = (signal.SIGTERM,)
    service.second_signal_ends_sessions = service.reports_changes = False
    service.on_ready = reports.ready
    service.alive = reports.alive
    service.peers.send = reports.share
    if begin != ACCEPT:
        # By default, on_lead() is a function that accepts connections as soon as the service has started.  This worker
        # accepts them only after the order ACCEPT.
        service.on_lead = lambda: None
    SupervisorPipe(reactor, _orders(service, reports), service.end_now)
    # twistd does this for an application, but a worker runs without twistd.
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    service.startService()
    spare_the_start(reactor)
    reactor.run()
    raise SystemExit(codes[0] if codes else 0)


def _build(command: str, owners: str, paths: list[str], reactor: Any) -> "ConsoleService":
    """Build the service from the files and sockets that the supervisor has passed, and close the files."""
    from novnc_twisted.service.configuration import read_configuration
    from novnc_twisted.service.flagfile import FlagFile
    from novnc_twisted.service.lost_sessions import VARIABLE
    from novnc_twisted.service.make_service import build
    from novnc_twisted.service.reconfiguration import Reconfiguration
    from novnc_twisted.service.sockets import Sockets
    from novnc_twisted.session.shared_table import SharedTable

    sockets = Sockets.passed(owners.split(","))
    files = [FlagFile.read(path) for path in paths]
    conf, _ = read_configuration(files)
    for path in paths:
        os.close(int(Path(path).name))  # the file may contain passwords
    handle = os.environ.get(VARIABLE)
    table = SharedTable(int(handle), reactor) if handle is not None else None
    service = build(command, conf, reactor, sockets, [], table)
    service.configuration = Reconfiguration(command, reactor, files, conf)
    return service


def _orders(service: "ConsoleService", reports: WorkerReports) -> dict[str, Callable[[bytes], object]]:
    """Return the function for each order of the supervisor."""
    from novnc_twisted.service.control import files_of
    from novnc_twisted.service.worker_process import ACCEPT, RELEASE, RELOAD, STATUS, TAKE

    return {
        ACCEPT: lambda _: service.accept(),
        RELEASE: lambda _: service.release(),
        RELOAD: lambda files: service.reopen_and_reload(files_of(files) if files else None).addCallback(
            reports.reloaded
        ),
        STATUS: lambda _: service.status().addCallback(reports.status),
        TAKE: lambda values: _take(service, reports, values),
    }


def _take(service: "ConsoleService", reports: WorkerReports, values: bytes) -> None:
    for value in json.loads(values):
        service.peers.take(value)
    reports.taken()


if __name__ == "__main__":
    main(sys.argv[1:])
