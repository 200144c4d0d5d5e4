"""What was refused before there was a session: an event for each, and a log that stays short."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger, LogLevel

from novnc_twisted.access.connection_limits import LimitObserver
from novnc_twisted.access.failures import network_of
from novnc_twisted.errors import MessageTooBig, Refusal, SetupTimeout
from novnc_twisted.session.record import clean

INTERVAL: Final = 60.0
"""Seconds between two lines about the same cause and network."""

MAX_KINDS: Final = 100
"""Pairs of a cause and a network that have lines of their own; further networks are counted together by cause."""

_MANY: Final = "other addresses"


Cause: TypeAlias = Literal[
    "BadProxyHeader",
    "BadRequest",
    "BodyTooBig",
    "Browser",
    "ForeignOrigin",
    "ForeignPage",
    "HeadTimeout",
    "HeadTooBig",
    "LockedOut",
    "NotATrustedProxy",
    "NotLocal",
    "PlainText",
    "ReverseProxy",
    "TLSFailed",
    "TooManyConnections",
    "TooManyFailures",
]
"""Why something is refused before there is a session; docs/operations has a row for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalEvent:
    """A request, or a connection, that was refused before it became a session.

    :ivar front: which listener refused it: ``novncproxy``, ``xvpvncproxy``, ``consoleapi``.
    :ivar cause: a short name of the reason.
    :ivar address: the client's address.
    :ivar detail: what happened, in words; may quote the client, and is cleaned before it is logged.
    :ivar option: the option to change, with what to do; empty if no option helps.
    :ivar status: the HTTP status that was sent, or None.
    :ivar severe: whether it may keep out somebody who should be let in: logged as a warning.
    """

    front: str
    cause: Cause
    address: str
    detail: str = ""
    option: str = ""
    status: int | None = None
    severe: bool = False

    @property
    def summary(self) -> str:
        """One line for the log."""
        detail = clean(self.detail)
        return f"{self.kind}{detail and f': {detail}'}{self.option and f'. To change this: {self.option}'}"

    @property
    def kind(self) -> str:
        """The cause, with the status."""
        return self.cause if self.status is None else f"{self.cause}, status {self.status}"


def cause_of(head: Refusal) -> Cause:
    """The short name for a head that was refused: too long, too slow, or malformed."""
    if isinstance(head, MessageTooBig):
        return "HeadTooBig"
    return "HeadTimeout" if isinstance(head, SetupTimeout) else "BadRequest"


RefusalObserver: TypeAlias = Callable[[RefusalEvent], None]


class RefusalLog:
    """Logs refusals.  An instance is a :data:`RefusalObserver`.

    The first one of a cause and a network (an IPv4 address, an IPv6 /64) is logged at once.  Further ones are counted:
    their number is logged once a minute, and once more when a minute has passed without any.
    """

    log = Logger(namespace="novnc_twisted.frontend")

    def __init__(self, clock: IReactorTime) -> None:
        """Begin with nothing."""
        self._clock = clock
        self._kinds: dict[tuple[str, str, str], _Kind] = {}
        self._timer: IDelayedCall | None = None
        self._stopped = False

    def __call__(self, event: RefusalEvent) -> None:
        """Log or count a refusal."""
        key = (event.front, event.cause, network_of(event.address))
        if key not in self._kinds and len(self._kinds) >= MAX_KINDS:
            key = (event.front, event.cause, _MANY)
        kind = self._kinds.get(key)
        if kind is not None:
            kind.again(event)
            return
        self._kinds[key] = _Kind(event, key[2], self._clock.seconds())
        self._emit(event, f"{event.front}: refused {_shown(event.address)} ({event.summary})", 1)
        if self._timer is None and not self._stopped:
            self._timer = self._clock.callLater(INTERVAL, self._report)

    def stop(self) -> None:
        """Log what was counted, and start no timer any more."""
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
                text = f"{kind.total} in all, none in the last minute"
                self._emit(kind.last, f"{kind.last.front}: no longer refuses {kind.name} ({kind.last.kind}): {text}", 0)
        self._timer = self._clock.callLater(INTERVAL, self._report) if self._kinds else None

    def _log_count(self, kind: "_Kind") -> None:
        counted, kind.counted = kind.counted, 0
        self._emit(
            kind.last, f"{kind.last.front}: refused {kind.name} {counted} more times ({kind.last.summary})", counted
        )

    def _emit(self, event: RefusalEvent, summary: str, count: int) -> None:
        self.log.emit(
            LogLevel.warn if event.severe else LogLevel.info,
            "{summary}",
            summary=summary,
            event="refused",
            front=event.front,
            cause=event.cause,
            status=event.status,
            address=clean(event.address),
            detail=clean(event.detail),
            option=event.option,
            count=count,
        )


class _Kind:
    """The refusals of one cause and network."""

    __slots__ = ("counted", "last", "logged_at", "name", "total")

    def __init__(self, event: RefusalEvent, name: str, now: float) -> None:
        self.last = event
        self.name = _shown(name)
        self.total = 1
        self.counted = 0  # since the last line
        self.logged_at = now

    def again(self, event: RefusalEvent) -> None:
        self.last = event
        self.total += 1
        self.counted += 1


def _shown(address: str) -> str:
    return clean(address) or "a unix socket"


def limits_observer(front: str, refused: RefusalObserver, option: str = "") -> LimitObserver:
    """An observer of :class:`~novnc_twisted.access.connection_limits.ConnectionLimits` that reports to ``refused``.

    :param option: the option that sets the limit.
    """

    def observe(address: str, why: str) -> None:
        event = RefusalEvent(
            front=front, cause="TooManyConnections", address=address, detail=why, option=option, severe=True
        )
        refused(event)

    return observe
