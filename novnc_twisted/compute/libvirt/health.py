"""Watches whether libvirt answers: logs a warning when it stops answering, and a line when it answers again."""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

EVENTS, CALLS = "events", "calls"
"""The sources of the reports to :class:`Health`: the connection for events, and the connections for calls."""

HINT = (
    "Check that libvirtd runs, does not hang and has not reached max_clients (libvirtd.conf); that unix_sock_rw_perms "
    "and polkit let the user of this process connect to libvirtd's read-write socket; and that [libvirt] "
    "connection_uri is right"
)

_REPEAT = 600.0
_MAX_REFUSALS = 100

_log = Logger()


class Health:
    """Logs the troubles of the connections to one libvirt; used in the reactor's thread only.

    :param clock: decides when the same refusal is logged again.
    :param uri: names libvirt in the log.
    :ivar on_change: called with False when libvirt stops answering, and with True when it answers again.
    """

    def __init__(self, clock: IReactorTime, uri: str) -> None:
        self.on_change: Callable[[bool], None] = lambda _answers: None
        self._clock = clock
        self._uri = uri
        self._troubled: set[str] = set()
        self._refusals: dict[str, float] = {}

    def trouble(self, source: str, reason: str) -> None:
        """Record that a source cannot use libvirt.  Only the first trouble is logged, until both sources work again."""
        # When libvirtd stops, both sources fail, and one line is enough.
        first = not self._troubled
        if first:
            _log.warn(
                "libvirt at {uri} can't be reached ({reason}); still trying. {hint}",
                uri=self._uri,
                reason=reason,
                hint=HINT,
            )
        self._troubled.add(source)
        if first:
            self.on_change(False)

    def well(self, source: str) -> bool:
        """Record that a source can use libvirt; return whether this was the end of an outage."""
        if source not in self._troubled:
            return False
        self._troubled.discard(source)
        if self._troubled:
            return False
        _log.info("libvirt at {uri} answers again", uri=self._uri)
        self.on_change(True)
        return True

    def refused(self, reason: str) -> None:
        """Record that libvirt refuses a call.  The same reason is usually logged at most once in ten minutes."""
        now = self._clock.seconds()
        if now - self._refusals.get(reason, -_REPEAT) < _REPEAT:
            return
        # A reason may contain the name of a domain, so the number of reasons needs a limit.
        if len(self._refusals) >= _MAX_REFUSALS:
            self._refusals.clear()
        self._refusals[reason] = now
        _log.warn(
            "libvirt at {uri} refuses a call: {reason}. If a right is missing: the user of this process needs "
            "libvirtd's read-write socket and all rights of polkit's action org.libvirt.unix.manage",
            uri=self._uri,
            reason=reason,
        )
