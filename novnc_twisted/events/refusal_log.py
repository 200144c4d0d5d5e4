"""Logs refused requests, with a limited number of lines."""

from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger, LogLevel

from novnc_twisted.access.failures import network_of
from novnc_twisted.events.refused import RequestRefused

INTERVAL: Final = 60.0
"""Minimum number of seconds between two lines about the same service, cause and network, while refusals go on."""

MAX_KINDS: Final = 100
"""Maximum number of combinations of service, cause and network that are logged separately.

When this number is reached, the refusals of all further networks are counted together for each service and cause.
"""

_MANY: Final = "other addresses"

# Not a class attribute: there, Logger ignores ``namespace`` and uses the name of the class.
_log: Final = Logger(namespace="novnc_twisted.frontend")


class RefusalLog:
    """Logs refused requests.

    The first refusal for each service, cause and network (an IPv4 address or an IPv6 /64) is logged at once.  Further
    refusals are counted, and their number is logged once a minute.  After a minute without a further refusal, a
    last line shows the total number, unless the first refusal was the only one.  The count then begins anew, so the
    next refusal is logged at once.
    """

    def __init__(self, clock: IReactorTime) -> None:
        """:param clock: measures the time between two lines about the same service, cause and network."""
        self._clock = clock
        self._kinds: dict[tuple[str, str, str], _Kind] = {}  # by service, cause and network
        self._timer: IDelayedCall | None = None
        self._stopped = False

    def __call__(self, event: RequestRefused) -> None:
        """Log or count a refusal."""
        key = (event.service, event.cause, network_of(event.address))
        # An attacker with many addresses must not fill the log or the memory.
        if key not in self._kinds and len(self._kinds) >= MAX_KINDS:
            key = (event.service, event.cause, _MANY)
        kind = self._kinds.get(key)
        if kind is not None:
            kind.again(event)
            return
        self._kinds[key] = _Kind(event, key[2], self._clock.seconds())
        self._emit(event, f"{event.service}: refused {_shown(event.address)} ({_summary(event)})", 1)
        if self._timer is None and not self._stopped:
            self._timer = self._clock.callLater(INTERVAL, self._report)

    def stop(self) -> None:
        """Log the numbers of refusals that were not logged yet, and stop the timer."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for kind in self._kinds.values():
            if kind.counted:
                self._log_count(kind)

    def _report(self) -> None:
        now = self._clock.seconds()
        for key, kind in list(self._kinds.items()):
            if now - kind.logged_at < INTERVAL:
                continue
            if kind.counted:
                self._log_count(kind)
                kind.logged_at = now
                continue
            del self._kinds[key]
            if kind.total > 1:
                text = f"0 more times in the last minute ({_cause(kind.last)}): {kind.total} in all"
                self._emit(kind.last, f"{kind.last.service}: refused {kind.name} {text}", 0)
        # The timer is not set again when nothing is left to log, so that an idle process does not wake up.
        self._timer = self._clock.callLater(INTERVAL, self._report) if self._kinds else None

    def _log_count(self, kind: "_Kind") -> None:
        counted, kind.counted = kind.counted, 0
        self._emit(
            kind.last, f"{kind.last.service}: refused {kind.name} {counted} more times ({_summary(kind.last)})", counted
        )

    def _emit(self, event: RequestRefused, summary: str, count: int) -> None:
        _log.emit(
            LogLevel.warn if event.severe else LogLevel.info,
            "{summary}",
            summary=summary,
            event="refused",
            service=event.service,
            cause=event.cause,
            status=event.status,
            address=event.address,
            detail=event.detail,
            option=event.option,
            count=count,
        )


class _Kind:
    """The refusals for one service, cause and network."""

    __slots__ = ("counted", "last", "logged_at", "name", "total")

    def __init__(self, event: RequestRefused, name: str, now: float) -> None:
        self.last = event
        self.name = _shown(name)
        self.total = 1
        self.counted = 0  # refusals since the last line
        self.logged_at = now

    def again(self, event: RequestRefused) -> None:
        """Count a further refusal.  The next log line shows the detail of the newest refusal."""
        self.last = event
        self.total += 1
        self.counted += 1


def _shown(address: str) -> str:
    return address or "a unix socket"


def _summary(event: RequestRefused) -> str:
    """Return the cause, the detail and the option to change, as one line."""
    summary = _cause(event)
    if event.detail:
        summary += f": {event.detail}"
    if event.option:
        summary += f". To change this: {event.option}"
    return summary


def _cause(event: RequestRefused) -> str:
    """Return the cause with the HTTP status."""
    return event.cause if event.status is None else f"{event.cause}, status {event.status}"
