"""Keeps the token of a live session valid, so that its viewer can reconnect after a loss of the network."""

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.relay.timer_wheel import Timer, timer_wheel_of
from novnc_twisted.session.deadline import Deadline
from novnc_twisted.session.services import KeepToken


class TokenLease:
    """Renews the lease at the authority: regularly while the session lives, and once when it was lost.

    No call is due while the token itself is valid, with a minute to reconnect; most sessions end before that.  A call
    that fails is logged once for each session, and never ends it.
    """

    log = Logger()

    __slots__ = (
        *("_address", "_clock", "_deadline", "_every", "_failed"),
        *("_keep_token", "_call_deadline", "_stopped", "_timer", "_token", "_told"),
    )

    def __init__(
        self,
        clock: IReactorTime,
        keep_token: KeepToken,
        token: str,
        address: str,
        *,
        every: float,
        deadline: float,
        after: float = 0.0,
    ) -> None:
        """Begin: the first call is made ``after`` seconds from now."""
        self._clock, self._keep_token, self._token, self._address = clock, keep_token, token, address
        self._every, self._deadline = every, deadline
        self._timer: Timer | None = None
        self._call_deadline: Deadline | None = None  # while a call is under way
        self._failed = False
        self._stopped = False
        self._told = False
        if after > 0:
            self._timer = timer_wheel_of(clock).callLater(after, self._tick)
        else:
            self._tick()

    def stop(self) -> None:
        """No more calls; a pending one is cancelled."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._call_deadline is not None:
            self._call_deadline.end(ServiceUnavailable("the session ended"))

    async def last(self, deadline: float) -> None:
        """Stop, and tell once more that the session lived until now."""
        self.stop()
        if not self._told:
            return
        await self._tell(deadline)

    def _tick(self) -> None:
        self._timer = None
        self._told = True
        Deferred.fromCoroutine(self._tell_and_go_on())

    async def _tell_and_go_on(self) -> None:
        await self._tell(self._deadline)
        if not self._stopped:
            self._timer = timer_wheel_of(self._clock).callLater(self._every, self._tick)

    async def _tell(self, deadline: float) -> None:
        late = ServiceUnavailable(f"no answer in {deadline:g} s")
        stopped = self._stopped
        patience = self._call_deadline = Deadline(self._clock)
        try:
            await patience.wait(self._keep_token(self._token, self._address), deadline, late)
        except Exception as error:
            if not self._failed and self._stopped == stopped:
                self._failed = True
                self.log.warn("a live session's token could not be kept: {error}", error=str(error)[:200])
        finally:
            if self._call_deadline is patience:
                self._call_deadline = None
