"""A service that begins once the reactor runs, whose ordered end is a success, and that SIGHUP does not end."""

import contextlib
import signal
from typing import Any

from twisted.application.service import Service
from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger


def stop(reactor: Any) -> None:
    """Stop it, where nothing has yet: systemd, a terminal and our supervisor may all say so."""
    with contextlib.suppress(ReactorNotRunning):
        reactor.stop()


class Orderly(Service):
    """Begins once the reactor runs and has installed its signal handlers, which ours then replace."""

    log = Logger()

    ends_by: tuple[int, ...] = (signal.SIGTERM, signal.SIGINT)
    """Signals that end the process with 0: twistd would end by the signal itself, a crash to supervisors."""

    def __init__(self, reactor: Any, warnings: list[str]) -> None:
        """Take the reactor, and lines to log at the begin."""
        self._reactor = reactor
        self._warnings = warnings

    def startService(self) -> None:
        """See Service."""
        super().startService()
        self._reactor.callWhenRunning(self._reactor.callLater, 0, self._first)

    def _first(self) -> None:
        if not self.running:
            return
        for warning in self._warnings:
            self.log.warn("{warning}", warning=warning)
        for number in self.ends_by:
            signal.signal(number, lambda *_: self._reactor.callFromThread(stop, self._reactor))
        signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self.reload))
        self.begin()

    def begin(self) -> None:
        """What it is for."""
        raise NotImplementedError

    def reload(self) -> None:
        """Read again what can be read again (SIGHUP), and drop nobody for it."""
        raise NotImplementedError
