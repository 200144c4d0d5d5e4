"""Who tidies up when the demo itself cannot: it may be killed with SIGKILL at any moment."""

import contextlib
import ctypes
import os
import signal
from collections.abc import Callable, Iterator

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(signal_number: int = signal.SIGKILL) -> None:
    """Ask the kernel (prctl(2)) to send this process a signal when the process that started it ends.

    Fit for ``preexec_fn``.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Nothing inside is interrupted by a signal that ends the demo; it arrives at the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def guarded(tidy: Callable[[], object]) -> Iterator[None]:
    """While inside, a process of its own waits for the end of ours, and then calls ``tidy``.

    :param tidy: leaves nothing behind, however far we came; must do no harm after it was called by ourselves.
    """
    read_end, write_end = os.pipe()  # not inherited by programs; when we end, in whatever way, the kernel closes ours
    with signals_held():
        pid = os.fork()
        if pid == 0:
            _guard(read_end, write_end, tidy)
    os.close(read_end)
    try:
        yield
    finally:
        os.close(write_end)
        os.waitpid(pid, 0)


def _guard(read_end: int, write_end: int, tidy: Callable[[], object]) -> None:
    """The guarding process: it never returns."""
    status = 1
    try:
        os.setsid()  # Ctrl-C is not for it
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):  # nobody who reads our output shall wait for it
            os.dup2(null, descriptor)
        os.close(write_end)
        os.read(read_end, 1)
        tidy()
        status = 0
    finally:
        os._exit(status)
