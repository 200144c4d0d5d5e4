"""Watches a new connection until the VNC server has sent its first bytes.

Until then, for at most :data:`PROBE` seconds, the session has its *turn*: the right to make a new connection to this
VNC server.  In each process, only one session at a time has this right.  The others wait, because QEMU loses
connections made together (:mod:`.turns`).  The first bytes show that QEMU has accepted the connection, so the next turn
can begin.
"""

from typing import Final

from twisted.internet.interfaces import IReactorTime

from novnc_twisted.relay.timer_wheel import timer_wheel_of
from novnc_twisted.relay.transports import probe, tune
from novnc_twisted.session.upstream.end import UpstreamEnd
from novnc_twisted.session.upstream.turns import Turn

PROBE: Final = 1.0
"""Seconds without bytes after which the session gives its turn back (:class:`.Turn`) and starts keep-alive probes.

In RFB, the server sends the first bytes.  If the server's kernel does not know the connection (:mod:`.turns` explains
how this happens), no bytes ever come.  In this case, the server's kernel answers a probe with a reset.  A server that
is only slow does not notice the probes, because its kernel answers them.
"""


class Silence:
    """Gives the turn back when the session calls :meth:`over`, or after :data:`PROBE` seconds if that is earlier.

    The session calls :meth:`over` when the first bytes come, and when the attempt ends.  If it has not done so after
    :data:`PROBE` seconds, Silence also probes the connection until :meth:`over` is called.
    """

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
            tune(self._end.transport)  # back to the usual keep-alive, which probes less often

    def _probe(self) -> None:
        self._probing = True
        # A silent connection must not block the other sessions that wait for their turn.
        self._turn.give_back()
        probe(self._end.transport)
