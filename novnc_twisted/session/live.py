"""A live session: bytes flow until a cause ends it, then everything is closed."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, gatherResults

from novnc_twisted.access.tokens import link_id
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.errors import (
    ConsoleForbidden,
    IdleTimeout,
    Refusal,
    Revoked,
    ServiceUnavailable,
    SessionExpired,
    Stopping,
)
from novnc_twisted.events.records import SessionChanged, SessionOpened
from novnc_twisted.relay.interfaces import IEnd, IFilter, IRelay
from novnc_twisted.relay.join import join
from novnc_twisted.relay.timer_wheel import Timer, timer_wheel_of
from novnc_twisted.session.console_types import console_type
from novnc_twisted.session.limits import SessionSlot
from novnc_twisted.session.power_control import PowerControl
from novnc_twisted.session.session import STOPPING_DEADLINE, Session
from novnc_twisted.session.token_lease import TokenLease

if TYPE_CHECKING:
    from novnc_twisted.session.services import SessionServices
    from novnc_twisted.session.setup import SessionSetup


class LiveSession(Session):
    """A session whose two connections are joined.

    No coroutine runs while bytes flow, because its frames and Deferreds would be half of a session's memory.

    :ivar upstream: the connection to the VNC server.
    :ivar relay: joins the two connections; filters are added to it and removed from it.
    """

    __slots__ = ("_lease", "_power", "_slot", "_timers", "relay", "upstream")

    info: ConnectInfo
    phase = "live"

    def __init__(
        self, setup: "SessionSetup", info: ConnectInfo, slot: SessionSlot, upstream: IEnd, filters: Sequence[IFilter]
    ) -> None:
        """Take over from the set-up; :meth:`start` begins to copy bytes.

        :param slot: belongs to the session from now on.
        :param upstream: the connection to the VNC server.
        """
        super().__init__(setup.registry, setup.id, setup.viewer, setup.accepted_at, info)
        self._slot = slot
        self.upstream = upstream
        self._lease: TokenLease | None = None  # if the token has one
        self._timers: tuple[Timer, ...] = ()
        self._power: PowerControl | None = None  # if viewers may change the power
        self.relay: IRelay = join(self.viewer.end, upstream, filters)

    def start(self, phases: tuple[tuple[str, float], ...] = ()) -> None:
        """Start the timers that may end the session, the relay, and the token's lease.

        :param phases: the phases of the set-up, with their seconds.
        """
        # Count the session first: if the rest fails, end() gives the slot back, and the session no longer counts.
        self._slot.set_up()
        try:
            self._watch()
            # Before the relay starts, since its start may end the session: "opened" has to precede "closed".
            self._report(phases)
            self._offer_power()
            self.relay.start(self.end)
            self._begin_lease()
        except Exception:
            self.end(self.fault())

    def end(self, cause: Refusal) -> None:
        """See :class:`Session`."""
        if self.cause is None:
            # Only the first cause counts: closing the connections may report their loss as another cause.
            self.cause = cause
            Deferred.fromCoroutine(self._close(cause))

    def change_mode(self, mode: str) -> None:
        """See :class:`Session`.  A message that has passed in part is still passed on completely."""
        if self.cause is not None or mode == self.info.mode:
            return
        self.info = replace(self.info, mode=mode)
        try:
            console_type(self.viewer.console_type).change_rights(self.relay, self.info)
        except ValueError:
            # Without the shield, nothing knows where a message of the viewer ends, so a new filter cannot begin between
            # two messages.  The page reconnects, and then has the new rights.
            self.end(ServiceUnavailable("the mode changed, and [console] shield is off: the session must begin anew"))
        else:
            self.report(SessionChanged(**self._about(), mode=mode))

    def _offer_power(self) -> None:
        if self.services.change_power is not None:
            self._power = PowerControl(self, self.services.change_power)

    def _begin_lease(self) -> None:
        services, info = self.services, self.info
        # Not if the start of the relay has ended the session.
        if services.keep_token is not None and info.reconnects and self.cause is None:
            self._lease = TokenLease(
                services.reactor,
                services.keep_token,
                self,
                self.viewer.token or "",
                self.viewer.address,
                every=services.settings.keep_interval,
                deadline=services.settings.token_deadline,
                after=info.keep_from,
            )
            self._lease.start()

    def _watch(self) -> None:
        """Start timers for the expiry of the session and for an idle viewer, if these limits are set."""
        clock = self.services.reactor
        if self.info.expires_at is not None:
            # expires_at is Unix time.  The reactor's clock may be monotonic, with an arbitrary origin.
            left = max(0.0, self.info.expires_at - time.time())
            self._timers = (timer_wheel_of(clock).callLater(left, self.end, SessionExpired()),)
        if self.services.settings.idle_timeout:
            # Idle time begins now: the viewer may have sent its handshake long before the VNC server was ready.
            self.viewer.end.heard_at = clock.seconds()
            self._watch_idleness()

    def use(self, services: "SessionServices") -> None:
        """See :class:`Session`: the limit of idle time applies from now on."""
        before = self.services.settings.idle_timeout
        super().use(services)
        if self.cause is None and services.settings.idle_timeout != before:
            for timer in self._timers:
                timer.cancel()
            self._timers = ()
            self._watch()

    def _watch_idleness(self) -> None:
        """End the session if the viewer was idle for too long; otherwise check again when the limit can be reached."""
        clock = self.services.reactor
        left = self.viewer.end.heard_at + self.services.settings.idle_timeout - clock.seconds()
        if left <= 0:
            self.end(IdleTimeout())
        else:
            waiting = tuple(timer for timer in self._timers if timer.active())
            self._timers = (*waiting, timer_wheel_of(clock).callLater(left, self._watch_idleness))

    def _report(self, phases: tuple[tuple[str, float], ...]) -> None:
        """Report that the session is live."""
        peer, seconds = self.viewer.end.peer, self.services.reactor.seconds() - self.accepted_at
        opened = SessionOpened(**self._about(), peer=peer, seconds=seconds, phases=phases, mode=self.info.mode)
        self.report(opened)

    def _about(self) -> dict[str, str]:
        """Return what all events about this session have in common."""
        info, viewer = self.info, self.viewer
        return {
            "session_id": self.id,
            "console_type": viewer.console_type,
            "address": viewer.address,
            "user_id": info.user_id or "",
            "project_id": info.project_id or "",
            "instance_uuid": info.instance_uuid,
            "instance_name": info.name,
            "link_id": link_id(self.token_hash),
        }

    async def _close(self, cause: Refusal) -> None:
        """Close both connections and wait until they and the lease have ended; timers limit the wait.  Never raises."""
        try:
            self._slot.give_back()
            for timer in self._timers:
                timer.cancel()
            if self._power is not None:
                self._power.end()
            # Before the connections are closed: a detached relay must return the sockets to Twisted's transports, which
            # send the final bytes.
            self.relay.stop()
            parts: list[Deferred[Any]] = []
            for end in self.upstream, self.viewer.end:
                end.close(cause)
                parts.append(end.closed())
            if self._lease is not None:
                # The token must not come back: renewing its lease would undo the revocation.
                if isinstance(cause, (Revoked, SessionExpired, ConsoleForbidden)):
                    self._lease.stop()
                else:
                    stopping = isinstance(cause, Stopping)
                    deadline = STOPPING_DEADLINE if stopping else self.services.settings.token_deadline
                    parts.append(Deferred.fromCoroutine(self._lease.last(deadline)))
            if waiting := [part for part in parts if not part.called]:
                await gatherResults(waiting)
        except Exception:
            self.fault()
        self.closed(cause)
