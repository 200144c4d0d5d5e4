"""A few threads, each with a libvirt connection of its own.

libvirt's calls block and have no time-out.  On a shared connection (libvirt 9.0.0), keepalive freed only one of three
hung calls, and closing the connection then crashed the process.
"""

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from novnc_twisted.compute.libvirt.errors import is_refused_call, reason_of, refusal_of
from novnc_twisted.compute.libvirt.health import CALLS, Health
from novnc_twisted.compute.libvirt.loop import close, open_connection, unusable
from novnc_twisted.errors import ServiceUnavailable

T = TypeVar("T")
H = TypeVar("H")

MAX_WAITING = 256
"""Maximum number of calls that run or wait for a thread; further calls fail at once."""

_CLOSING = 2.0

_log = Logger()


class _Worker:
    """A thread and its queue; None in the queue ends the thread.

    :ivar ending: whether the thread must end, and takes no further job.
    """

    def __init__(self) -> None:
        self.queue: SimpleQueue[_Job | None] = SimpleQueue()
        self.ending = False


class _Job:
    """One call.

    :ivar abandoned: whether the result is no longer wanted.  Set by the reactor, read by the thread.
    :ivar acted: whether the work may already have changed a domain, so that it must not be repeated.
    :ivar began: when the call was given to a thread; None: it waits.
    :ivar report: reports the outcome to Health.  Set by the thread, called by the reactor when it handles the result,
        so that each job wakes the reactor only once.
    """

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self.work = work
        self.report: Callable[[], object] = lambda: None
        self.result: Deferred[Any] = Deferred(self._cancelled)
        self.timer: IDelayedCall | None = None
        self.hung = False
        self.abandoned = False
        self.acted = False
        self.began: float | None = None

    def _cancelled(self, _result: Deferred[Any]) -> None:
        self.abandoned = True


