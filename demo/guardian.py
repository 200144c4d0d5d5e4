"""Two processes, each of which tidies up when the other is killed; and the first buries whoever is left alone.

The demo works in the second one.  The first waits for it, passes signals on, and takes note of the end of processes
that their parents left behind: libvirt waits 40 s for a QEMU that it ended and that nobody took note of, as happens in
containers whose process 1 does not care.
"""

import ctypes
import os
import signal
import traceback
from collections.abc import Callable

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(signal_number: int = signal.SIGKILL) -> None:
    """Ask the kernel (prctl(2)) to send this process a signal when the process that started it ends.

    Fit for ``preexec_fn``.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def run_guarded(prepare: Callable[[], tuple[Callable[[], int], Callable[[], object]]]) -> int:
    """Run the work in a process of its own, and leave nothing behind, whichever of the two is killed.

    :param prepare: gives the work and the tidying up.  No signal interrupts it, so it is the place to make the first
        thing that must be tidied up, and to set handlers of signals.  The work begins with STOP_SIGNALS blocked, and
        unblocks them; it is told to end by SIGTERM, and tidies up itself.  The tidying up is for when it could not,
        and does no harm where it did.
    :return: the work's exit code.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {*STOP_SIGNALS, signal.SIGCHLD})
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    work, tidy = prepare()
    parent = os.getpid()
    worker = os.fork()
    if worker == 0:
        _work(work, parent)
    status = _guard(worker)
    tidy()
    _bury()
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _work(work: Callable[[], int], parent: int) -> None:
    """The second process: it never returns."""
    status = 1
    try:
        os.setsid()  # Ctrl-C in a terminal is for the first process, which passes it on
        die_with_parent(signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        if os.getppid() == parent:  # else it was killed before we could ask
            status = work()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _guard(worker: int) -> int:
    """The first process: it waits for the second one's end; gives its status."""
    while True:
        number = signal.sigwait({*STOP_SIGNALS, signal.SIGCHLD})
        if number != signal.SIGCHLD:
            os.kill(worker, signal.SIGTERM)
            continue
        for pid, status in _bury():
            if pid == worker:
                return status


def _bury() -> list[tuple[int, int]]:
    """Take note of every child that has ended; gives their ids and statuses."""
    ended = []
    try:
        while (one := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            ended.append(one)
    except ChildProcessError:  # none is left
        pass
    return ended
