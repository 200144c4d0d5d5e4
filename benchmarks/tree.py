"""CPU and memory of a proxy's whole process tree, including forked children."""

import contextlib
import itertools
import os
import signal
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from demo.guardian import die_with_parent

_CGROUPS = Path("/sys/fs/cgroup")
_numbers = itertools.count()

ALL_CPUS = tuple(sorted(os.sched_getaffinity(0)))
"""The processors that this process may use."""


class ProcessTree:
    """A process and all that it forked.

    CPU time is read from a cgroup, version 1 or 2, so that ended children still count; without cgroups it is read from
    /proc.  Work that the kernel does for the proxy in another process's time slice (loopback's softirq) is not counted,
    for any proxy.

    :ivar source: where the CPU time is read: ``cgroup`` or ``/proc``.
    """

    def __init__(self) -> None:
        self._root = 0
        self._group: Path | None = None
        name = f"novnc-twisted-bench-{os.getpid()}-{next(_numbers)}"
        for base, usage, unit in ((_CGROUPS / "cpuacct", "cpuacct.usage", 1e-9), (_CGROUPS, "cpu.stat", 1e-6)):
            group = base / name
            try:
                group.mkdir()
            except OSError:  # no such hierarchy, or no permission
                continue
            if (group / usage).exists() and os.access(group / "cgroup.procs", os.W_OK):
                self._group, self._usage, self._unit = group, group / usage, unit
                break
            group.rmdir()
        self.source = "/proc" if self._group is None else "cgroup"

    def enter(self) -> None:
        """Make the calling process the root of the tree, and end it with its parent.  Usable as ``preexec_fn``."""
        os.setsid()
        die_with_parent()
        if self._group is not None:
            (self._group / "cgroup.procs").write_text(str(os.getpid()))

    def grow_from(self, pid: int) -> None:
        """Set the root, which has called :meth:`enter`."""
        self._root = pid

    def pids(self) -> list[int]:
        """Its processes now; without a cgroup they are found by their session."""
        if self._group is not None:
            return [int(word) for word in (self._group / "cgroup.procs").read_text().split()]
        return [pid for pid, fields in _all_processes() if int(fields[3]) == self._root]

    def cpu(self) -> float:
        """Seconds of CPU that it used so far."""
        if self._group is not None:
            words = self._usage.read_text().split()
            return int(words[1] if words[0] == "usage_usec" else words[0]) * self._unit
        ticks = sum(
            sum(map(int, fields[11:15]))  # its own time, and that of the children that it waited for
            for _, fields in _all_processes()
            if int(fields[3]) == self._root
        )
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self, what: str = "Pss") -> int:
        """Its memory in KiB: the sum of PSS (private pages, and its share of the shared ones).

        The kernel's socket buffers are not included.

        :param what: another field of smaps_rollup.  ``Pss_Anon`` excludes pages of files, whose share depends on other
            processes.
        """
        total = 0
        for pid in self.pids():
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:  # gone meanwhile
                continue
            total += next((int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{what}:")), 0)
        return total

    def descriptors(self) -> int:
        """How many descriptors it has open."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):  # gone meanwhile
                total += sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        return total

    def pin(self, cpus: Collection[int]) -> None:
        """Restrict it to these processors."""
        for pid in self.pids():
            pin(pid, cpus)

    def end(self, deadline: float = 3.0) -> None:
        """End all processes: with SIGTERM, and after a time-out with SIGKILL."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self._living():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            give_up = time.monotonic() + deadline
            while self._living() and time.monotonic() < give_up:
                time.sleep(0.02)

    def remove(self) -> None:
        """Remove the cgroup once the processes have ended."""
        if self._group is not None and self._group.exists():
            self._group.rmdir()

    def _living(self) -> list[int]:
        if self._group is not None and not self._group.exists():
            return []
        return [pid for pid in self.pids() if _state(pid) not in "ZX"]


def pin(pid: int, cpus: Collection[int]) -> None:
    """Restrict a process with all its threads to these processors."""
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):  # gone meanwhile
            os.sched_setaffinity(int(task.name), cpus)


def _fields(pid: int | str) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on (proc(5)); None: no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None


def _state(pid: int) -> str:
    fields = _fields(pid)
    return fields[0] if fields else "X"


def _all_processes() -> Iterator[tuple[int, list[str]]]:
    for path in Path("/proc").glob("[0-9]*"):
        fields = _fields(path.name)
        if fields is not None:
            yield int(path.name), fields
