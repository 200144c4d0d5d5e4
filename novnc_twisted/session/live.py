"""A live session: bytes flow between viewer and VNC server until a cause ends the session."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, gatherResults

from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.mode import CONTROL
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
from novnc_twisted.relay.channel_end import ChannelEnd
from novnc_twisted.relay.interfaces import IEnd, IFilter, IRelay
from novnc_twisted.relay.join import join
from novnc_twisted.relay.timer_wheel import Timer, timer_wheel_of
from novnc_twisted.session.channel import Channel
from novnc_twisted.session.console_types import console_type
from novnc_twisted.session.limits import SessionSlot
from novnc_twisted.session.people import PeopleList
from novnc_twisted.session.power_control import PowerControl
from novnc_twisted.session.session import STOPPING_DEADLINE, Session
from novnc_twisted.session.token_lease import TokenLease

if TYPE_CHECKING:
    from novnc_twisted.session.services import SessionServices
    from novnc_twisted.session.setup import SessionSetup


class LiveSession(Session):
    """A session whose two connections are joined.

    No coroutine runs while bytes flow: its Python frames and its Deferreds would take half of a session's memory.

    :ivar upstream: the connection to the VNC server.
    :ivar relay: joins the two connections; filters are added to it and removed from it.
    :ivar right: the mode that the token allows, ``control`` or ``view``.  The present mode, ``info.mode``, may differ,
        because sessions can hand control over to each other.
    :ivar resizes: whether the viewer may change the size of the screen, if it has control.
    :ivar control_since: when the viewer got control, as Unix time in seconds; None without control.
    """

    __slots__ = (
        *("_channel", "_lease", "_listed_at", "_power", "_slot", "_timers"),
        *("control_since", "relay", "resizes", "right", "upstream"),
    )

    info: ConnectInfo
    right: str
    phase = "live"

    def __init__(
        self, setup: "SessionSetup", info: ConnectInfo, slot: SessionSlot, upstream: IEnd, filters: Sequence[IFilter]
    ) -> None:
        """Take over from the set-up; :meth:`start` starts the relay.

        :param slot: the session's place in the limits, which the live session has to give back.
        :param upstream: the connection to the VNC server.
        """
        super().__init__(setup.registry, setup.id, setup.viewer, setup.accepted_at, info)
        self._slot = slot
        self.upstream = upstream
        self._lease: TokenLease | None = None  # None until start(), or if services.keep_token is None
        self._timers: tuple[Timer, ...] = ()
        self._power: PowerControl | None = None  # None: this viewer is offered no power actions
        self._channel: Channel | None = None  # for a console page that gets lists of people
        self._listed_at = 0.0  # the time of the newest list of people (PeopleList.at)
        self.right = info.mode
        self.resizes = True
        self.control_since = time.time() if info.mode == CONTROL else None
        self.relay: IRelay = join(self.viewer.end, upstream, filters)

    def start(self, phases: tuple[tuple[str, float], ...] = ()) -> None:
        """Start the relay, the token's lease (regular ``keep_token`` calls), and the timers that may end the session.

        :param phases: the phases of the set-up, with their seconds.
        """
        self._slot.count_as_live()
        try:
            self._watch()
            # Before the relay starts: its start may end the session, and "opened" must be reported before "closed".
            self._report(phases)
            self._offer_power()
            self.relay.start(self.end)
            self._begin_lease()
            self._begin_channel()
        except Exception:
            self.end(self.fault())

    def end(self, cause: Refusal) -> None:
        """See :class:`Session`."""
        if self.cause is None:
            # Only the first cause counts: closing the connections may report their loss as another cause.
            self.cause = cause
            Deferred.fromCoroutine(self._close(cause))

    def change_mode(self, mode: str) -> None:
        """See :class:`Session`.  If the first part of a message was already passed on, its rest is passed on, too."""
        changed = mode != self.right
        self.right = mode
        # ``changed`` is False if the session already has this right.  For example, after a change of a token's mode,
        # each renewal of the token's lease reports the new mode again.
        #
        # * CONTROL again: do nothing.  The viewer may have handed control over, and must not get it back.
        # * VIEW again: somebody has limited the token to VIEW.  The viewer must lose control that another viewer handed
        #   over to it before this limit, or that it got from a list that consoleauth made before this limit.
        told = (changed or mode != CONTROL) and self.set_rights(mode, resizes=self.resizes)
        # The page also shows what the token allows.  If control was handed over, the present mode may already be the
        # new one.  In this case, set_rights() changes nothing, and does not inform the page.
        if changed and not told:
            self._tell_rights()

    def show_people(self, listed: PeopleList) -> bool:
        """Use a new list of the people at the console, and the rights that it gives to this session.

        A list is ignored if it is older than the last one, or if it does not contain this session.

        :return: whether the page of this session shows that somebody asks for control.
        """
        own = next((one for one in listed.people if one.id == self.id), None)
        if self.cause is not None or own is None or listed.at < self._listed_at:
            return False
        self._listed_at = listed.at
        channel = self._channel
        if channel is None:
            # Control that another viewer has handed over must end if consoleauth stops answering.  Channel.renew() does
            # this when no list has arrived for LEASE seconds.  A session without a channel would keep such control, so
            # its mode is not changed here.
            self.set_rights(self.info.mode, resizes=own.resizes)
            return False
        self.set_rights(own.mode, resizes=own.resizes)
        return self.cause is None and channel.show(listed)

    @property
    def borrows(self) -> bool:
        """Whether the viewer has control only because another viewer has handed it over."""
        return self.info.mode == CONTROL and self.right != CONTROL

    @property
    def power(self) -> PowerControl | None:
        """The power actions for the page; None if this viewer may not begin any."""
        return self._power if self._power is not None and self._power.offered else None

    def seconds_left(self) -> float | None:
        """Return the seconds until the session must end; None if it has no expiry."""
        return None if self.info.expires_at is None else max(0.0, self.info.expires_at - time.time())

    def set_rights(self, mode: str, *, resizes: bool) -> bool:
        """Change what the viewer may do from its next message on, and inform its page.

        ``mode`` may permit more than the token does, because another viewer may have handed control over.

        :param resizes: whether the viewer may change the size of the screen, if it has control.
        :return: whether anything changed.
        """
        if self.cause is not None or (mode == self.info.mode and resizes == self.resizes):
            return False
        changed = mode != self.info.mode
        self.resizes = resizes
        self.info = replace(self.info, mode=mode)
        if changed:
            self.control_since = time.time() if mode == CONTROL else None
        self._use_rights(changed=changed)
        self._tell_rights()
        return True

    def _tell_rights(self) -> None:
        if self._channel is not None and self.cause is None:
            self._channel.tell_rights()

    def _use_rights(self, *, changed: bool) -> None:
        """Use the filters for the present rights.

        :param changed: whether the mode has changed; False: only the right to resize has changed.
        """
        try:
            console_type(self.viewer.console_type).change_rights(self.relay, self.info, resizes=self.resizes)
        except ValueError:
            # Without the shield, nothing knows where a message of the viewer ends, so no filter can be added between
            # two messages.  After a change of the mode, end the session: the page reconnects with the new rights.  If
            # only the right to resize has changed, the session goes on with the old filters.
            if not changed:
                return
            self.end(ServiceUnavailable("the mode changed, and [console] shield is off: the session must begin anew"))
        else:
            if changed:
                self.report(SessionChanged(**self._about(), mode=self.info.mode))

    def _offer_power(self) -> None:
        # Guests get no power actions: a shared link is for using the console only.
        if self.services.change_power is not None and self.info.shared_from is None:
            self._power = PowerControl(self, self.services.change_power)

    def _begin_channel(self) -> None:
        end, people = self.viewer.end, self.services.people
        if people is not None and isinstance(end, ChannelEnd) and self.cause is None:
            self._channel = Channel(self, end, people)
            self._channel.start()

    def _begin_lease(self) -> None:
        keep_token = self.services.keep_token
        # The start of the relay may have ended the session.
        if keep_token is not None and self.cause is None:
            self._lease = TokenLease(self, keep_token)
            self._lease.start(self.info.keep_from)

    def _watch(self) -> None:
        """Start the timers for the expiry of the session and for an idle viewer, if these limits are set."""
        clock = self.services.reactor
        if self.info.expires_at is not None:
            # expires_at is Unix time.  The reactor's clock may be monotonic, with an arbitrary origin.
            left = max(0.0, self.info.expires_at - time.time())
            self._timers = (timer_wheel_of(clock).callLater(left, self.end, SessionExpired()),)
        if self.services.settings.idle_timeout:
            # The first check comes after the whole limit.  A check at ``heard_at`` plus the limit could end the session
            # at once: the viewer may have sent its handshake long before the VNC server was ready, or a reload may have
            # set a shorter limit.
            self._check_idleness_in(self.services.settings.idle_timeout)

    def use(self, services: "SessionServices") -> None:
        """See :class:`Session`.  A new ``idle_timeout`` applies from now on."""
        before = self.services.settings.idle_timeout
        super().use(services)
        if self.cause is None and services.settings.idle_timeout != before:
            for timer in self._timers:
                timer.cancel()
            self._timers = ()
            self._watch()

    def _check_idleness(self) -> None:
        """End the session if the viewer was idle for too long; otherwise check again when the limit will be reached."""
        services = self.services
        left = self.viewer.end.heard_at + services.settings.idle_timeout - services.reactor.seconds()
        if left <= 0:
            self.end(IdleTimeout())
        else:
            self._check_idleness_in(left)

    def _check_idleness_in(self, seconds: float) -> None:
        waiting = tuple(timer for timer in self._timers if timer.active())
        timer = timer_wheel_of(self.services.reactor).callLater(seconds, self._check_idleness)
        self._timers = (*waiting, timer)

    def _report(self, phases: tuple[tuple[str, float], ...]) -> None:
        """Report that the session is live.

        Call ``on_opened`` first, which writes the session to the table of sessions.  If this process is killed, the end
        of each session in the table is reported, so no session in the audit trail lacks its end.
        """
        if self.registry.on_opened is not None:
            self.registry.on_opened(self)
        peer, seconds = self.viewer.end.peer, self.services.reactor.seconds() - self.accepted_at
        opened = SessionOpened(**self._about(), peer=peer, seconds=seconds, phases=phases, mode=self.info.mode)
        self.report(opened)

    def _about(self) -> dict[str, str]:
        """Return the fields that all events about this session have in common."""
        info, viewer = self.info, self.viewer
        return {
            "session_id": self.id,
            "console_type": viewer.console_type,
            "address": viewer.address,
            "user_id": info.user_id or "",
            "project_id": info.project_id or "",
            "instance_uuid": info.instance_uuid,
            "instance_name": info.name,
            "link_id": self.link_id,
        }

    async def _close(self, cause: Refusal) -> None:
        """Close both connections, and wait until they are gone.

        Meanwhile, renew the token's lease a last time (:meth:`.TokenLease.last`), if the viewer may reconnect with the
        token.

        The closing and the renewal have time limits.  Never raises.
        """
        try:
            self._stop_parts()
        except Exception:
            self.fault()
        parts: list[Deferred[Any]] = [*self.close_ends((self.upstream, self.viewer.end), cause)]
        try:
            if self._lease is not None:
                # In these cases, the viewer must not reconnect with the token, so the lease is not renewed.
                if isinstance(cause, (Revoked, SessionExpired, ConsoleForbidden)) or not self.info.reconnects:
                    self._lease.stop()
                else:
                    stopping = isinstance(cause, Stopping)
                    deadline = STOPPING_DEADLINE if stopping else self.services.settings.token_deadline
                    parts.append(self._lease.last(deadline))
            if waiting := [part for part in parts if not part.called]:
                await gatherResults(waiting)
        except Exception:
            self.fault()
        self.closed(cause)

    def _stop_parts(self) -> None:
        self._slot.give_back()
        for timer in self._timers:
            timer.cancel()
        if self._power is not None:
            self._power.end()
        if self._channel is not None:
            self._channel.stop()
        # Before the connections are closed: a relay may have taken the sockets out of Twisted's transports.  stop()
        # then returns the sockets to the transports, which send the final bytes.
        self.relay.stop()
