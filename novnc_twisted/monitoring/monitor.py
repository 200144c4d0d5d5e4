"""The metrics and the readiness of one process."""

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from novnc_twisted.messaging.interfaces import ITransport
from novnc_twisted.messaging.observed import ObservedTransport
from novnc_twisted.messaging.shared_call import SharedCall
from novnc_twisted.monitoring.definitions import PARTS
from novnc_twisted.monitoring.metrics import Metrics
from novnc_twisted.monitoring.readiness import Readiness
from novnc_twisted.monitoring.status import Status
from novnc_twisted.monitoring.totals import worker_samples


class Monitor:
    """The metrics and the readiness of one process.

    :param clock: IReactorTime.
    :ivar metrics: an observer of events.
    :ivar readiness: the parts that the process needs.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self.metrics = Metrics()
        self.readiness = Readiness(clock)
        # Requests that arrive during a check get the result of this check.  They do not wait for a check of their own:
        # that would take too long for most probers.
        self._shared = SharedCall(lambda: Deferred.fromCoroutine(self._ask()), joins=True)

    def measured(self, transport: ITransport) -> ITransport:
        """Return a transport whose calls are counted."""
        measured: ITransport = ObservedTransport(transport, self._clock, self.metrics.called)
        return measured

    def status(self) -> Deferred[Status]:
        """Return the status of this process, after at most 1.5 s (``readiness.DEADLINE``)."""
        return self._shared()

    async def _ask(self) -> Status:
        missing = await self.readiness.missing()
        samples = self.metrics.samples() | worker_samples(1, 0)
        for part in PARTS:
            samples["novnc_missing", (("part", part),)] = float(part in missing)
        return Status(state=self.readiness.state, missing=missing, samples=samples)
