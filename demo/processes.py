"""The processes of a private libvirtd: found by its folder, and ended."""

import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

_PROGRAMS = (b"qemu", b"kvm", b"libvirtd", b"virtlogd")


def find(root: Path, also: str = "") -> Iterator[int]:
    """Return the ids of the processes with a folder in their command line.

    Programs other than libvirtd, virtlogd and QEMU are left out, for example one that reads the log in this folder.

    :param also: a further text that the command line must contain.
    """
    mark = f"{root}/".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            program = command.split(b"\0", 1)[0].rpartition(b"/")[2]
            if program.startswith(_PROGRAMS) and mark in command and also.encode() in command:
                yield int(entry.name)


def end(pid: int, timeout: float = 5.0) -> None:
    """Kill one process and wait until it is gone, for at most ``timeout`` seconds.

    A handle (pidfd) cannot refer to another process, as a reused process id could.
    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        select.select([handle], [], [], timeout)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)
