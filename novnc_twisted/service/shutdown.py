"""The shutdown of a process in phases, so that sessions end before the services that they need."""

import math
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, DeferredList, FirstError, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

Step = Callable[[], Any]
"""Stops one part of the process, or waits until something has ended.

A step that takes time returns a Deferred or a coroutine.
"""


class Phase(IntEnum):
    """The phases, in their order.  All steps of a phase run at the same time."""

    STOP_ACCEPTING = 1
    """Close the listening sockets, and the connections without a session.

    A connection whose request is being answered is closed after the response.  But if no session goes on during the
    shutdown (``Shutdown.drain`` is 0), a proxy closes such a connection at once, because the request could still begin
    a session.
    After a take-over (``Shutdown.replaced``), a connection that has not sent a request yet stays open for its first
    request, which only this process can answer."""

    LEAVE_PRESENCE = 2
    """Remove the proxies of this process from the list of services.

    After a take-over, also stop consoleauth and consolecompute, so that this process answers no calls to them."""

    WAIT_FOR_SESSIONS = 3
    """Let sessions go on for at most ``drain`` seconds.  Sessions that are being set up may become live.

    If ``drain`` is 0, this phase is skipped."""

    END_SESSIONS = 4
    """Close the remaining sessions, with close code 1001."""

    STOP_SERVICES = 5
    """Stop the services.  They stop after the sessions, because sessions may call a consoleauth in the same process."""

    DISCONNECT = 6
    """Disconnect from the bus."""


SECONDS: Final = {
    Phase.STOP_ACCEPTING: 0.1,
    Phase.LEAVE_PRESENCE: 0.2,
    Phase.END_SESSIONS: 3.1,  # a viewer has 1 s to read the reason, and 2 s to close
    Phase.STOP_SERVICES: 0.2,
    Phase.DISCONNECT: 0.4,
}
"""Seconds for each phase.  A phase may also use the time that earlier phases did not need.

The sum is 4 s, so that the process ends within 5 s after SIGTERM even if Redis or libvirt does not answer.  The time of
WAIT_FOR_SESSIONS, at most ``drain`` seconds, comes in addition to this sum.
"""


class Shutdown:
    """Collects steps while services start, and runs them in the order of their phases.

    A step that takes longer than its phase does not delay the next phase.  It continues during later phases, and is
    cancelled when all phases are over.  The failure of a step is logged, and does not affect other steps.

    :ivar drain: seconds for which sessions may go on.  Set it only before the shutdown begins; later, call
        :meth:`wait_at_most`.
    :ivar replaced: whether another process now accepts on the same sockets.  If so, connections that this process has
        accepted may still become sessions.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, *, drain: float = 0.0) -> None:
        """:param drain: see the attribute."""
        self._clock = clock
        self.drain = drain
        self.replaced = False
        self._limit: _Limit | None = None
        self._steps: dict[Phase, list[Step]] = {phase: [] for phase in Phase}

    def add(self, phase: Phase, *steps: Step) -> None:
        """Add steps to a phase."""
        self._steps[phase] += steps

    def wait_at_most(self, seconds: float) -> None:
        """Let sessions go on for this many seconds; infinity: until they end.

        If the shutdown already waits for sessions, the time begins now; otherwise, when that wait begins.
        """
        self.drain = seconds
        if self._limit is not None:
            self._limit.reset(seconds)

    async def run(self) -> None:
        """Run all steps; return when they are done or their time is over."""
        end = self._clock.seconds()
        unfinished: list[Deferred[None]] = []
        for phase in Phase:
            if phase is Phase.WAIT_FOR_SESSIONS:
                if self.drain:
                    begin = self._clock.seconds()
                    limit = self._limit = _Limit(self._clock, self.drain)
                    unfinished += await self._run_phase(phase, limit)
                    self._limit = None
                    # On a busy machine, the timer may be late.  This delay is not added to ``end``, so that the
                    # process still ends in time.  The later phases get less time instead.  If the sessions ended before
                    # the limit, ``ends_at`` is infinity, and min() returns the present time.
                    end += min(self._clock.seconds(), limit.ends_at) - begin
            else:
                end += SECONDS[phase]
                unfinished += await self._run_phase(phase, _Limit(self._clock, end - self._clock.seconds()))
        for step in unfinished:
            step.cancel()

    async def _run_phase(self, phase: Phase, limit: "_Limit") -> list[Deferred[None]]:
        """Run the steps of a phase, and wait for them until the limit; return the unfinished steps."""
        steps = [Deferred.fromCoroutine(self._run(step)) for step in self._steps[phase]]
        DeferredList(steps).addCallback(lambda _: limit.end())
        await limit.over
        return [step for step in steps if not step.called]

    async def _run(self, step: Step) -> None:
        try:
            await maybeDeferred(step)
        except Exception as error:
            # A cancelled step that waits for several Deferreds at once raises FirstError, not CancelledError.
            cause: BaseException | None = error
            while isinstance(cause, FirstError):
                cause = cause.subFailure.value
            if isinstance(cause, CancelledError):
                self.log.info("a part of the service did not stop in time; the shutdown does not wait any longer")
            else:
                self.log.failure("a part of the service could not be stopped; the shutdown goes on")


class _Limit:
    """The time limit of a phase; :meth:`reset` changes the limit.

    :ivar over: fires when the time is over, or at :meth:`end`.
    :ivar ends_at: when the time is over, in seconds of the clock; infinity: no limit, or :meth:`end` was called.
    """

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self._clock = clock
        self._timer: IDelayedCall | None = None
        self.over: Deferred[None] = Deferred()
        self.reset(seconds)

    def reset(self, seconds: float) -> None:
        """Let the time end this many seconds from now; infinity: never."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self.ends_at = self._clock.seconds() + seconds
        if not self.over.called and seconds < math.inf:
            self._timer = self._clock.callLater(max(0.0, seconds), self.over.callback, None)

    def end(self) -> None:
        """Let ``over`` fire now, and cancel the timer."""
        self.reset(math.inf)
        if not self.over.called:
            self.over.callback(None)
