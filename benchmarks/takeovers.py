"""``python -m benchmarks.soak --take-overs 10``: take-overs and restarts with live sessions at both proxies.

Every service is a process of its own, with Redis between them.  While the sessions type, every service gets SIGUSR2
again and again, and a new process takes over from the old one.  In the middle, the proxies read another certificate at
SIGHUP, and each of the other services is ended by SIGTERM and started again.  New sessions are opened all the time.
No session may be dropped or refused.
"""

import contextlib
import dataclasses
import os
import shlex
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

from benchmarks.crowd import EACH, Crowd
from benchmarks.load import LOOPBACK, Backend, Load, LoadFailed, free_port
from benchmarks.ours import Console
from benchmarks.proxies import installed
from benchmarks.tls import certificate

REPLACED = ("novncproxy", "xvpvncproxy", "consoleauth", "consoleapi", "consolecompute")
"""The services that hand over."""

RESTARTED = ("consoleauth", "consoleapi", "consolecompute")
"""The services that also end and start again: no live session goes through them."""

WAIT = 120.0
"""Seconds that a take-over may take on a busy machine."""

UPGRADE = (
    "GET /?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@dataclasses.dataclass
class Result:
    """The result.

    :ivar tried: attempts to open further sessions.
    :ivar refused: the errors of the attempts that failed.
    :ivar alive: live sessions that responded at the end.
    :ivar slowest: seconds of the slowest of all take-overs, from the signal until the pid files name new processes.
    :ivar left: replaced processes left at the end.
    """

    sessions: int
    take_overs: int
    tried: int = 0
    refused: list[str] = dataclasses.field(default_factory=list)
    alive: int = 0
    slowest: float = 0.0
    left: int = 0

    @property
    def passed(self) -> bool:
        """Whether no session was dropped or refused, and no old process is left."""
        return self.alive == self.sessions and not self.refused and self.tried > 0 and not self.left

    def __str__(self) -> str:
        return (
            f"{self.take_overs} take-overs of each of {', '.join(REPLACED)}, slowest {self.slowest:.1f} s; "
            f"another certificate; restarts of {', '.join(RESTARTED)}; "
            f"live sessions {self.sessions}, dropped {self.sessions - self.alive}; tried {self.tried}, "
            f"refused {len(self.refused)} {self.refused[:3] or ''}; processes left {self.left}"
        )


class Cloud(Crowd):
    """A process for each service; the pid file of each names its main process."""

    ready: ClassVar[tuple[str, ...]] = tuple(f"{name} is ready" for name in REPLACED)

    def __init__(self, ports: list[int], folder: Path) -> None:
        super().__init__(ports, folder)
        self._redis = free_port()
        self.transport_url = f"redis://{LOOPBACK}:{self._redis}/0"
        self._again: list[subprocess.Popen[bytes]] = []

    def command(self) -> list[str]:
        """The shell command that starts all of them; they end with the shell's session."""
        server = installed("redis-server", "redis-server")
        redis = [server, "--bind", LOOPBACK, "--port", str(self._redis), "--save", "", "--dir", str(self.folder)]
        twistd = Console.command(self)[0]
        services = [self._service(twistd, name) for name in REPLACED]
        return ["/bin/sh", "-c", "\n".join([*(f"{shlex.join(one)} &" for one in (redis, *services)), "wait"])]

    @staticmethod
    def _service(twistd: str, name: str) -> list[str]:
        return [twistd, "-n", f"--pidfile={name}.pid", name, "--config-file", "nova.conf"]

    def files(self) -> dict[str, str]:
        """The configuration, with two workers and a certificate."""
        default = f"workers = 2\ncert = {self.folder}/cert.pem\n"
        return {
            "nova.conf": self._nova_conf(default=default),
            "domains.xml": self._domains(),
            "cert.pem": certificate(),
        }

    def pid(self, name: str) -> int:
        """The main process of a service."""
        return int((self.folder / f"{name}.pid").read_text())

    def take_over(self, names: tuple[str, ...]) -> float:
        """Replace these services; return after how many seconds all of them were replaced."""
        began = time.monotonic()
        before = {name: self.pid(name) for name in names}
        for pid in before.values():
            os.kill(pid, signal.SIGUSR2)
        self._wait(
            lambda: all(self.pid(name) != pid for name, pid in before.items()), f"no take-over within {WAIT:g} s"
        )
        return time.monotonic() - began

    def restart(self, name: str) -> None:
        """End a service by SIGTERM, and start it again as soon as it has ended."""
        file, log = self.folder / f"{name}.pid", self.folder / f"{name}.log"
        os.kill(self.pid(name), signal.SIGTERM)
        self._wait(lambda: not file.exists(), f"{name} does not end")
        command = self._service(Console.command(self)[0], name)
        with log.open("wb") as output:
            self._again.append(subprocess.Popen(command, cwd=self.folder, stdout=output, stderr=output))
        self._wait(lambda: f"{name} is ready" in log.read_text(errors="replace"), f"{name} does not start")

    def tracebacks(self) -> bool:
        """Whether a log has a traceback."""
        logs = [self.log, *(self.folder / f"{name}.log" for name in RESTARTED)]
        return any("Traceback" in log.read_text(errors="replace") for log in logs if log.exists())

    def stop(self) -> None:
        """End all of them; those that were started again belong to no process tree."""
        for name in RESTARTED if self._again else ():
            with contextlib.suppress(OSError, ValueError):
                os.kill(self.pid(name), signal.SIGTERM)
        super().stop()
        for process in self._again:
            process.wait()

    def renew_certificate(self) -> None:
        """Let the proxies read another certificate."""
        (self.folder / "cert.pem").write_text(certificate())
        new = _certificate(self.folder)
        for name in ("novncproxy", "xvpvncproxy"):
            os.kill(self.pid(name), signal.SIGHUP)
        ports = (self.port, self.xvp_port)
        presented = ssl.get_server_certificate
        self._wait(lambda: all(presented((LOOPBACK, port)) == new for port in ports), "the certificate does not change")

    def _wait(self, so: Callable[[], bool], otherwise: str) -> None:
        give_up = time.monotonic() + WAIT
        while not so():
            if time.monotonic() > give_up:
                raise LoadFailed(f"{otherwise}; {self.last_words()}")
            time.sleep(0.05)

    def processes(self) -> int:
        """How many processes in this cloud's folder have an argument ``--config-file``, and are not a main process."""
        mains = {self.pid(name) for name in REPLACED}
        found = 0
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                here = (path / "cwd").resolve() == self.folder.resolve()
                # An argument of its own: the shell that starts all services has it inside a longer argument.
                service = b"\0--config-file\0" in (path / "cmdline").read_bytes()
                found += here and service and int(path.name) not in mains
        return found


class Tries:
    """Opens sessions, one after the other, until it is stopped."""

    def __init__(self, cloud: Cloud, links: dict[str, str], result: Result) -> None:
        """:param links: the path of a link for each front."""
        self._cloud, self._links, self._result = cloud, links, result
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        """Open sessions while the ``with`` block runs."""
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            for front, path in self._links.items():
                try:
                    self._open(front, path.partition("?")[2])
                except OSError as error:
                    self._result.refused.append(f"{front}: {error}")
                self._result.tried += 1

    def _open(self, front: str, query: str) -> None:
        port = self._cloud.xvp_port if front == "xvp" else self._cloud.port
        request = f"CONNECT /console?{query} HTTP/1.0\r\n\r\n" if front == "xvp" else UPGRADE.format(query=query)
        with socket.create_connection((LOOPBACK, port), 30) as connection, connection.makefile("rb") as reader:
            connection.sendall(request.encode())
            status = reader.readline()
            while reader.readline().strip():
                pass
            framed = front != "xvp"
            version = reader.read(14 if framed else 12)[-12:]
            answer = b"\x82\x8c\0\0\0\0" + version if framed else version
            connection.sendall(answer)
            types = reader.read(4 if framed else 2)[-2:]
            if version != b"RFB 003.008\n" or types != b"\1\1":
                raise OSError(f"{status!r}, then {version!r} and {types!r}")


def run(take_overs: int, folder: Path, novnc: int, xvp: int, say: Callable[[str], None]) -> Result:
    """Run it.

    :raises Unavailable: a part is missing on this machine.
    :raises LoadFailed: a session is refused, lost or silent, or has a wrong byte.
    """
    result = Result(novnc + xvp, take_overs)
    with Backend(-(-(novnc + xvp) // EACH) + 1) as backend, Cloud(backend.ports, folder) as cloud:
        with contextlib.ExitStack() as stack:
            loads = []
            for front, count in (("novnc", novnc), ("xvp", xvp)):
                links, file = cloud.links(front, count), folder / f"{front}.links"
                file.write_text("".join(f"{path} {name}\n" for path, name in links))
                base = cloud.urls[front].split("?")[0].rstrip("/").removesuffix("/console")
                loads.append(stack.enter_context(Load("soak", base, n=count, f=str(file), d=1, p=1, r=1400)))
            say(f"{result.sessions} sessions are live")
            ends = {front: cloud.links(front, len(backend.ports))[-1][0] for front in ("novnc", "xvp")}
            with Tries(cloud, ends, result).going_on():
                for number in range(take_overs):
                    if number == take_overs // 2:
                        cloud.renew_certificate()
                        for name in RESTARTED:
                            cloud.restart(name)
                        say(f"certificate, restarts: tried {result.tried}, refused {len(result.refused)}")
                    result.slowest = max(result.slowest, cloud.take_over(REPLACED))
                    for load, count in zip(loads, (novnc, xvp), strict=True):
                        load.go(f"type {min(20, count)}")
                        load.result()
                    say(f"take-over {number + 1}: tried {result.tried}, refused {len(result.refused)}")
            for load in loads:
                load.go("every")
                result.alive += int(load.result()["alive"])
        give_up = time.monotonic() + WAIT
        # The workers of the main process have another command line, so that only predecessors are counted.
        while (left := cloud.processes()) and time.monotonic() < give_up:
            time.sleep(0.1)
        result.left = left
        if cloud.tracebacks():
            raise LoadFailed("a traceback in the log")
    return result


def _certificate(folder: Path) -> str:
    """The certificate of the file, as a server presents it."""
    text = (folder / "cert.pem").read_text()
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return begin + text.partition(begin)[2].partition(end)[0] + end + "\n"


def main(take_overs: int, folder: Path, novnc: int = 500, xvp: int = 50) -> int:
    """Run it, print the result, and return the exit code.

    :raises Unavailable: a part is missing on this machine.
    """
    try:
        result = run(take_overs, folder, novnc, xvp, lambda line: print(line, flush=True))
    except LoadFailed as trouble:
        print(f"WRONG: {trouble}")
        return 1
    print(result)
    return 0 if result.passed else 1
