"""The metrics and the readiness of several workers together."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, gatherResults
from twisted.logger import Logger

from novnc_twisted.errors import WorkerLost
from novnc_twisted.messaging.shared_call import SharedCall
from novnc_twisted.service.worker_process import WorkerProcess

if TYPE_CHECKING:
    from novnc_twisted.monitoring import Status
    from novnc_twisted.service.lost_sessions import LostSessions

DEADLINE = 2.0
"""Seconds to wait for the answer of a worker.  The worker's own checks take at most 1.5 s."""


class WorkersStatus:
    """Asks all workers for their status, and adds up the answers.

    :param reactor: IReactorTime.
    :param workers: the workers that run, by their numbers.
    :param lost: counts the sessions of workers that were killed; None: they are not counted.
    :ivar stopping: whether the service (the supervisor with its workers) is being stopped.
    """

    log = Logger()

    def __init__(self, reactor: Any, workers: Mapping[int, WorkerProcess], lost: "LostSessions | None" = None) -> None:
        from novnc_twisted.monitoring import Totals

        self._reactor = reactor
        self._workers = workers
        self._lost = lost
        self.stopping = False
        self._totals = Totals()
        self._shared = SharedCall(lambda: Deferred.fromCoroutine(self._ask_all()), joins=True)

    def ended(self, number: int) -> None:
        """Record that a worker has ended.  The sums keep its counters."""
        self._totals.ended(number)

    def status(self) -> "Deferred[Status]":
        """Return the status of all workers together, after at most :data:`DEADLINE` seconds.

        The service (the supervisor with its workers) is ready if at least one worker is ready: while other workers are
        being started, the ready ones accept all connections.
        """
        return self._shared()

    async def _ask_all(self) -> "Status":
        from novnc_twisted.monitoring import Status, worker_samples

        workers = dict(self._workers)
        asked = [Deferred.fromCoroutine(self._ask(worker)) for worker in workers.values()]
        answers = dict(zip(workers, await gatherResults(asked), strict=True))
        states = [one for one in answers.values() if one is not None]
        samples = {number: None if one is None else one.samples for number, one in answers.items()}
        total = self._totals.add(samples)
        if self._lost is not None:
            # The supervisor counts the sessions of killed workers, because these workers cannot count them.
            total["novnc_sessions_ended_total", (("cause", WorkerLost.__name__),)] = float(self._lost.count)
        total |= worker_samples(len(states), len(answers) - len(states))
        if any(one.ready for one in states):
            return Status(state="running", samples=total)
        state = states[0].state if states else "stopping" if self.stopping else "starting"
        return Status(
            state=state, missing={part: why for one in states for part, why in one.missing.items()}, samples=total
        )

    async def _ask(self, worker: WorkerProcess) -> "Status | None":
        from novnc_twisted.monitoring import Status

        try:
            answer = await worker.ask_status().addTimeout(DEADLINE, self._reactor)
            return None if answer is None else Status.from_json(answer)
        except (TimeoutError, CancelledError):
            return None
        except ValueError as error:
            self.log.error("{error}", error=error)
            return None
