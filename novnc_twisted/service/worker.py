"""One of several workers, ``python -m novnc_twisted.service.worker COMMAND NUMBER REACTOR SOCKETS BEGIN [FILE ...]``.

Only :mod:`novnc_twisted.service.workers` starts it.  The listening sockets are descriptors from 3 on, SOCKETS names the
service of each (``novncproxy,novncproxy``), BEGIN is ``accept`` or ``wait``, and each FILE is a configuration file.
Standard input is a pipe with the supervisor's orders, and ends with the supervisor.  The log goes to standard output as
one JSON object in each line, and the supervisor passes it on to the one log.
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
from novnc_twisted.service.exits import START_FAILED, reason
from novnc_twisted.service.log_format import exception_of, namespace, text_of

if TYPE_CHECKING:
    from novnc_twisted.monitoring import Status

ORPHAN = 5
"""Seconds within which a worker must end when its supervisor is gone."""


@implementer(IReadDescriptor)
class Supervised:
    """Ends the process when its supervisor ends, in whatever way, and takes the supervisor's orders."""

    def __init__(
        self,
        reactor: Any,
        orders: Mapping[str, Callable[[bytes], object]],
        on_end: Callable[[], None],
        handle: int = 0,
    ) -> None:
        """Watch the pipe from now on.

        :param orders: what to do for each line.
        :param on_end: called when the supervisor has ended, or has closed the pipe: the worker has to end at once.
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
        for line in dict.fromkeys(lines):  # several requests for the status need one answer
            order, _, argument = line.partition(b" ")
            self._orders[order.decode()](argument)

    def connectionLost(self, reason: Any) -> None:
        """See IReadDescriptor: the pipe has ended, or the reactor stops."""
        # The end of a killed supervisor shows as a hang-up of the pipe, for which the reactor calls this and not
        # doRead().
        self._reactor.removeReader(self)
        # In case that the shutdown hangs: nobody is left who could kill this process.
        signal.alarm(ORPHAN)
        self._on_end()


@implementer(ILogObserver)
class Reports:
    """What a worker reports to its supervisor."""

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
        """Report the outcome of a reload: the error in one line, or None."""
        self._send(report="reloaded", failed=failed)

    def status(self, status: "Status") -> None:
        """Report the metrics and the readiness."""
        self._send(report="status", status=status.to_json())

    def ready(self) -> None:
        """Report that all services have started."""
        self._send(ready=True)

    def failed(self, error: Exception) -> int:
        """Report that the worker can't start; return its exit code."""
        code = int(getattr(error, "exit_code", START_FAILED))
        self._send(report="failed", reason=reason(error), code=code)
        return code

    def _send(self, **what: Any) -> None:
        self._to.write(json.dumps(what) + "\n")
        self._to.flush()


def _plain(name: str, value: Any) -> bool:
    """Whether a field of an event is passed on: the fields of a session's line, for example."""
    return not name.startswith("log_") and (value is None or isinstance(value, str | int | float))


def main(arguments: list[str]) -> None:
    """Run until SIGTERM, or until the supervisor ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the supervisor as well
    command, _, reactor_module, owners, begin, *paths = arguments
    importlib.import_module(reactor_module).install()
    from twisted.internet import reactor

    # Again in each worker: it is a process of its own, with its own reactor.
    use_monotonic_clock(reactor)
    # A copy of standard output, since the logging of Twisted takes over the stream itself.
    reports = Reports(io.TextIOWrapper(io.FileIO(os.dup(1), "w"), encoding="utf-8", errors="replace"))
    globalLogBeginner.beginLoggingTo([reports])
    from novnc_twisted.service.configuration import read_configuration
    from novnc_twisted.service.control import files_of
    from novnc_twisted.service.flagfile import FlagFile
    from novnc_twisted.service.make_service import build
    from novnc_twisted.service.reconfiguration import Reconfiguration
    from novnc_twisted.service.sockets import Sockets
    from novnc_twisted.service.worker_process import ACCEPT, RELEASE, RELOAD, STATUS

    try:
        sockets = Sockets.passed(owners.split(","))
        files = [FlagFile.read(path) for path in paths]
        conf, _ = read_configuration(files)
        for path in paths:
            os.close(int(Path(path).name))  # the file may contain passwords
        service = build(command, conf, reactor, sockets, [])
        service.configuration = Reconfiguration(command, reactor, files, conf)
    except Exception as error:
        raise SystemExit(reports.failed(error)) from None
    codes: list[int] = []
    service.on_failure = lambda error: codes.append(reports.failed(error))
    service.ends_by = (signal.SIGTERM,)
    service.second_signal_hurries = service.reports_changes = False
    service.on_ready = reports.ready
    service.on_reloaded = reports.reloaded
    service.alive = reports.alive
    if begin != ACCEPT:
        service.on_lead = lambda: None
    orders: dict[str, Callable[[bytes], object]] = {
        ACCEPT: lambda _: service.accept(),
        RELEASE: lambda _: service.release(),
        RELOAD: lambda files: service.hang_up(files_of(files) if files else None),
        STATUS: lambda _: service.status().addCallback(reports.status),
    }
    Supervised(reactor, orders, service.end_now)
    # What twistd does for an application; a worker has none.
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    service.startService()
    reactor.run()
    raise SystemExit(codes[0] if codes else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
