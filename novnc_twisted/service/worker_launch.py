"""Starts the process of a worker, with its arguments, environment and descriptors."""

import os
import sys
from collections.abc import Sequence
from socket import socket
from typing import Any, Final

from novnc_twisted.service.child_signals import without_sigusr2
from novnc_twisted.service.lost_sessions import VARIABLE
from novnc_twisted.service.sockets import FIRST
from novnc_twisted.service.worker_process import WorkerProcess

FOR_THE_SUPERVISOR: Final = (
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "RUNTIME_DIRECTORY",
)
"""Environment variables of systemd that are valid for the supervisor only.

* ``NOTIFY_SOCKET``: a worker must not notify systemd itself.  Its READY=1 or WATCHDOG=1 would hide the state of the
  other workers.  Instead, the worker reports to the supervisor.
* ``WATCHDOG_PID`` names the supervisor.  With this variable, the worker would ignore the interval in WATCHDOG_USEC.
  The worker needs this interval: within each interval, the worker reports to the supervisor that it is alive.
* ``LISTEN_...``: :func:`launch` passes the sockets to the worker, and names them in the worker's arguments instead.
* ``RUNTIME_DIRECTORY``: the files in this folder are the supervisor's (its control socket, and tables of sessions).
"""


def launch(
    reactor: Any,
    worker: WorkerProcess,
    command: str,
    listeners: Sequence[tuple[str, socket]],
    files: Sequence[int],
    begin: str,
) -> None:
    """Start ``python -m novnc_twisted.service.worker``.

    :param listeners: the listening sockets, each with its service.
    :param files: descriptors of the configuration files.
    :param begin: ``ACCEPT`` or ``WAIT`` of :mod:`novnc_twisted.service.worker_process`.
    :raises OSError: the process could not be started.
    """
    first_file = FIRST + len(listeners)
    arguments = [
        sys.executable,
        "-m",
        "novnc_twisted.service.worker",
        command,
        str(worker.number),
        type(reactor).__module__,
        ",".join(name for name, _ in listeners),
        begin,
        *(f"/proc/self/fd/{first_file + index}" for index in range(len(files))),
    ]
    handles = [*(listener.fileno() for _, listener in listeners), *files]
    environment = {name: value for name, value in os.environ.items() if name not in FOR_THE_SUPERVISOR}
    if worker.table is not None:
        environment[VARIABLE] = str(FIRST + len(handles))
        handles.append(worker.table)
    pipes: dict[int, int | str] = {0: "w", 1: "r", 2: "r"}
    descriptors = pipes | {FIRST + index: handle for index, handle in enumerate(handles)}
    with without_sigusr2():
        reactor.spawnProcess(worker, arguments[0], arguments, environment, childFDs=descriptors)
