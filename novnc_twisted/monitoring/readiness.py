"""Checks whether a process can serve: checks each part that the process needs, and names the unusable parts."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from novnc_twisted.errors import Refusal

Check = Callable[[], Awaitable[Any]]
"""Asks a part that the process needs; raises a Refusal if the part cannot be used."""

DEADLINE: Final = 1.5
"""Seconds within which each part must answer.  Probers rarely wait longer than 2 s."""

STARTING, RUNNING, STOPPING = "starting", "running", "stopping"


class Readiness:
    """The parts that a process needs.

    :param clock: IReactorTime.
    :ivar state: ``starting``, ``running`` or ``stopping``.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self.state = STARTING
        self._clock = clock
        self._checks: list[tuple[str, Check]] = []

    def needs(self, part: str, check: Check) -> None:
        """Add a check of a part.  A part is missing if any of its checks fails."""
        # The services of one process share the bus, so each of them adds the same check of the bus.
        if (part, check) not in self._checks:
            self._checks.append((part, check))

    async def missing(self) -> dict[str, str]:
        """Check all parts at the same time; return those that cannot be used, each with the reason."""
        asked = [Deferred.fromCoroutine(self._why(part, check)) for part, check in self._checks]
        reasons = await gatherResults(asked)
        missing: dict[str, str] = {}
        for (part, _), why in zip(self._checks, reasons, strict=True):
            if why:
                missing.setdefault(part, why)
        return missing

    async def _why(self, part: str, check: Check) -> str:
        """Return why a part cannot be used; an empty string if it can be used."""

        # fromCoroutine() accepts only a coroutine, but check() may return any awaitable, for example a Deferred.
        async def ask() -> None:
            await check()

        try:
            await Deferred.fromCoroutine(ask()).addTimeout(DEADLINE, self._clock)
        except Refusal as refusal:
            return refusal.detail or type(refusal).__name__
        except (TimeoutError, CancelledError):
            return f"no answer within {DEADLINE:g} s"
        except Exception:
            self.log.failure("the readiness of {part} could not be checked", part=part)
            return "it could not be checked, see the log"
        return ""
