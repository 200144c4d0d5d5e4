"""The shutdown of a process, in phases: sessions end before the services that they need."""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, DeferredList, FirstError, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

Step = Callable[[], Any]
"""Ends something.  If that takes time, it returns a Deferred or a coroutine, which finishes when it is done."""


class Phase(IntEnum):
    """The phases, in their order.  All steps of a phase run side by side."""

    STOP_ACCEPTING = 1
    """Close the listening sockets, and the connections that are no session."""

    LEAVE_PRESENCE = 2
    """Disappear from the list of services, so that nothing new is sent here."""

    WAIT_FOR_SESSIONS = 3
    """Let live sessions go on, for ``drain`` seconds at most."""

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
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, *, drain: float = 0.0) -> None:
        """:param drain: seconds that live sessions may go on."""
        self._clock = clock
        self._drain = drain
        self._steps: dict[Phase, list[Step]] = {phase: [] for phase in Phase}

    def add(self, phase: Phase, *steps: Step) -> None:
        """Take these steps in this phase."""
        self._steps[phase] += steps

    async def run(self) -> None:
        """Take all steps; returns when they are done or their time is over."""
        end = self._clock.seconds()
        unfinished: list[Deferred[None]] = []
        for phase in Phase:
            if phase is Phase.WAIT_FOR_SESSIONS:
                begin = self._clock.seconds()
                if self._drain:
                    unfinished += await self._take(phase, begin + self._drain)
                end += self._clock.seconds() - begin
            else:
                end += SECONDS[phase]
                unfinished += await self._take(phase, end)
        for step in unfinished:
            step.cancel()

    async def _take(self, phase: Phase, end: float) -> list[Deferred[None]]:
        """Take the steps of a phase, and wait for them until ``end``; returns those that are not done then."""
        steps = [Deferred.fromCoroutine(self._run(step)) for step in self._steps[phase]]
        over: Deferred[None] = Deferred()
        timer = self._clock.callLater(max(0.0, end - self._clock.seconds()), over.callback, None)

        def all_done(_: object) -> None:
            if timer.active():
                timer.cancel()
                over.callback(None)

        DeferredList(steps).addCallback(all_done)
        await over
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
