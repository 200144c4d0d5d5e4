"""The connection to the VNC server during the set-up of a session."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from twisted.internet.defer import Deferred

from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.errors import ConsoleUnreachable, Refusal, ServiceUnavailable
from novnc_twisted.rfb.handshake import Handshake, StartTLS
from novnc_twisted.session.deadline import Deadline
from novnc_twisted.session.handshake_channel import HandshakeChannel
from novnc_twisted.session.upstream.end import UpstreamEnd
from novnc_twisted.session.upstream.loss import loss_before_session

if TYPE_CHECKING:
    from novnc_twisted.session.session import Session

T = TypeVar("T")


class UpstreamConnection:
    """Runs handshakes with the VNC server: answers their questions, starts TLS, and finds out why the server left.

    :ivar channel: reads and writes the bytes of the handshakes.
    """

    __slots__ = ("_attempt", "_end", "_info", "_lost_callback", "_secured_at", "_session", "channel")

    def __init__(self, session: "Session", end: UpstreamEnd, info: ConnectInfo, heard: Callable[[], None]) -> None:
        """Make the channel, which becomes the receiver of ``end``.

        :param end: the connection to the VNC server.
        :param heard: called when the first bytes come.
        """
        self._session = session
        # Until keep(), the loss of the connection ends this attempt only: another attempt may follow.
        self._attempt = Deadline(session.services.reactor)
        self._lost_callback: Callable[[Refusal], None] = self._attempt.end
        self._end = end
        self._info = info
        # The number of bytes received until TLS with certificates was established; -1: no such TLS.
        self._secured_at = -1
        self.channel = HandshakeChannel(end, self._lost, heard)

    def run(self, handshake: Handshake[T]) -> Deferred[T]:
        """Run the handshake of a log-in."""
        return self.unless_lost(self.channel.run(handshake, self._answer, self._start_tls))

    def unless_lost(self, what: Awaitable[T]) -> Deferred[T]:
        """Wait for a step.

        Must be called before :meth:`keep`: from then on, a loss of the connection ends the session, not this wait.

        :return: fires with the result; fails with the reason if the connection is lost, or was lost before this call.
        """
        return self._attempt.wait(what)

    def keep(self) -> None:
        """Let the loss of the connection end the session from now on.

        :raises Refusal: the connection was lost already.
        """
        if self._attempt.over is not None:
            raise self._attempt.over
        self._lost_callback = self._session.end

    async def _answer(self, what: str) -> str | None:
        """Return the VNC password.  None: the handshake asks for something else, or there is no password.

        The password comes from the connect info, or else from ``ask_password`` of the session's services.  The answer
        of ``ask_password`` is not stored.
        """
        services, viewer = self._session.services, self._session.viewer
        if what != "password":
            return None
        if self._info.password is not None or services.ask_password is None:
            return self._info.password
        asked = services.ask_password(viewer.token or "", viewer.console_type, viewer.address)
        late, detail = ServiceUnavailable, "no answer about the VNC password in time"
        return await Deadline(services.reactor).wait(asked, services.settings.token_deadline, late, detail)

    async def _start_tls(self, step: StartTLS) -> None:
        """Start TLS, and verify the server's certificate if the sub-type of VeNCrypt uses certificates."""
        services = self._session.services
        tls = services.settings.upstream_tls
        name = tls.name_of(self._info) if step.verified else None
        late, detail = ConsoleUnreachable, "the VNC server did not finish the TLS handshake in time"
        started = tls.start(self._end, name)
        await Deadline(services.reactor).wait(started, services.settings.tls_deadline, late, detail)
        if step.verified:
            self._secured_at = self._end.bytes_in

    def _lost(self, cause: Refusal) -> None:
        """Report why the VNC server left before the session was live."""
        services = self._session.services
        # In TLS 1.3, our side completes the handshake before the server has checked our certificate.  A server that
        # rejects our certificate then closes the connection before it has sent any data inside TLS.
        refused_tls = self._end.bytes_in == self._secured_at
        loss = loss_before_session(
            cause,
            awaited=self.channel.awaits,
            live_sessions=services.limits.live_sessions(self._info),
            suspicion=services.settings.upstream_tls.suspicion if refused_tls else "",
        )
        self._lost_callback(loss)
