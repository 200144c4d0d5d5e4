"""Hedged calls: a call that gets no answer soon, or fails with ServiceUnavailable, is repeated.

The reason is that the server that took the call may have died.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from novnc_twisted.errors import Refusal, ServiceUnavailable
from novnc_twisted.messaging.interfaces import ITransport

AFTER = 1.0
"""Seconds without an answer after which the first call is repeated.

A repetition without an answer causes no further repetition.  After a ServiceUnavailable, both the first call and
repetitions are repeated (:data:`PAUSE`).
"""

SHARE = 0.1
"""Number of repetitions that a hedged call may cause on average.  More repetitions would make an overload worse.

Each hedged call adds this number to a budget, and each repetition takes 1 from the budget.
"""

MOST = 100.0
"""Maximum number of repetitions in the budget, which is full at first."""

PAUSE = 0.25
"""Seconds from a ServiceUnavailable to the repetition.  A short interruption of the bus may be over by then."""

MAX_CALLS = 4
"""Maximum number of calls that one hedged call makes, including the first."""


class HedgedCalls:
    """Makes hedged calls to a topic with several servers.  Only for methods that may run more than once.

    When a server is killed or hangs, the calls that it has taken from the queue are lost.  When the primary Redis dies,
    all pending calls are lost.  If several calls get a result, the first result is used.

    :param inconclusive: classes of refusals.  If a call fails with one of them, the hedged call still waits for its
        other pending calls.
    """

    def __init__(
        self,
        transport: ITransport,
        clock: IReactorTime,
        *,
        inconclusive: tuple[type[Refusal], ...] = (ServiceUnavailable,),
    ) -> None:
        self.transport = transport
        self.clock = clock
        self.inconclusive = inconclusive
        self._budget = MOST

    def call(self, topic: str, method: str, /, *, deadline: float, **arguments: Any) -> Deferred[Any]:
        """See ITransport.call; but the method may run up to :data:`MAX_CALLS` times.

        ``deadline`` limits the first call and its repetitions together.
        """
        self._budget = min(MOST, self._budget + SHARE)
        return _Hedged(self, topic, method, deadline, arguments).result

    def take(self) -> bool:
        """Take one repetition from the budget; return False if the budget is used up."""
        if self._budget < 1:
            return False
        self._budget -= 1
        return True


class _Hedged:
    """One hedged call: its result, and the calls that were made to get it."""

    def __init__(self, calls: HedgedCalls, topic: str, method: str, deadline: float, arguments: dict[str, Any]) -> None:
        self.result: Deferred[Any] = Deferred(lambda _: self._end())
        self._calls, self._topic, self._method, self._arguments = calls, topic, method, arguments
        self._until = calls.clock.seconds() + deadline
        self._made = 0
        self._pending: set[Deferred[Any]] = set()
        self._failure: Failure | None = None
        self._over = False
        self._timer: IDelayedCall | None = None
        self._wait(AFTER)
        self._call()

    def _wait(self, seconds: float) -> bool:
        """Schedule the next repetition, in place of one that is already scheduled.

        Return False if the deadline or MAX_CALLS does not permit another repetition.
        """
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        due = self._made < MAX_CALLS and self._calls.clock.seconds() + seconds < self._until
        if due:
            self._timer = self._calls.clock.callLater(seconds, self._again)
        return due

    def _again(self) -> None:
        self._timer = None
        if self._calls.take():
            self._call()
        elif not self._pending:
            self._fail()

    def _call(self) -> None:
        self._made += 1
        left = self._until - self._calls.clock.seconds()
        call = self._calls.transport.call(self._topic, self._method, deadline=left, **self._arguments)
        self._pending.add(call)
        call.addCallbacks(self._answered, self._failed, callbackArgs=(call,), errbackArgs=(call,))

    def _answered(self, answer: Any, call: Deferred[Any]) -> None:
        self._pending.discard(call)
        if not self._over:
            self._end()
            self.result.callback(answer)

    def _failed(self, failure: Failure, call: Deferred[Any]) -> None:
        self._pending.discard(call)
        if self._over:
            return
        # Keep the first failure that is not a ServiceUnavailable, because it explains more.
        if self._failure is None or self._failure.check(ServiceUnavailable):
            self._failure = failure
        # A repetition is scheduled even if another call is pending, because that call may never be answered.
        repeats = failure.check(ServiceUnavailable) is not None and self._wait(PAUSE)
        waits = bool(self._pending) and failure.check(*self._calls.inconclusive) is not None
        if not repeats and not waits:
            self._fail()

    def _fail(self) -> None:
        self._end()
        self.result.errback(self._failure)

    def _end(self) -> None:
        self._over = True
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        for call in list(self._pending):
            call.cancel()
