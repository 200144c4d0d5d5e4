"""The shutdown of a process, in phases: sessions end before the services that they need."""

import math
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, DeferredList, FirstError, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

Step = Callable[[], Any]
"""Ends something.  If that takes time, it returns a Deferred or a coroutine, which finishes when it is done."""


class Phase(IntEnum):
    """The phases, in their order.  All steps of a phase run side by side."""

    STOP_ACCEPTING = 1
    """Close the listening sockets, and the connections that are no session.

    With a drain, requests that are being answered are finished."""

    LEAVE_PRESENCE = 2
    """Disappear from the list of services, so that nothing new is sent here."""

    WAIT_FOR_SESSIONS = 3
    """Let sessions go on, for ``drain`` seconds at most; those being set up may become live."""

    END_SESSIONS = 4
    """Close the remaining sessions, with close code 1001."""

    STOP_SERVICES = 5
    """Stop answering other services.  Until this phase, a session can call a consoleauth in the same process."""

    DISCONNECT = 6
    """Disconnect from the bus."""


SECONDS: Final = {
    Phase.STOP_ACCEPTING: 0.1,
    Phase.LEAVE_PRESENCE: 0.2,
    Phase.END_SESSIONS: 3.1,  # a viewer has 1 s to read the reason, and 2 s to close
    Phase.STOP_SERVICES: 0.2,
    Phase.DISCONNECT: 0.4,
}
"""How long each phase may take; what it does not use is left to the phases after it.

Their sum is 4 s, and the process is gone within 5 s of SIGTERM, also when Redis or libvirt does not answer.
"""


class Shutdown:
    """Collects the steps while services start, and takes them in the order of the phases.

    A step that exceeds its phase's time does not delay the next phase.  The step goes on during later phases, and is
    cancelled when all phases are over.  A step that fails is logged, and nothing else depends on it.

    :ivar drain: seconds that sessions may go on; may change until the shutdown begins.
    :ivar replaced: whether another process accepts on the same sockets now.  Then connections that this process has
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
        """Take these steps in this phase."""
        self._steps[phase] += steps

    def wait_at_most(self, seconds: float) -> None:
        """Let sessions go on for so many seconds from now, also if the shutdown waits for them already."""
        self.drain = seconds
        if self._limit is not None:
            self._limit.reset(seconds)

    async def run(self) -> None:
        """Take all steps; returns when they are done or their time is over."""
        end = self._clock.seconds()
        unfinished: list[Deferred[None]] = []
        for phase in Phase:
            if phase is Phase.WAIT_FOR_SESSIONS:
                begin = self._clock.seconds()
                if self.drain:
                    self._limit = _Limit(self._clock, self.drain)
                    unfinished += await self._take(phase, self._limit)
                    self._limit = None
                end += self._clock.seconds() - begin
            else:
                end += SECONDS[phase]
                unfinished += await self._take(phase, _Limit(self._clock, end - self._clock.seconds()))
        for step in unfinished:
            step.cancel()

    async def _take(self, phase: Phase, limit: "_Limit") -> list[Deferred[None]]:
        """Take the steps of a phase, and wait for them until the limit; returns those that are not done then."""
        steps = [Deferred.fromCoroutine(self._run(step)) for step in self._steps[phase]]
        DeferredList(steps).addCallback(lambda _: limit.end())
        await limit.over
        return [step for step in steps if not step.called]

    async def _run(self, step: Step) -> None:
        try:
            await maybeDeferred(step)
        except Exception as error:
            # A step that waits for several things at once passes its cancellation on as FirstError.
            cause: BaseException | None = error
            while isinstance(cause, FirstError):
                cause = cause.subFailure.value
            if isinstance(cause, CancelledError):
                self.log.info("A part of the service waits for a peer that does not answer; it is left behind")
            else:
                self.log.failure("A part of the service could not stop")


class _Limit:
    """The time of a phase.

    :ivar over: fires when the time is over, or at :meth:`end`.
    """

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self._clock = clock
        self._timer: IDelayedCall | None = None
        self.over: Deferred[None] = Deferred()
        self.reset(seconds)

    def reset(self, seconds: float) -> None:
        """Let the time be over in so many seconds; infinity: never."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if not self.over.called and seconds < math.inf:
            self._timer = self._clock.callLater(max(0.0, seconds), self.over.callback, None)

    def end(self) -> None:
        """End now."""
        self.reset(math.inf)
        if not self.over.called:
            self.over.callback(None)
