"""Start a measured proxy, pin it to processors, read its cost, and end all of its processes."""

import os
import shutil
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar, Self

from benchmarks.load import LOOPBACK, ROOT, Unavailable, free_port, wait_for_port
from benchmarks.tree import ProcessTree

PEERS_VENV = ROOT / ".venv-bench"
"""The virtual environment into which ``make bench`` installs the other proxies that are written in Python."""

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


class Proxy:
    """One proxy between the load generator and the synthetic VNC server, from :meth:`start` to :meth:`stop`.

    :param backend: the port of the VNC server.
    :param folder: the folder for its configuration and its log.
    :ivar helpers: processes that belong to the load, and run only for this proxy.
    :ivar urls: for each measured front, the URL for the load generator.  Known once the proxy runs.
    """

    name: ClassVar[str]
    about: ClassVar[str] = ""
    """What it does, and what it does not do, for the report."""
    forks: ClassVar[bool] = False
    """Whether it forks a process for each session, so that thousands of sessions are too many."""
    rows: ClassVar[tuple[str, ...] | None] = None
    """The rows that are measured; None: all."""
    faults: ClassVar[Mapping[str, str]] = {}
    """Known faults of the program: a part of the error message that each causes -> its description for the report."""
    front: ClassVar[str] = "novnc"
    scheme: ClassVar[str] = "ws"

    def __init__(self, backend: int, folder: Path) -> None:
        self.backend = backend
        self.folder = folder
        self.port = free_port()
        self.urls: dict[str, str] = {}
        self.helpers: list[Proxy] = []
        self._tree: ProcessTree | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def files(self) -> Mapping[str, str]:
        """Configuration files to write, by name."""
        return {}

    def command(self) -> list[str]:
        """The command line.

        :raises Unavailable: it is not installed.
        """
        raise NotImplementedError

    def version(self) -> str:
        """Its version."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it serves.

        :raises Unavailable: it does not start.
        """
        command = self.command()
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.files().items():
            (self.folder / name).write_text(text)
        tree = self._tree = ProcessTree()
        with self.log.open("wb") as log:  # a new file, without the lines of an earlier start
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(),
                preexec_fn=tree.enter,
            )
        tree.grow_from(self._process.pid)
        try:
            self.wait_until_it_serves(self._process)
        except Unavailable as trouble:
            self.stop()
            raise Unavailable(f"{trouble}; {self.last_words()}") from None
        except BaseException:
            self.stop()
            raise

    def environment(self) -> dict[str, str]:
        """The environment in which it runs."""
        return os.environ | {"PATH": _PATH}

    def wait_until_it_serves(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until it accepts connections, and fill in :attr:`urls`."""
        wait_for_port(self.port, process)
        self.urls = {self.front: f"{self.scheme}://{LOOPBACK}:{self.port}/websockify?token=bench"}

    def stop(self) -> None:
        """End all of its processes."""
        for helper in self.helpers:
            helper.stop()
        tree, self._tree = self._tree, None
        process, self._process = self._process, None
        if process is not None and tree is not None:
            tree.end()
            process.wait()
        if tree is not None:
            tree.remove()

    def cpu(self) -> float:
        """Seconds of CPU that its processes used so far."""
        return 0.0 if self._tree is None else self._tree.cpu()

    def memory(self, what: str = "Pss") -> int:
        """Memory of its processes in KiB (PSS; see :meth:`~benchmarks.tree.ProcessTree.memory`)."""
        return 0 if self._tree is None else self._tree.memory(what)

    def descriptors(self) -> int:
        """How many descriptors its processes have open."""
        return 0 if self._tree is None else self._tree.descriptors()

    def pin(self, own: Collection[int], loads: Collection[int]) -> None:
        """Restrict it to these processors, and its helpers to those of the load."""
        if self._tree is not None:
            self._tree.pin(own)
        for helper in self.helpers:
            helper.pin(loads, loads)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()

    @property
    def log(self) -> Path:
        """The file with its output."""
        return self.folder / "log"

    def last_words(self) -> str:
        """The end of its log, in one line."""
        lines = self.log.read_text(errors="replace").split("\n") if self.log.exists() else []
        return " / ".join(line.strip() for line in lines if line.strip())[-300:] or "it printed nothing"


def installed(name: str, package: str) -> str:
    """The path of a program of the system.

    :raises Unavailable: it is not installed; the text names the Debian package.
    """
    path = shutil.which(name, path=_PATH)
    if path is None:
        raise Unavailable(f"{name} is not installed (apt-get install {package})")
    return path


def peer(name: str) -> str:
    """The path of a program in :data:`PEERS_VENV`.

    :raises Unavailable: it is missing.
    """
    path = PEERS_VENV / "bin" / name
    if not path.exists():
        raise Unavailable(f"{path.relative_to(ROOT)} is missing: make bench installs it from PyPI, where it can")
    return str(path)


def output_of(*command: str) -> str:
    """The output of a short command.

    :raises Unavailable: it fails.
    """
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, env=os.environ | {"PATH": _PATH}
    )
    if done.returncode:
        raise Unavailable(f"{command[0]} fails: {done.stderr.strip()[-200:]}")
    return done.stdout
