"""The set-up of a session: check the token, dial, log in to the VNC server, greet the viewer."""

from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from twisted.internet.defer import Deferred, DeferredList

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
from novnc_twisted.rfb.handshake import preceded
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
    """A session from the check of its token until it is live or refused.

    Nothing is sent to the VNC server before the token has been found valid.
    """

    __slots__ = ("_client", "_deadline", "_entered_at", "_greeted", "_mode", "_phases", "_revoked", "ends", "phase")

    def __init__(self, registry: "SessionRegistry", session_id: str, viewer: IViewer, accepted_at: float) -> None:
        """Prepare the set-up; :meth:`start` begins it."""
        super().__init__(registry, session_id, viewer, accepted_at)
        self.phase = "token"
        self._phases: list[tuple[str, float]] = []  # each phase that is over, with its duration in seconds
        self._entered_at = registry.services.reactor.seconds()
        self._deadline = Deadline(registry.services.reactor)  # of the current step
        self._greeted = False  # whether the handshake with the viewer has begun
        self._mode: str | None = None  # the mode that change_mode() set; None: the mode of the token
        self._revoked: list[tuple[SessionFilter, Refusal]] = []  # see end_if()
        # The connections to VNC servers, one for each attempt that has connected.  A refusal has to close them.
        self.ends: list[IEnd] = []
        # Last: the channel attaches itself to the viewer's connection, which may call self.end() at once.  end() needs
        # the attributes above.
        self._client = HandshakeChannel(viewer.end, self.end)

    def start(self) -> None:
        """Start the set-up."""
        Deferred.fromCoroutine(self._run())

    def end(self, cause: Refusal) -> None:
        """See :class:`Session`.  If a refusal is being sent to the viewer, stop sending it and close the connection."""
        if self.cause is None:
            self.cause = cause
        self._deadline.end(cause)

    def end_if(self, wanted: SessionFilter, cause: Refusal) -> None:
        """Remember a revocation.  After the token check, end the session if the session matches the filter.

        The filter cannot be applied now: the fields that it compares are known only when the answer of the token check
        has arrived.  If consoleauth sent this answer before the revocation, the answer does not show the revocation.
        """
        self._revoked.append((wanted, cause))

    def change_mode(self, mode: str) -> None:
        """See :class:`Session`.  Keep the mode: a token check that is under way may return an older one."""
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
        """Begin the next phase, and record how long the previous one took."""
        now = self.services.reactor.seconds()
        self._phases.append((self.phase, now - self._entered_at))
        self.phase, self._entered_at = phase, now

    async def _set_up(self) -> LiveSession:
        """Run the steps of the set-up."""
        info = await self._authorise()
        self.info = info = self._with_mode(info)
        for wanted, cause in self._revoked:
            if matches(self, wanted):
                raise cause
        slot = self.services.limits.take_slot(info)
        try:
            return await self._connect(info, slot)
        except BaseException:
            # Not only Exception: Python raises GeneratorExit in a coroutine that is dropped before its end.
            slot.give_back()
            raise

    def _with_mode(self, info: ConnectInfo) -> ConnectInfo:
        return info if self._mode is None else replace(info, mode=self._mode)

    async def _authorise(self) -> ConnectInfo:
        viewer, services = self.viewer, self.services
        try:
            if not viewer.token:
                raise TokenMissing
            # A huge token is not sent to consoleauth.
            if len(viewer.token) > services.settings.max_token:
                raise InvalidToken(f"longer than max_token, {services.settings.max_token} characters")
            asked = services.authorise(viewer.token, viewer.console_type, viewer.address)
            late, detail = ServiceUnavailable, "no answer about the token in time"
            info = await self.in_time(asked, services.settings.token_deadline, late, detail)
        except BaseException as error:
            viewer.token_checked(error if isinstance(error, Refusal) else ServiceUnavailable())
            raise
        viewer.token_checked(None)
        return info

    async def _connect(self, info: ConnectInfo, slot: SessionSlot) -> LiveSession:
        settings = self.services.settings
        console = console_type(self.viewer.console_type)
        # Connect before the viewer is greeted: unless name_check is off, reach() refuses a VNC server that reports the
        # name of another VM.  The viewer then receives nothing from the wrong VNC server.
        reached = await reach(self, console, info)
        self.info = self._with_mode(reached.info)
        self.enter("offer")
        # From now on, _refuse() sends no refusal in RFB, because it would break the handshake that begins here.  A
        # noVNC viewer still gets the reason in the close frame of its WebSocket; an XVP viewer gets no reason.
        self._greeted = True
        late, detail = SetupTimeout, "the viewer did not finish its RFB handshake in time"
        greeting = preceded(self.viewer.preface, console.greet())
        await self.in_time(self._client.run(greeting), settings.rfb_deadline, late, detail)
        self.viewer.end.write(console.first_message(reached.opening, self.info))
        # A HandshakeChannel may hold bytes that no handshake has read.  release() returns them to the connection
        # (IEnd), which delivers them to the relay before all later bytes.
        self._client.release()
        reached.upstream.channel.release()
        info = self.info  # read again: change_mode() may have been called during the handshake
        return LiveSession(self, info, slot, reached.end, console.filters(reached.opening, info, settings))

    def in_time(self, what: Awaitable[T], seconds: float, late: type[Refusal], detail: str) -> Deferred[T]:
        """Wait for a step until its own deadline or the deadline of the whole set-up, whichever is earlier.

        :param late: the class of the error after the deadline.
        :param detail: the detail of this error.
        """
        services = self.services
        left = self.accepted_at + services.settings.setup_deadline - services.reactor.seconds()
        return self._deadline.wait(what, min(seconds, left), late, detail)

    async def _refuse(self, cause: Refusal) -> None:
        """Send the viewer the reason, and close all connections; never raises."""
        # If end() was called, its cause is the reason, and the error of the cancelled step is only a consequence.
        cause = self.cause = self.cause or cause
        self.enter(self.phase)  # records the duration of the phase now, without the time that the refusal takes
        gone = self.close_ends(self.ends, cause)
        try:
            if not self._greeted and not self._client.gone:
                await self._send_reason(cause)
        except Exception:
            self.fault()
        # Last: closing the viewer's connection earlier would discard the reason.
        gone += self.close_ends([self.viewer.end], cause)
        await DeferredList(gone)
        self.closed(cause)

    async def _send_reason(self, cause: Refusal) -> None:
        """Send the viewer the reason: a noVNC viewer gets it as a refusal in RFB, an XVP viewer as an HTTP status."""
        handshake = self.viewer.refusal(cause)
        if handshake is None:
            return
        services = self.services
        seconds = STOPPING_DEADLINE if isinstance(cause, Stopping) else services.settings.refusal_deadline
        self._deadline = Deadline(services.reactor)  # a new one: after end(), the old one fails every wait
        try:
            late, detail = SetupTimeout, "the viewer did not read the reason in time"
            await self._deadline.wait(self._client.run(handshake), seconds, late, detail)
        except Refusal:  # the viewer left, did not read, or broke the protocol; the close frame also has the reason
            return
