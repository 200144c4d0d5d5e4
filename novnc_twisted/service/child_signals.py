"""Protects child processes from SIGUSR2 until they have installed a handler for it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_sigusr2() -> Iterator[None]:
    """Block SIGUSR2 in the processes that are started in this context.

    ``systemctl kill --signal=USR2`` sends SIGUSR2 to all processes of a unit.  The signal would end a process that has
    not installed a handler yet.  Ignoring the signal is not sufficient, because Twisted resets ignored signals in child
    processes.

    In the new process of a take-over, ``CommandService`` unblocks the signal when it has installed the handler.  A
    worker ignores the signal, and leaves it blocked.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
