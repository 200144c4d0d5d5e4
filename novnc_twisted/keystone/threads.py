"""Runs blocking calls in a few threads, so that the reactor never waits for them."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from novnc_twisted.errors import ServiceUnavailable

T = TypeVar("T")

MAX_PENDING: Final = 256
"""Maximum number of calls that run or wait; a further call fails at once."""


class _DaemonThreads(ThreadPool):
    """A thread pool that does not keep the process alive, even if a thread waits for a hanging peer."""

    threadFactory = partial(threading.Thread, daemon=True)  # type: ignore[assignment]


class ThreadedCalls:
    """Runs blocking calls in threads.

    :param reactor: IReactorFromThreads.
    :param name: the name of the called service, for the names of the threads and for errors.
    :param threads: maximum number of concurrent calls.
    """

    def __init__(self, reactor: Any, name: str, threads: int = 8) -> None:
        self._reactor = reactor
        self._name = name
        self._threads = threads
        self._pool: _DaemonThreads | None = None
        self._pending = 0

    def start(self) -> None:
        """Begin to accept calls; threads are made when they are needed."""
        self._pool = _DaemonThreads(0, self._threads, self._name)
        self._pool.start()

    def stop(self) -> None:
        """Accept no further call.  Calls that wait are still made, unless the process ends first."""
        pool, self._pool = self._pool, None
        if pool is not None:
            threading.Thread(target=pool.stop, daemon=True).start()  # stop() waits for the calls

    def run(self, call: Callable[[], T]) -> "Deferred[T]":
        """Run a call in a thread.

        Fails with the error that the call raises.  Fails with ServiceUnavailable before :meth:`start`, after
        :meth:`stop`, and if :data:`MAX_PENDING` calls run or wait.  If the Deferred is cancelled, it fails at once.  A
        call that has not begun by then is dropped; a running call ends by itself.
        """
        if self._pool is None:
            return fail(ServiceUnavailable(f"the requests to {self._name} are stopped"))
        if self._pending >= MAX_PENDING:
            return fail(ServiceUnavailable(f"{self._name} is too slow: {MAX_PENDING} requests run or wait"))
        self._pending += 1
        abandoned = threading.Event()
        result: Deferred[T] = Deferred(lambda _: abandoned.set())

        def begin() -> T | None:
            return None if abandoned.is_set() else call()

        def ended(success: bool, outcome: Any) -> None:
            # A cancelled call is also counted until here, because it was in the queue or held a thread.
            self._pending -= 1
            if abandoned.is_set():
                return
            if success:
                result.callback(outcome)
            else:
                result.errback(outcome if isinstance(outcome, Failure) else Failure(outcome))

        self._pool.callInThreadWithCallback(
            lambda success, outcome: self._reactor.callFromThread(ended, success, outcome), begin
        )
        return result