class ConnectionPool:
    """Runs functions in threads, and gives each function the libvirt connection of its thread.

    :param reactor: IReactorTime and IReactorFromThreads.
    :param uri: libvirt's connection URI.
    :param workers: number of threads; each has at most one connection.
    :param deadline: seconds until a call fails.  The thread of a call that hangs is freed by libvirt's keepalive, or
        when libvirtd continues or ends.
    :param opened: called for each new connection before its first use, in the thread that uses it.
    :param health: is notified, in the reactor, of the outcome of calls.
    :ivar hung: the number of threads whose call has run for ``deadline`` seconds and has not returned.
    """

    def __init__(
        self,
        reactor: Any,
        uri: str,
        *,
        workers: int = 4,
        deadline: float = 4.0,
        opened: Callable[[], None] = lambda: None,
        health: Health | None = None,
    ) -> None:
        self._clock: IReactorTime = reactor
        self._threads: IReactorFromThreads = reactor
        self._uri = uri
        self._size = workers
        self._deadline = deadline
        self._opened = opened
        self._health = health or Health(reactor, uri)
        self._workers: set[_Worker] = set()
        # The worker that was used last is used first: it has a connection.  Other workers connect only if needed.
        self._idle: list[_Worker] = []
        self._waiting: deque[_Job] = deque()
        self._jobs: set[_Job] = set()
        self.hung = 0
        self._over: Deferred[None] | None = None  # what stop() returned; None: the pool was not stopped

    def start(self) -> None:
        """Make the threads; each connects when it is first needed."""
        self._over = None
        for number in range(self._size):
            worker = _Worker()
            self._workers.add(worker)
            self._idle.append(worker)
            # Daemon threads, because a thread that hangs in libvirt must not prevent the process from ending.
            threading.Thread(target=self._work, args=(worker,), name=f"libvirt-{number}", daemon=True).start()

    def stop(self) -> Deferred[None]:
        """Fail pending calls and close the connections; fires when that is done, or after 2 s if libvirt hangs."""
        over: Deferred[None] = Deferred()
        self._over = over
        for job in list(self._jobs):
            self._forget(job)
            job.abandoned = True
            if not job.result.called:
                job.result.errback(ServiceUnavailable("the libvirt driver is being stopped"))
        if not self._workers:
            over.callback(None)
            return over
        self._idle.clear()
        self._waiting.clear()
        for worker in self._workers:
            worker.ending = True
            worker.queue.put(None)
        timer = self._clock.callLater(_CLOSING, over.callback, None)

        def closed(_result: None) -> None:
            if timer.active():
                timer.cancel()

        return over.addCallback(closed)

    def run(self, work: Callable[[Any], T]) -> Deferred[T]:
        """Call ``work(connection)``, which only reads, in a thread.

        If the thread's connection ends during the call, ``work`` is called once more on a new connection.  There is
        no second call after the deadline or a cancellation, and none if the first connection was opened for this call.

        Fails with the Refusal for libvirt's error; with ServiceUnavailable after the deadline; and with
        ServiceUnavailable at once if every thread hangs, or if :data:`MAX_WAITING` calls run or wait.
        """
        return self._submit(_Job(work))

    def act(self, find: Callable[[Any], H], action: Callable[[H], T]) -> Deferred[T]:
        """Call ``action(find(connection))`` in a thread.  ``find`` only reads; ``action`` changes what was found.

        ``find`` may be called once more, like ``work`` in :meth:`run`.  ``action`` is called at most once, even if the
        connection ends, because libvirtd may already have received the request.  ``action`` does not begin after the
        deadline or a cancellation.  Fails like :meth:`run`.
        """

        def work(connection: Any) -> T | None:
            found = find(connection)
            if job.abandoned:
                return None
            job.acted = True
            return action(found)

        job = _Job(work)
        return self._submit(job)

    def _submit(self, job: _Job) -> Deferred[Any]:
        if self._over is not None or not self._workers:
            return fail(ServiceUnavailable("the libvirt driver is not started"))
        # If all threads hang, a call would only wait for its deadline, so fail at once.
        if self.hung >= self._size:
            return fail(ServiceUnavailable(f"libvirt at {self._uri} hangs"))
        if len(self._jobs) >= MAX_WAITING:
            return fail(ServiceUnavailable(f"libvirt at {self._uri} is too slow: {MAX_WAITING} calls run or wait"))
        self._jobs.add(job)
        if self._idle:
            self._give(self._idle.pop(), job)
        else:
            self._waiting.append(job)
        # The timer is not stopped when the caller cancels the Deferred, so that a thread that hangs is counted.
        job.timer = self._clock.callLater(self._deadline, self._late, job)
        return job.result

    def _give(self, worker: _Worker, job: _Job) -> None:
        job.began = self._clock.seconds()
        worker.queue.put(job)

    def _late(self, job: _Job) -> None:
        job.abandoned = True
        reason = f"a call was not answered within {self._deadline:g} s"
        left = 0.0 if job.began is None else job.began + self._deadline - self._clock.seconds()
        if left > 0:
            # The call began late, because it waited for a thread.  Check again when it has run for the whole deadline.
            job.timer = self._clock.callLater(left, self._late, job)
        else:
            self._jobs.discard(job)
            if job.began is not None:
                job.hung = True
                self.hung += 1
                self._health.trouble(CALLS, reason)
        if not job.result.called:
            job.result.errback(ServiceUnavailable(f"libvirt at {self._uri}: {reason}"))

    def _done(self, worker: _Worker, job: _Job, result: Any) -> None:
        """Handle the end of a worker's job in the reactor, and give the worker the next job."""
        self._forget(job)
        # If the thread hung, its call has returned now, so the thread can work again.
        if job.hung:
            self.hung -= 1
        if not worker.ending:
            if self._waiting:
                self._give(worker, self._waiting.popleft())
            else:
                self._idle.append(worker)
        try:
            # Called after the worker became idle or got its next job: if this report ends an outage, the driver's
            # listener may call run() at once.
            job.report()
        except Exception:
            _log.failure("an observer of libvirt's health failed")
        if not job.result.called:
            job.result.callback(result)

    def _forget(self, job: _Job) -> None:
        self._jobs.discard(job)
        if job.timer is not None and job.timer.active():
            job.timer.cancel()

    def _work(self, worker: _Worker) -> None:
        connection = None
        while (job := worker.queue.get()) is not None:
            result: Any = None
            if not job.abandoned:
                try:
                    connection, result = self._attempt(connection, job)
                except BaseException:
                    # Catch everything: an exception would end the thread, and the caller would get no result.
                    result = Failure()
            self._threads.callFromThread(self._done, worker, job, result)
        if connection is not None:
            close(connection)
        self._threads.callFromThread(self._ended, worker)

    def _attempt(self, connection: Any, job: _Job) -> tuple[Any, Any]:
        """Return the connection to use from now on, and the result of the job's work."""
        # libvirtd may have been restarted since the last call, so check the connection before using it.
        if connection is not None and unusable(connection):
            close(connection)
            connection = None
        fresh = connection is None
        try:
            if connection is None:
                connection = open_connection(self._uri)
                self._opened()
            # Opening the connection may have taken longer than the deadline.
            result = None if job.abandoned else job.work(connection)
        except Exception as error:
            failure = Failure(refusal_of(error, self._uri))
            if connection is None:
                reason = reason_of(error) if is_refused_call(error) else type(error).__name__
                job.report = partial(self._health.trouble, CALLS, reason)
                return None, failure
            if not unusable(connection):
                if is_refused_call(error):
                    job.report = partial(self._health.refused, reason_of(error))
                return connection, failure
        else:
            job.report = partial(self._health.well, CALLS)
            return connection, result
        close(connection)
        # The connection ended during the call, for example because libvirtd was restarted.  Repeat the call on a new
        # connection, unless the old one was opened for this call, or the work may already have changed a domain.
        # Abandoned work is not repeated, but a new connection shows Health that libvirt answers again.
        return self._attempt(None, job) if job.abandoned or not (fresh or job.acted) else (None, failure)

    def _ended(self, worker: _Worker) -> None:
        self._workers.discard(worker)
        if not self._workers and self._over is not None and not self._over.called:
            self._over.callback(None)
