"""Logs why requests cannot be answered: each cause once when it begins, and once when it is over."""

import re
from dataclasses import dataclass
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

MAX_CAUSES: Final = 100
"""Maximum number of causes that are remembered.  A further cause replaces the one that occurred longest ago."""

SETTLED: Final = 60.0
"""If a cause has not occurred for this number of seconds, an answer to any request can show that the cause is over.

Before that, only an answer that needed the same work can (see :class:`Work`).
"""

MAX_QUIET: Final = 600.0
"""A cause that is over *recurs* if it occurs again within this number of seconds after its last occurrence.

This is also the maximum of :attr:`_Cause.quiet`, which each recurrence raises.
"""

# Matches a cause that concerns only one compute host, such as a libvirt that hangs.  Answers from other hosts do not
# show that such a cause is over, until SETTLED seconds have passed.  A cause with "no compute host" concerns all hosts,
# even if the text names one host as an example.
_ONE_HOST = re.compile(r"\A(?!.*\bno compute host ).*?compute(?:\.| host )", re.DOTALL)

# Matches the id of a server in the text of a cause.  The same failure for two servers is one cause.
_SERVER = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)

# The first hint whose pattern matches a cause is logged.
_HINTS = (
    (re.compile("tokens cannot be validated"), "See [api] auth_strategy and [keystone_authtoken]."),
    (re.compile("log in"), "Start further consoleapi processes to share the work."),
    (re.compile("libvirt"), "See [libvirt] connection_uri of that host, and the log of its consolecompute."),
    (re.compile("Redis|transport"), "See [DEFAULT] transport_url."),
    (re.compile("consoleauth"), "Is consoleauth running, with the same [DEFAULT] transport_url?"),
    (re.compile("compute"), "Is consolecompute running there, with the same [DEFAULT] transport_url?"),
)


@dataclass(frozen=True, slots=True)
class Work:
    """The kind of work that a request causes in other services.

    If the same work succeeds later, this shows that the cause of an earlier failure is over.  Work with the same
    ``route`` counts as the same.  If the cause concerns only one compute host, the ``arguments`` must also be the same.

    :ivar route: the kind of request.
    :ivar arguments: the variable parts of the request's path, such as the id of a server, and the servers that its
        query names.
    """

    route: str
    arguments: tuple[str, ...] = ()


@dataclass(slots=True)
class _Cause:
    """A cause that prevents requests from being answered.

    :ivar work: the work that failed for this cause most recently.
    :ivar one_host: whether the cause concerns only one compute host.
    :ivar began: when the cause began, in seconds of the clock.
    :ivar last: when the cause occurred last, in seconds of the clock.
    :ivar quiet: minimum number of seconds without an occurrence before the cause counts as over.
    :ivar count: number of requests that were refused for this cause since it began.
    :ivar over: whether the cause no longer prevents answers.
    """

    work: Work
    one_host: bool
    began: float = 0.0
    last: float = 0.0
    quiet: float = 0.0
    count: int = 0
    over: bool = True

    def is_disproved(self, work: Work, now: float) -> bool:
        """Return whether an answer to ``work`` shows that the cause is over."""
        absent = now - self.last
        same = work == self.work if self.one_host else work.route == self.work.route
        return not self.over and absent >= self.quiet and (same or absent >= SETTLED)


class Outages:
    """Logs the beginning and the end of each cause.

    A recurring cause must not fill the log.  So each time that a cause recurs (see :data:`MAX_QUIET`), its ``quiet``
    time is doubled.  The doubled time is at least :data:`SETTLED`, and at most :data:`MAX_QUIET`.

    :param clock: gives the time.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._causes: dict[str, _Cause] = {}

    def refused(self, cause: str, work: Work, *, status: int = 503, quiet: float = 0.0) -> None:
        """Count a request that was refused, and log the cause if it is new or was over.

        :param cause: what happened, in words.
        :param work: what the request needed.
        :param status: the HTTP status of the response.
        :param quiet: the ``quiet`` time (see :class:`_Cause`) if this cause begins now, and does not recur.
        """
        # Without the ids of the servers, an outage has one log line, and not one for each server.
        cause = _SERVER.sub("a server", cause)
        now = self._clock.seconds()
        # The cause is removed and inserted again, so that the dictionary stays sorted by the last occurrence.
        known = self._causes.pop(cause, None) or _Cause(work, _ONE_HOST.search(cause) is not None)
        while len(self._causes) >= MAX_CAUSES:
            del self._causes[next(iter(self._causes))]
        self._causes[cause] = known
        if known.over:
            recurs = known.count and now - known.last < MAX_QUIET
            known.quiet = min(MAX_QUIET, max(SETTLED, 2 * known.quiet)) if recurs else quiet
            known.over, known.began, known.count = False, now, 0
            self.log.warn(
                "Requests are refused with {status}: {cause}. {hint}Further refusals for this cause are counted but "
                "not logged until it is over",
                status=status,
                cause=cause,
                hint=next((f"{hint} " for pattern, hint in _HINTS if pattern.search(cause)), ""),
            )
        known.work, known.last = work, now
        known.count += 1

    def answered(self, work: Work) -> None:
        """Log the end of each cause that a successful answer to ``work`` shows to be over."""
        now = self._clock.seconds()
        for cause, known in self._causes.items():
            if known.is_disproved(work, now):
                known.over = True
                self.log.info(
                    "Requests are answered again after an outage: {cause}. It lasted up to {seconds:.0f} s; refused "
                    "requests: {count}",
                    cause=cause,
                    seconds=now - known.began,
                    count=known.count,
                )
