"""The set-up of a session: check the token, dial, log in to the VNC server, greet the viewer."""

from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from twisted.internet.defer import Deferred, gatherResults

from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.errors import (
    InvalidToken,
    Refusal,
    ServiceUnavailable,
    SetupTimeout,
    Stopping,
    TokenMissing,
)
from novnc_twisted.relay.interfaces import IEnd
from novnc_twisted.session.console_types import console_type
from novnc_twisted.session.deadline import Deadline
from novnc_twisted.session.handshake_channel import HandshakeChannel
from novnc_twisted.session.interfaces import IViewer
from novnc_twisted.session.limits import SessionSlot
from novnc_twisted.session.live import LiveSession
from novnc_twisted.session.matching import matches
from novnc_twisted.session.session import STOPPING_DEADLINE, Session
from novnc_twisted.session.upstream.reach import reach

if TYPE_CHECKING:
    from novnc_twisted.session.registry import SessionRegistry

T = TypeVar("T")


class SessionSetup(Session):
    """A session from its token until it is live, or refused.

    No byte reaches the VNC server before the token was found valid.
    """

    __slots__ = ("_client", "_deadline", "_entered_at", "_greeted", "_mode", "_phases", "_revoked", "ends", "phase")

    def __init__(self, registry: "SessionRegistry", session_id: str, viewer: IViewer, accepted_at: float) -> None:
        """Prepare the set-up; :meth:`start` begins it."""
        super().__init__(registry, session_id, viewer, accepted_at)
        self.phase = "token"
        self._phases: list[tuple[str, float]] = []  # those that are over, with their seconds
        self._entered_at = registry.services.reactor.seconds()
        self._deadline = Deadline(registry.services.reactor)  # of the present step
        self._greeted = False  # whether RFB, or the protocol of another console type, has begun with the viewer
        self._mode: str | None = None  # what change_mode() asked for; None: what the token says
        self._revoked: list[tuple[SessionFilter, Refusal]] = []  # see end_if()
        self.ends: list[IEnd] = []  # the ends that a refusal has to close: those of VNC servers, once connected
        # Last: attaching may call end() at once, which needs the attributes above.
        self._client = HandshakeChannel(viewer.end, self.end)

    def start(self) -> None:
        """Start the set-up."""
        Deferred.fromCoroutine(self._run())

    def end(self, cause: Refusal) -> None:
        """See :class:`Session`.  A second call stops the wait for the viewer to read the reason of its refusal."""
        if self.cause is None:
            self.cause = cause
        self._deadline.end(cause)

    def end_if(self, wanted: SessionFilter, cause: Refusal) -> None:
        """End the session once its token has been checked, if it matches the filter then.

        The answer about the token may be under way, and older than the revocation.
        """
        self._revoked.append((wanted, cause))

    def change_mode(self, mode: str) -> None:
        """See :class:`Session`.  The answer about the token may be under way, and older than this."""
        self._mode = mode
        if self.info is not None:
            self.info = replace(self.info, mode=mode)

    async def _run(self) -> None:
        try:
            live = await self._set_up()
        except Refusal as cause:
            await self._refuse(cause)
        except Exception:
            await self._refuse(self.fault())
        else:
            self.registry.replace(live)
            self.enter("live")
            live.start(self.phases())

    def phases(self) -> tuple[tuple[str, float], ...]:
        """See :class:`Session`."""
        return tuple(self._phases)

    def enter(self, phase: str) -> None:
        """Begin the next phase, and note how long the last one took."""
        now = self.services.reactor.seconds()
        self._phases.append((self.phase, now - self._entered_at))
        self.phase, self._entered_at = phase, now

    async def _set_up(self) -> LiveSession:
        """Run all steps in their order."""
        info = await self._authorise()
        self.info = info = self._with_mode(info)
        for wanted, cause in self._revoked:
            if matches(self, wanted):
                raise cause
        slot = self.services.limits.take_slot(info)
        try:
            return await self._connect(info, slot)
        except BaseException:
            # BaseException, since a cancelled set-up (CancelledError, GeneratorExit) has to give its slot back, too.
            slot.give_back()
            raise

    def _with_mode(self, info: ConnectInfo) -> ConnectInfo:
        return info if self._mode is None else replace(info, mode=self._mode)

    async def _authorise(self) -> ConnectInfo:
        viewer, services = self.viewer, self.services
        try:
            if not viewer.token:
                raise TokenMissing
            # Before it is hashed or sent anywhere.
            if len(viewer.token) > services.settings.max_token:
                raise InvalidToken("longer than any token")
            asked = services.authorise(viewer.token, viewer.console_type, viewer.address)
            late = ServiceUnavailable("no answer about the token in time")
            info = await self.in_time(asked, services.settings.token_deadline, late)
        except BaseException as error:
            viewer.token_checked(error if isinstance(error, Refusal) else ServiceUnavailable())
            raise
        viewer.token_checked(None)
        return info

    async def _connect(self, info: ConnectInfo, slot: SessionSlot) -> LiveSession:
        settings = self.services.settings
        console = console_type(self.viewer.console_type)
        # Before the viewer is greeted: not one byte of another VM's screen may reach it.
        reached = await reach(self, console, info)
        self.info = self._with_mode(reached.info)
        self.enter("offer")
        # From here on the viewer expects RFB and would read a sentence as RFB; only the close frame can give a reason.
        self._greeted = True
        self.viewer.welcome()
        slow = SetupTimeout("the viewer did not finish its RFB handshake in time")
        await self.in_time(self._client.run(console.greet()), settings.rfb_deadline, slow)
        self.viewer.end.write(console.first_message(reached.opening, self.info))
        # Both channels release their ends only now.  They hold bytes that came early, and the relay gets these first.
        self._client.release()
        reached.upstream.channel.release()
        info = self.info  # its mode may have changed meanwhile
        return LiveSession(self, info, slot, reached.end, console.filters(reached.opening, info, settings))

    def in_time(self, what: Awaitable[T], seconds: float, late: Refusal) -> Deferred[T]:
        """Wait for a step until its own deadline or the deadline of the whole set-up, whichever is earlier."""
        services = self.services
        left = self.accepted_at + services.settings.setup_deadline - services.reactor.seconds()
        return self._deadline.wait(what, min(seconds, left), late)

    async def _refuse(self, cause: Refusal) -> None:
        """Send the viewer the reason, and close everything; never raises."""
        # If end() was called, its cause is the reason; the failure of the step is only its consequence.
        cause = self.cause = self.cause or cause
        self.enter(self.phase)  # ends the time of the last phase; the time of the refusal belongs to no phase
        try:
            for end in self.ends:
                end.close(cause)
            if not self._greeted and not self._client.gone:
                await self._send_reason(cause)
            # After the reason was sent: closing the end first would discard it.
            self.ends.append(self.viewer.end)
            self.viewer.end.close(cause)
            await gatherResults([end.closed() for end in self.ends])
        except Exception:
            self.fault()
        self.closed(cause)

    async def _send_reason(self, cause: Refusal) -> None:
        """Send the viewer the reason in the protocol of its front; RFB has not begun yet."""
        handshake = self.viewer.refusal(cause)
        if handshake is None:
            return
        services = self.services
        seconds = STOPPING_DEADLINE if isinstance(cause, Stopping) else services.settings.refusal_deadline
        self._deadline = Deadline(services.reactor)  # after end(), the previous Deadline fails every wait
        try:
            late = SetupTimeout("the viewer did not read the reason in time")
            await self._deadline.wait(self._client.run(handshake), seconds, late)
        except Refusal:  # the viewer left, is silent or broke the protocol; the close frame has the same sentence
            return
