"""Two processes, each of which cleans up when the other one is killed.

The demo works in the second process.  The first process waits for the second one, passes signals on, and reaps
processes whose parents have ended.  Otherwise, libvirt would wait 40 s for a QEMU that it has ended and that no process
reaps.  This happens in containers whose process 1 does not reap.
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

    Suitable for ``preexec_fn``.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def run_guarded(prepare: Callable[[], tuple[Callable[[], int], Callable[[], object]]]) -> int:
    """Run the work in its own process, and leave nothing behind, whichever of the two is killed.

    :param prepare: returns the work and the clean-up.  No signal interrupts ``prepare``, so it can create the first
        thing that must be cleaned up, and set signal handlers.  The work begins with STOP_SIGNALS blocked; it must
        unblock them, and at SIGTERM clean up and end.  The clean-up is called afterwards in any case, because the work
        may have been killed.  So the clean-up must do no harm if everything is clean already.
    :return: the work's exit code, or 128 plus the number of the signal that killed the work.
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
    _reap()
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _work(work: Callable[[], int], parent: int) -> None:
    """Run the second process; this function never returns."""
    status = 1
    try:
        os.setsid()  # Ctrl-C in a terminal is for the first process, which passes it on
        die_with_parent(signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        if os.getppid() == parent:  # otherwise the first process was killed before the request
            status = work()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _guard(worker: int) -> int:
    """Run the first process: wait for the second one, and return its status."""
    while True:
        number = signal.sigwait({*STOP_SIGNALS, signal.SIGCHLD})
        if number != signal.SIGCHLD:
            os.kill(worker, signal.SIGTERM)
            continue
        for pid, status in _reap():
            if pid == worker:
                return status


def _reap() -> list[tuple[int, int]]:
    """Reap every child that has ended, and return their ids and statuses."""
    ended = []
    try:
        while (one := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            ended.append(one)
    except ChildProcessError:  # no child is left
        pass
    return ended
