"""The metrics and the readiness of several workers together."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, gatherResults
from twisted.logger import Logger

from novnc_twisted.messaging.shared_call import SharedCall
from novnc_twisted.service.worker_process import WorkerProcess

if TYPE_CHECKING:
    from novnc_twisted.monitoring import Status

DEADLINE = 2.0
"""Seconds that a worker has to answer; what it asks itself takes 1.5 s at most."""


class WorkersStatus:
    """Asks all workers for their status, and adds up what they answer.

    :param reactor: IReactorTime.
    :param workers: the workers that live, by their numbers.
    """

    log = Logger()

    def __init__(self, reactor: Any, workers: Mapping[int, WorkerProcess]) -> None:
        from novnc_twisted.monitoring import Totals

        self._reactor = reactor
        self._workers = workers
        self._totals = Totals()
        self._shared = SharedCall(lambda: Deferred.fromCoroutine(self._ask_all()))

    def ended(self, number: int) -> None:
        """Note that a worker has ended."""
        self._totals.ended(number)

    def status(self) -> "Deferred[Status]":
        """Return the status of the command.

        It is ready if one of its workers is: that one gets the connections.
        """
        return self._shared()

    async def _ask_all(self) -> "Status":
        from novnc_twisted.monitoring import Status

        workers = dict(self._workers)
        asked = [Deferred.fromCoroutine(self._ask(worker)) for worker in workers.values()]
        answers = dict(zip(workers, await gatherResults(asked), strict=True))
        total = self._totals.add({number: one and one.samples for number, one in answers.items()})
        states = [one for one in answers.values() if one is not None]
        if any(one.ready for one in states):
            return Status(state="running", samples=total)
        state = states[0].state if states else "starting"
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
