"""Watches the time between a new connection and the first bytes of the VNC server."""

from typing import Final

from twisted.internet.interfaces import IReactorTime

from novnc_twisted.relay.timer_wheel import timer_wheel_of
from novnc_twisted.relay.transports import probe, tune
from novnc_twisted.session.upstream.end import UpstreamEnd
from novnc_twisted.session.upstream.turns import Turn

PROBE: Final = 1.0
"""Seconds of silence after which the turn ends, and the server's kernel is asked whether it knows the connection.

A VNC server sends the first bytes, so an unknown connection would stay silent for ever (:mod:`.turns`).  A slow server
does not notice this question.
"""


class Silence:
    """Ends the turn when the first bytes come; asks the server's kernel if they do not come soon."""

    __slots__ = ("_end", "_probing", "_timer", "_turn")

    def __init__(self, clock: IReactorTime, end: UpstreamEnd, turn: Turn) -> None:
        self._end, self._turn = end, turn
        self._probing = False
        self._timer = timer_wheel_of(clock).callLater(PROBE, self._probe)

    def over(self) -> None:
        """Stop waiting, because bytes have come or will not come, and give the turn back.  Later calls do nothing."""
        self._timer.cancel()
        self._turn.give_back()
        if self._probing:
            self._probing = False
            tune(self._end.transport)  # ends the probes

    def _probe(self) -> None:
        self._probing = True
        # One silent connection must not block the others.
        self._turn.give_back()
        probe(self._end.transport)
