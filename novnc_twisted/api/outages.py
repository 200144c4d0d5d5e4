"""Why requests cannot be answered: each cause is logged once, and once more when it is over."""

import re
from dataclasses import dataclass
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

MAX_CAUSES: Final = 100
"""Causes that are remembered; beyond, the one that occurred longest ago is forgotten."""

SETTLED: Final = 60.0
"""Seconds without a cause after which any answer proves that it is over."""

MAX_QUIET: Final = 600.0
"""Seconds that a cause that comes and goes must have been absent, at most, until the log says that it is over."""

# A cause that concerns one compute host alone: answers about servers of other hosts do not prove that it is over.
_ONE_HOST = re.compile(r"(?<!no )compute(?:\.| host )")

# A cause is identified by what is wrong, not by the server that was requested.
_SERVER = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)

_HINTS = (
    (re.compile("log in"), "Further consoleapi processes share the work."),
    (re.compile("libvirt"), "See [libvirt] connection_uri of that host, and the log of its consolecompute."),
    (re.compile("Redis|transport"), "See [DEFAULT] transport_url."),
    (re.compile("consoleauth"), "Is consoleauth running, with the same [DEFAULT] transport_url?"),
    (re.compile("compute"), "Is consolecompute running there, with the same [DEFAULT] transport_url?"),
)


@dataclass(frozen=True, slots=True)
class Work:
    """What a request needs, so that an answer can prove that a cause is over.

    :ivar route: the kind of request, as ``GET servers/{}``.
    :ivar arguments: what it is about, as the id of a server.
    """

    route: str
    arguments: tuple[str, ...] = ()


@dataclass(slots=True)
class _Cause:
    work: Work
    one_host: bool
    began: float = 0.0
    last: float = 0.0
    quiet: float = 0.0
    count: int = 0
    over: bool = True

    def is_disproved(self, work: Work, now: float) -> bool:
        """Whether an answer to ``work`` shows that the cause is over."""
        absent = now - self.last
        same = work == self.work if self.one_host else work.route == self.work.route
        return not self.over and absent >= self.quiet and (same or absent >= SETTLED)


class Outages:
    """Logs the causes.

    A cause that comes and goes fills no log: each time that it recurs within :data:`MAX_QUIET` seconds, it must be
    absent for longer until it counts as over.

    :param clock: gives the time.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._causes: dict[str, _Cause] = {}

    def refused(self, cause: str, work: Work, *, status: int = 503, quiet: float = 0.0) -> None:
        """A request was refused for this cause.

        :param quiet: seconds that the cause must be absent, at least, until it counts as over.
        """
        cause = _SERVER.sub("a server", cause)
        now = self._clock.seconds()
        known = self._causes.pop(cause, None) or _Cause(work, _ONE_HOST.search(cause) is not None)
        while len(self._causes) >= MAX_CAUSES:
            del self._causes[next(iter(self._causes))]
        self._causes[cause] = known
        if known.over:
            recurs = known.count and now - known.last < MAX_QUIET
            known.quiet = min(MAX_QUIET, max(SETTLED, 2 * known.quiet)) if recurs else quiet
            known.over, known.began, known.count = False, now, 0
            self.log.warn(
                "Requests are refused with {status}: {cause}. {hint}Until this is over, further ones are counted only",
                status=status,
                cause=cause,
                hint=next((f"{hint} " for pattern, hint in _HINTS if pattern.search(cause)), ""),
            )
        known.work, known.last = work, now
        known.count += 1

    def answered(self, work: Work) -> None:
        """A request was answered."""
        now = self._clock.seconds()
        for cause, known in self._causes.items():
            if known.is_disproved(work, now):
                known.over = True
                self.log.info(
                    "Requests are answered again: {cause}. It lasted up to {seconds:.0f} s; refused requests: {count}",
                    cause=cause,
                    seconds=now - known.began,
                    count=known.count,
                )
