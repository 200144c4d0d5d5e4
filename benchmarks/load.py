"""The load generator ``wsload.c``, compiled on demand: the VNC server behind the proxies, and the viewers."""

import contextlib
import hashlib
import json
import os
import selectors
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, Self

from demo.guardian import die_with_parent

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = ROOT / "docs" / "performance"
"""The documents' folder for the reports and the picture of a run; ``--publish`` writes them."""

CACHE = ROOT / ".make" / "bench"
"""The folder for the compiled generator and the last results."""

LOOPBACK = "127.0.0.1"
STEP_DEADLINE = 120.0
"""Seconds that one step of the generator may take.  The generator itself gives up after 10 or 20 s of silence."""


class LoadFailed(Exception):
    """A session failed: it was refused, cut off or silent, or a byte was wrong.  The text says which."""


class Unavailable(Exception):
    """Something is not available on this machine; the text says what and why."""


def program(cache: Path = CACHE) -> Path:
    """The path of the generator; it is compiled unless the cache has one of the same source.

    :raises Unavailable: there is no compiler, or it fails.
    """
    source = Path(__file__).with_name("wsload.c")
    compiled = cache / f"wsload-{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}"
    if compiled.exists():
        return compiled
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise Unavailable("no C compiler for the load generator (apt-get install gcc libc6-dev)")
    cache.mkdir(parents=True, exist_ok=True)
    mine = compiled.with_name(f"{compiled.name}.{os.getpid()}")
    done = subprocess.run(
        [compiler, "-O2", "-Wall", "-pthread", "-o", mine, source], capture_output=True, text=True, timeout=120
    )
    if done.returncode:
        raise Unavailable(f"the load generator does not compile: {done.stderr.strip()[-400:]}")
    mine.replace(compiled)
    return compiled


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[Any], seconds: float = 30.0) -> None:
    """Wait until a process listens at a port.

    :raises Unavailable: the process ended, or nothing listens in time.
    """
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), 1):
            return
        if process.poll() is not None:
            raise Unavailable(f"it ended with {process.returncode}")
        time.sleep(0.05)
    raise Unavailable(f"nothing listens on port {port} after {seconds:.0f} s")


class Backend:
    """The synthetic VNC server (RFB 3.8, security None, a desktop named ``bench``), for any number of sessions.

    It sends the requested data, and checks every byte of the events that it receives.

    :param servers: at how many ports it listens; each stands for a different server.
    :ivar port: the first port.
    """

    def __init__(self, servers: int = 1) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - read until stop()
        self._process = subprocess.Popen(
            [program(), "backend", "0", "-n", str(servers)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            preexec_fn=die_with_parent,
        )
        self.pid = self._process.pid
        self._heard = 0
        assert self._process.stdout is not None
        with self._process.stdout as said:
            self.ports = [int(word) for word in said.readline().split()[1:]]  # it listens, or has ended
        if not self.ports:
            trouble = self.complaints()
            self.stop()
            raise Unavailable(f"the synthetic VNC server: {trouble}")
        self.port = self.ports[0]

    def complaints(self) -> str:
        """The errors that it found since the last call; only the first few of a run are kept."""
        text = os.pread(self._complaints.fileno(), 4096, self._heard)
        self._heard += len(text)
        return text.decode(errors="replace").strip()

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._complaints.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()


class Load:
    """One run of the generator as viewers.  A context manager, whose end closes all sessions.

    The constructor returns when the sessions are open, after the upgrade and RFB's handshake.  Only ``setup`` opens
    its sessions later, in its step.

    :param test: ``check``, ``down``, ``up``, ``rtt``, ``setup``, ``hold``, ``slow`` or ``soak``.
    :param url: ``ws:``, ``wss:``, ``connect:`` or ``tcp:``; see the head of wsload.c.
    :param cpus: the processors for it; empty: all.
    :param step_deadline: seconds that one of its steps may take.
    :param options: its options by letter, such as ``n=20`` for ``-n 20``.
    :raises LoadFailed: a session can't be opened.
    """

    def __init__(
        self,
        test: str,
        url: str,
        cpus: Collection[int] = (),
        step_deadline: float = STEP_DEADLINE,
        **options: int | float | str,
    ) -> None:
        self._step_deadline = step_deadline
        arguments: list[str | Path] = [program(), test, url]
        for letter, value in options.items():
            arguments += [f"-{letter}", str(value)]
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,
        )
        if cpus:
            os.sched_setaffinity(self._process.pid, cpus)
        try:
            self.line("READY")
        except BaseException:
            self.end()
            raise

    def line(self, word: str) -> str:
        """Wait for the line that begins with a word, and return the rest of the line.

        :raises LoadFailed: another line comes, or none in time.
        """
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            answered = selector.select(self._step_deadline)
        text = self._process.stdout.readline() if answered else "no answer in time"
        if not text.startswith(word):
            said = self.complaints() or text.strip()
            raise LoadFailed(said or f"the generator died ({self._process.returncode})")
        return text[len(word) :]

    def go(self, what: str = "") -> None:
        """Let it continue; ``soak`` needs the arguments of its next step.

        :raises LoadFailed: it has ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{what}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self.line("gone")

    def result(self) -> dict[str, Any]:
        """Wait for the end of a step, and return its results."""
        counted: dict[str, Any] = json.loads(self.line("DONE"))
        return counted

    def complaints(self) -> str:
        """End it; return the last of its errors in one line, each of them once."""
        self._process.kill()
        lines = self._process.communicate()[1].splitlines()
        return " / ".join(dict.fromkeys(line.strip(": ") for line in lines))[-300:]

    def end(self) -> None:
        """Close all connections."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.end()


def check(url: str) -> None:
    """Compare every byte of one session, in both directions, with awkward sizes, and with a flood at the end.

    :raises LoadFailed: a byte is wrong.
    """
    Load("check", url).end()
