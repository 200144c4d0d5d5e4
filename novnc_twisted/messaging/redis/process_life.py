"""Names of processes.  Another process on the same machine can check by the name whether the named process has ended.

Without this check, a restarted service with an exclusive topic (only one process may serve it) would have to wait until
the presence entry of its killed predecessor has expired.
"""

import os
import re
from hashlib import sha256
from pathlib import Path

PROC = Path("/proc")

_STATE, _START = 0, 19
"""Positions of the state and the start time in /proc/PID/stat after the program's name (proc(5), fields 3 and 22)."""


def life() -> str:
    """Return the name of this process: machine, process id, time of its start; empty if /proc cannot be read."""
    pid = os.getpid()
    machine, start = _machine(), _start(pid)
    return f"{machine}.{pid}.{start}" if machine and start else ""


def has_ended(name: str) -> bool:
    """Return whether the process with this name ran on this machine and has ended; False if that is not certain."""
    machine, _, rest = name.partition(".")
    pid, _, start = rest.partition(".")
    # A peer wrote the name.  More than 9 digits are not a process id, and could make os.kill() or int() raise an error.
    if not (machine and start and re.fullmatch("[0-9]{1,9}", pid)) or machine != _machine():
        return False
    found = _start(int(pid))
    if not found and _of_another_user(int(pid)):
        return False  # /proc hides the processes of other users (hidepid)
    # If the start time differs, a later process has the same id.
    return found != start


def _machine() -> str:
    """Return a hash of this machine's boot id and namespace of process ids; empty if they cannot be read."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text()
        namespace = (PROC / "self/ns/pid").readlink()
    except OSError:
        return ""
    return sha256(f"{boot} {namespace}".encode()).hexdigest()[:16]


def _of_another_user(pid: int) -> bool:
    """Return whether another user has a process with this id."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        pass
    return False


def _start(pid: int) -> str:
    """Return when a process was started, in clock ticks since the boot; empty if it has ended or /proc hides it."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    # A zombie has ended, although nobody has collected its exit code.
    return "" if len(fields) <= _START or fields[_STATE] in "ZX" else fields[_START]
