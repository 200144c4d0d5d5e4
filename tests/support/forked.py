"""Start twistd and the OpenStack clients as forks of a process that has imported their modules: see `fork_server`.

They are ordinary processes, with an id, signals, an exit code and files of their own; only their entries in
``/proc/PID/cmdline`` and ``/proc/PID/environ`` are those of the process that forked.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.process import ProcessReader
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

SERVER = Path(__file__).with_name("fork_server.py")
KINDS = {"twistd": "twistd", "openstack": "clients", "nova": "clients"}
"""The kind of each script."""


class _Server:
    """A fork server of this process, which ends with it."""

    def __init__(self, kind: str) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(SERVER), kind, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONWARNINGS": "ignore"} if kind == "clients" else None,
            )
        atexit.register(self.close)

    def close(self) -> None:
        self.control.close()
        self._process.wait(20)


_servers: dict[str, _Server] = {}


class Forked:
    """A process, as `reactor.spawnProcess` returns it.  Its standard input is empty.

    :param command: the path of a script of :data:`KINDS`, and its arguments.
    :param customize: the path of a module that the process runs first; empty: none.
    :ivar pid: the process id.
    """

    def __init__(
        self,
        protocol: ProcessProtocol,
        command: Sequence[str],
        env: Mapping[str, str] | None,
        path: str,
        customize: str = "",
    ) -> None:
        kind = KINDS[Path(command[0]).name]
        server = _servers.get(kind) or _servers.setdefault(kind, _Server(kind))
        self._protocol = protocol
        self._status: int | None = None
        self._report, theirs = socket.socketpair()
        outputs = [os.pipe(), os.pipe()]
        given = [os.open(os.devnull, os.O_RDONLY), *(end for _, end in outputs), theirs.fileno()]
        request = {
            "command": list(command),
            "env": dict(os.environ if env is None else env),
            "folder": path,
            "customize": customize,
        }
        try:
            socket.send_fds(server.control, [json.dumps(request).encode()], given)
        finally:
            theirs.close()
            for file in given[:3]:
                os.close(file)
        self.pid = int(self._report.makefile("rb").readline())
        self._open = {1, 2, 3}
        protocol.makeConnection(self)  # type: ignore[arg-type]
        for name, file in ((1, outputs[0][0]), (2, outputs[1][0]), (3, self._report.detach())):
            os.set_blocking(file, False)
            ProcessReader(reactor, self, name, file).startReading()

    def signalProcess(self, sign: str | int) -> None:
        """Send a signal, by number or by name without SIG.

        :raises ProcessExitedAlready: it has ended.
        """
        if self._status is not None:
            raise ProcessExitedAlready
        try:
            os.kill(self.pid, sign if isinstance(sign, int) else getattr(signal, f"SIG{sign}"))
        except ProcessLookupError:
            raise ProcessExitedAlready from None

    # --- for ProcessReader

    def childDataReceived(self, name: int, data: bytes) -> None:
        """Output, or the status."""
        if name == 3:
            self._status = int(data)
        else:
            self._protocol.childDataReceived(name, data)

    def childConnectionLost(self, name: int, reason: Any) -> None:
        """A pipe is closed.  As with `reactor.spawnProcess`, the process has ended when all are closed."""
        self._open.discard(name)
        if name != 3:
            self._protocol.childConnectionLost(name)
        if not self._open:
            code, sign = None, None
            status = self._status
            if status is None or os.WIFSIGNALED(status):
                sign = signal.SIGKILL if status is None else os.WTERMSIG(status)
            else:
                code = os.WEXITSTATUS(status)
            done = ProcessDone(status) if code == 0 else ProcessTerminated(code, sign, status)
            self._protocol.processExited(Failure(done))
            self._protocol.processEnded(Failure(done))


class _Output(ProcessProtocol):
    """Collects what a process prints."""

    def __init__(self) -> None:
        self.printed = {1: b"", 2: b""}
        self.ended: Deferred[tuple[bytes, bytes, int]] = Deferred()

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self.printed[childFD] += data

    def processEnded(self, reason: Failure) -> None:
        status: Any = reason.value
        code = -status.signal if status.signal else status.exitCode or 0
        self.ended.callback((self.printed[1], self.printed[2], code))


def output_and_value(command: Sequence[str], env: Mapping[str, str]) -> "Deferred[tuple[bytes, bytes, int]]":
    """Run a script; return its output, its errors, and its exit code (negative: the signal)."""
    output = _Output()
    Forked(output, command, env, str(Path.cwd()))
    return output.ended
