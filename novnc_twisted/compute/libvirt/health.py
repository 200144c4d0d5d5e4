"""Decides from the reports of two sources whether libvirt answers, and logs outages and refused calls."""

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
    """Follows whether libvirt answers.  libvirt counts as answering while both sources work.

    Used in the reactor's thread only.

    :param clock: decides when the same refusal is logged again.
    :param uri: names libvirt in the log.
    """

    def __init__(self, clock: IReactorTime, uri: str) -> None:
        self._clock = clock
        self._uri = uri
        self._on_change: Callable[[bool], object] = lambda _answers: None
        self._probe: Callable[[], object] = lambda: None
        self._failing: set[str] = set()
        self._answers: bool | None = None  # what _on_change was last called with
        self._warned = False
        self._refusals: dict[str, float] = {}

    def start(self, on_change: Callable[[bool], object], probe: Callable[[], object]) -> None:
        """Begin to report changes.  EVENTS counts as failing until it is reported to be well.

        :param on_change: called with True when libvirt answers, for the first time or again, and with False when it
            stops answering.
        :param probe: makes a call to libvirt.  While CALLS fails, ``probe`` is called at each report that EVENTS is
            well, because there may be no other call that shows that CALLS works again.
        """
        self._on_change, self._probe = on_change, probe
        self._failing, self._answers = {EVENTS}, None

    def stop(self) -> None:
        """Report no more changes."""
        self._on_change, self._probe = lambda _answers: None, lambda: None

    def trouble(self, source: str, reason: str) -> None:
        """Record that a source cannot use libvirt.  Until both sources work again, only the first trouble is logged."""
        # When libvirtd stops, both sources fail, and one line is enough.
        if not self._warned:
            self._warned = True
            _log.warn(
                "libvirt at {uri} can't be reached ({reason}); still trying. {hint}",
                uri=self._uri,
                reason=reason,
                hint=HINT,
            )
        self.lost(source)

    def lost(self, source: str) -> None:
        """Record that a source has lost its connection and will try to connect again; logs nothing."""
        self._failing.add(source)
        self._tell(False)

    def well(self, source: str) -> None:
        """Record that a source can use libvirt."""
        if not self._failing:
            return
        self._failing.discard(source)
        if self._failing == {CALLS}:
            self._probe()
        elif not self._failing:
            if self._warned:
                self._warned = False
                _log.info("libvirt at {uri} answers again", uri=self._uri)
            self._tell(True)

    def _tell(self, answers: bool) -> None:
        if answers is not self._answers:
            self._answers = answers
            self._on_change(answers)

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
