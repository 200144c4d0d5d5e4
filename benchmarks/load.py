"""The load generator: ``wsload.c``, compiled on demand, as the VNC server behind the proxies and as the viewers."""

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
"""What the documents show: the reports and the picture of a run, put there by ``--publish``."""

CACHE = ROOT / ".make" / "bench"
"""What was compiled, what was measured last."""

LOOPBACK = "127.0.0.1"
PATIENCE = 120.0
"""Seconds that one step of the generator may take; it gives up on a silent proxy after 20 itself."""


class LoadFailed(Exception):
    """A session failed: refused, cut off, silent, or a byte that is not what was due.  The text says which."""


class Unavailable(Exception):
    """Something can't be had here; the text says what and why."""


def program(cache: Path = CACHE) -> Path:
    """The compiled generator; compiled where the cache has none of this very source.

    :raises Unavailable: without a compiler, or where it fails.
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
    """A loopback port that nobody has, for now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[Any], seconds: float = 30.0) -> None:
    """Return when somebody listens there.

    :raises Unavailable: when the process ended instead, or after so many seconds.
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
    """The synthetic VNC server (RFB 3.8, security None, a desktop named ``bench``), for as many sessions as come.

    It sends what it is told to and checks every byte of the events that it gets.

    :param servers: at how many ports it listens, each as if it were a server of its own.
    :ivar port: the first of them.
    """

    def __init__(self, servers: int = 1) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - read until we stop
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
            self.ports = [int(word) for word in said.readline().split()[1:]]  # it listens, or is dead
        if not self.ports:
            trouble = self.complaints()
            self.stop()
            raise Unavailable(f"the synthetic VNC server: {trouble}")
        self.port = self.ports[0]

    def complaints(self) -> str:
        """What it had to complain of since it was last asked; only the first few of a run are kept."""
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
    """One run of the generator as viewers.  Used as a context manager: its end closes all of its sessions.

    Made, its sessions are open: upgraded, and through RFB's handshake.

    :param test: ``check``, ``down``, ``up``, ``rtt``, ``setup``, ``hold``, ``slow`` or ``soak``.
    :param url: ``ws:``, ``wss:``, ``connect:`` or ``tcp:``; see the head of wsload.c.
    :param cpus: the processors for it; empty: all.
    :param patience: seconds that one step of it may take.
    :param options: its letters, as ``n=20`` for ``-n 20``.
    :raises LoadFailed: when a session can't be opened.
    """

    def __init__(
        self, test: str, url: str, cpus: Collection[int] = (), patience: float = PATIENCE, **options: int | float | str
    ) -> None:
        self._patience = patience
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
        """Await the line that begins with this word; what follows the word.

        :raises LoadFailed: when something else comes, or nothing in time.
        """
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            answered = selector.select(self._patience)
        text = self._process.stdout.readline() if answered else "no answer in time"
        if not text.startswith(word):
            self._process.kill()
            said = self._process.communicate()[1].strip() or text.strip()
            raise LoadFailed((said or f"the generator died ({self._process.returncode})")[-300:])
        return text[len(word) :]

    def go(self, what: str = "") -> None:
        """Let it go on: with what, ``soak`` has to be told.

        :raises LoadFailed: when it is gone.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{what}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self.line("gone")

    def result(self) -> dict[str, Any]:
        """Await the end of a step, and what it counted."""
        counted: dict[str, Any] = json.loads(self.line("DONE"))
        return counted

    def end(self) -> None:
        """Hang up."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.end()


def check(url: str) -> None:
    """One session in which every byte is compared, at awkward sizes, both ways, and a flood at the end.

    :raises LoadFailed: at the first that is not what was due.
    """
    Load("check", url).end()
