"""Log why requests cannot be answered: each cause once when it begins and once when it is over."""

import re
from dataclasses import dataclass
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

MAX_CAUSES: Final = 100
"""Causes that are remembered.  For a further one, the cause that occurred longest ago is forgotten."""

SETTLED: Final = 60.0
"""Seconds after the last occurrence of a cause after which any answer shows that it is over."""

MAX_QUIET: Final = 600.0
"""Upper limit of the seconds for which a recurring cause must be absent before the log says that it is over."""

# A cause that concerns only one compute host: answers about servers of other hosts do not show that it is over.
_ONE_HOST = re.compile(r"(?<!no )compute(?:\.| host )")

# The id of a server in a cause: the same failure of two servers is one cause.
_SERVER = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)

_HINTS = (
    (re.compile("tokens cannot be validated"), "See [api] auth_strategy and [keystone_authtoken]."),
    (re.compile("log in"), "Further consoleapi processes share the work."),
    (re.compile("libvirt"), "See [libvirt] connection_uri of that host, and the log of its consolecompute."),
    (re.compile("Redis|transport"), "See [DEFAULT] transport_url."),
    (re.compile("consoleauth"), "Is consoleauth running, with the same [DEFAULT] transport_url?"),
    (re.compile("compute"), "Is consolecompute running there, with the same [DEFAULT] transport_url?"),
)


@dataclass(frozen=True, slots=True)
class Work:
    """What a request needs of other services.  An answer to the same work shows that a cause is over.

    :ivar route: the kind of request.
    :ivar arguments: the variable parts of its path, such as the id of a server.
    """

    route: str
    arguments: tuple[str, ...] = ()


@dataclass(slots=True)
class _Cause:
    """What is known of a cause.

    :ivar work: the work that it prevented last.
    :ivar one_host: whether it concerns only one compute host.
    :ivar began: when it began; ``last`` is its last occurrence.  Seconds of the clock.
    :ivar quiet: seconds for which it must be absent, at least, until it counts as over.
    :ivar count: requests that were refused for it since it began.
    """

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
    """Logs the beginning and the end of each cause.

    A recurring cause does not fill the log: each time that it recurs within :data:`MAX_QUIET` seconds, the time is
    doubled for which it must be absent until it counts as over.

    :param clock: gives the time.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._causes: dict[str, _Cause] = {}

    def refused(self, cause: str, work: Work, *, status: int = 503, quiet: float = 0.0) -> None:
        """Count a request that was refused, and log its cause if it is new.

        :param cause: what happened, in words.
        :param work: what the request needed.
        :param status: the HTTP status of the response.
        :param quiet: seconds for which the cause must be absent, at least, until it counts as over.
        """
        # Otherwise an outage would leave one line for each server that is asked for.
        cause = _SERVER.sub("a server", cause)
        now = self._clock.seconds()
        # Taken out and put back, so that the dictionary stays in the order of the last occurrence.
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
        """Log the end of the causes that this answer shows to be over."""
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
