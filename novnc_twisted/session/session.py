"""The life of a connection as a story: who are you, where is your VM, dial, introduce, relay, end."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from novnc_twisted.access.display import one_line
from novnc_twisted.access.tokens import MAX_TOKEN
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.fields import MAX_TEXT
from novnc_twisted.errors import (
    ConsoleUnreachable,
    IdleTimeout,
    InvalidToken,
    Refusal,
    Revoked,
    ServiceUnavailable,
    SessionExpired,
    SetupTimeout,
    Stopping,
    TokenMissing,
)
from novnc_twisted.relay.interfaces import IFilter
from novnc_twisted.relay.join import join
from novnc_twisted.relay.timer_wheel import Timer, timer_wheel_of
from novnc_twisted.rfb.handshake import StartTLS
from novnc_twisted.rfb.login import login
from novnc_twisted.rfb.offer import offer
from novnc_twisted.rfb.server_init import ServerInit
from novnc_twisted.rfb.shield import Shield
from novnc_twisted.session.context import SessionContext
from novnc_twisted.session.deadline import Deadline
from novnc_twisted.session.handshake_channel import HandshakeChannel
from novnc_twisted.session.interfaces import IViewer
from novnc_twisted.session.limits import SessionSlot
from novnc_twisted.session.record import record
from novnc_twisted.session.token_lease import TokenLease
from novnc_twisted.session.upstream.access_path import pass_gate
from novnc_twisted.session.upstream.dial import dial
from novnc_twisted.session.upstream.end import UpstreamEnd
from novnc_twisted.session.upstream.loss import loss_before_session

T = TypeVar("T")

STOPPING_PATIENCE = 1.0
"""Seconds for last words while the proxy is being stopped: it promises to be gone in 5."""


class Session:
    """One viewer's connection to a console, from its token to its end.

    :ivar phase: how far it came.
    :ivar cause: why it ended, once it did.
    :ivar info: where the console is, once the token was found good.
    """

    log = Logger()

    __slots__ = (
        "_accepted_at",
        "_client",
        "_clock",
        "_context",
        "_deadline",
        "_ended",
        "_introduced",
        "_joined",
        "_lease",
        "_refusal_deadline",
        "_secured_at",
        "_server",
        "_settings",
        "_slot",
        "_timers",
        "_upstream",
        "_viewer",
        "cause",
        "info",
        "phase",
    )

    def __init__(
        self, context: SessionContext, viewer: IViewer, accepted_at: float, ended: "Callable[[Session, Refusal], None]"
    ) -> None:
        """Prepare; :meth:`begin` begins.

        :param accepted_at: when the connection was accepted, in the reactor's seconds.
        :param ended: told the cause of the end when both ends are closed and nothing is left.
        """
        self.phase = "token"
        self.cause: Refusal | None = None
        self.info: ConnectInfo | None = None
        self._context, self._viewer, self._accepted_at = context, viewer, accepted_at
        self._settings, self._clock = context.settings, context.reactor
        self._ended = ended
        self._deadline: Deadline | None = Deadline(self._clock)  # until it lives
        self._refusal_deadline: Deadline | None = None  # once the cause is known
        self._slot: SessionSlot | None = None
        self._joined: Deferred[Refusal] | None = None  # while it lives
        self._introduced = False  # whether RFB began
        self._upstream: UpstreamEnd | None = None
        self._server: HandshakeChannel | None = None  # the handshake with it, until it lives
        self._secured_at = -1  # how much it had sent when TLS began
        self._lease: TokenLease | None = None
        self._timers: tuple[Timer, ...] = ()
        self._client: HandshakeChannel | None = HandshakeChannel(viewer.end, self.end)  # until it lives

    def end(self, cause: Refusal) -> None:
        """End it, in whatever phase it is: the first cause stays, what is under way is cancelled, both ends close."""
        if self.cause is None:
            self.cause = cause
            if self._joined is not None:
                self._joined.cancel()
            elif self._deadline is not None:
                self._deadline.end(cause)
        elif self._refusal_deadline is not None:  # a viewer that left, or a proxy that stops, need no last words
            self._refusal_deadline.end(cause)

    def viewer(self) -> IViewer:
        """Whose it is."""
        return self._viewer

    def begin(self) -> None:
        """Begin.  The story is told by coroutines; while it lives there is none, since a session's frames and Deferreds
        are half of its memory: the end of the join goes on with it.
        """
        Deferred.fromCoroutine(self._set_up())

    async def _set_up(self) -> None:
        cause: Refusal
        try:
            await self._story()
            return
        except Refusal as refusal:
            cause = refusal
        except Exception:
            self.log.failure("a session failed by a mistake of ours")
            cause = ServiceUnavailable("a mistake in the proxy, logged before this")
        await self._end(cause)

    def _lived(self, result: Refusal | Failure) -> None:
        """The join is over: by itself, or since :meth:`end` cancelled it."""
        cause = self.cause
        if isinstance(result, Refusal):
            cause = cause or result
        elif cause is None:
            self.log.failure("a session failed by a mistake of ours", result)
        Deferred.fromCoroutine(self._end(cause or ServiceUnavailable("a mistake in the proxy, logged before this")))

    async def _end(self, cause: Refusal) -> None:
        """Close everything, leave a record, tell whoever waits for it; never raises."""
        cause = self.cause = self.cause or cause
        if self._slot is not None:
            self._slot.give_back()
        try:
            await self._close(cause)
            record(
                cause=cause,
                phase=self.phase,
                seconds=self._clock.seconds() - self._accepted_at,
                console_type=self._viewer.console_type,
                peer=self._viewer.end.peer,
                address=self._viewer.address,
                info=self.info,
                bytes_in=self._viewer.end.bytes_in,
                bytes_out=self._viewer.end.bytes_out,
            )
        except Exception:
            self.log.failure("a session could not be closed by a mistake of ours")
        self._ended(self, cause)

    async def _story(self) -> None:
        """All of it up to life, in order.  No byte reaches the VNC server before the token is good."""
        info = self.info = await self._authorise()
        self._slot = self._context.limits.take_slot(info)
        self.phase = "dial"
        upstream = await self._dial(info)
        if info.internal_access_path:
            self.phase = "access path"
            await self._in_time(
                pass_gate(upstream, info.internal_access_path),
                self._settings.dial_deadline,
                ConsoleUnreachable("no answer to CONNECT in time"),
            )
        self.phase = "login"
        screen = await self._login(upstream)
        self.phase = "offer"
        await self._introduce(screen.renamed(one_line(info.name, MAX_TEXT)) if info.name else screen)
        self.phase = "live"
        self._live(info, upstream)

    async def _authorise(self) -> ConnectInfo:
        viewer = self._viewer
        try:
            if not viewer.token:
                raise TokenMissing
            if len(viewer.token) > MAX_TOKEN:
                raise InvalidToken("longer than any token")
            asked = self._context.authorise(viewer.token, viewer.console_type, viewer.address)
            late = ServiceUnavailable("no answer about the token in time")
            info = await self._in_time(asked, self._settings.token_deadline, late)
        except BaseException as error:
            viewer.token_checked(error if isinstance(error, Refusal) else ServiceUnavailable())
            raise
        viewer.token_checked(None)
        return info

    async def _dial(self, info: ConnectInfo) -> HandshakeChannel:
        where = info.socket or f"{info.host}:{info.port}"
        late = ConsoleUnreachable(f"no connection to {where} in time")
        dialled = dial(self._context.reactor, info, self._settings)
        self._upstream = await self._in_time(dialled, self._settings.dial_deadline, late)
        self._server = HandshakeChannel(self._upstream, self._upstream_lost)
        return self._server

    async def _login(self, upstream: HandshakeChannel) -> ServerInit:
        late = ConsoleUnreachable("the VNC server did not finish its handshake in time")
        handshake = login(self._settings.auth_schemes, vencrypt_subtypes=self._settings.vencrypt_subtypes)
        return await self._in_time(
            upstream.run(handshake, self._answer, self._start_tls), self._settings.rfb_deadline, late
        )

    async def _start_tls(self, step: StartTLS) -> None:
        """TLS towards the VNC server, in which it must be the one that was dialled."""
        assert self.info is not None and self._upstream is not None  # for the type checker: it was dialled
        tls, deadline = self._settings.upstream_tls, self._settings.tls_deadline
        name = tls.name_of(self.info) if step.verified else None
        late = ConsoleUnreachable("the VNC server did not finish the TLS handshake in time")
        await Deadline(self._clock).wait(tls.start(self._upstream, name), deadline, late)
        self._secured_at = self._upstream.bytes_in

    async def _answer(self, what: str) -> str | None:
        """What the login asks for: the password, fetched for the connection that needs it and stored nowhere."""
        assert self.info is not None  # for the type checker: nobody logs in before the token was good
        if what != "password" or self.info.password is not None or self._context.ask_password is None:
            return self.info.password if what == "password" else None
        viewer = self._viewer
        asked = self._context.ask_password(viewer.token or "", viewer.console_type, viewer.address)
        late = ServiceUnavailable("no answer about the VNC password in time")
        return await Deadline(self._clock).wait(asked, self._settings.token_deadline, late)

    async def _introduce(self, screen: ServerInit) -> None:
        self._introduced = True
        self._viewer.welcome()
        late = SetupTimeout("the viewer did not finish its RFB handshake in time")
        assert self._client is not None  # for the type checker: it does not live yet
        await self._in_time(self._client.run(offer()), self._settings.rfb_deadline, late)
        self._viewer.end.write(screen.encode())

    def _live(self, info: ConnectInfo, upstream: HandshakeChannel) -> None:
        if self._context.keep_token is not None and info.reconnects:
            self._lease = TokenLease(
                self._clock,
                self._context.keep_token,
                self._viewer.token or "",
                self._viewer.address,
                every=self._settings.keep_interval,
                deadline=self._settings.token_deadline,
                after=info.keep_from,
            )
        if info.expires_at is not None:
            # Unix time, which the reactor's clock is not: a monotonic clock starts anywhere.
            left = max(0.0, info.expires_at - time.time())
            self._timers = (timer_wheel_of(self._clock).callLater(left, self.end, SessionExpired()),)
        if self._settings.idle_timeout:
            # The viewer may have sent all of its handshake long ago, while the set-up waited for somebody else.
            self._viewer.end.heard_at = self._clock.seconds()
            self._watch_idleness()
        assert self._client is not None  # for the type checker: it begins to live now
        if self._slot is not None:
            self._slot.set_up()
        self._client.release()
        upstream.release()
        # mypy can't know that the shield is an IFilter: floor 1 knows no relay
        shield: IFilter | None = Shield() if self._settings.shield else None  # type: ignore[assignment]
        self._client = self._server = self._deadline = None
        self._joined = join(self._viewer.end, upstream.end, shield)
        self._joined.addBoth(self._lived)

    def _watch_idleness(self) -> None:
        """Look again when the viewer may have been idle for long enough."""
        left = self._viewer.end.heard_at + self._settings.idle_timeout - self._clock.seconds()
        if left <= 0:
            self.end(IdleTimeout())
        else:
            waiting = tuple(timer for timer in self._timers if timer.active())
            self._timers = (*waiting, timer_wheel_of(self._clock).callLater(left, self._watch_idleness))

    def _upstream_lost(self, cause: Refusal) -> None:
        """The VNC server left before there was a session."""
        assert self.info is not None and self._server is not None and self._upstream is not None  # it was dialled
        # In TLS 1.3 our handshake is done before the server has looked at our certificate.
        refused_tls = self._upstream.bytes_in == self._secured_at
        loss = loss_before_session(
            cause,
            awaited=self._server.awaits,
            live_sessions=self._context.limits.live_sessions(self.info),
            suspicion=self._settings.upstream_tls.suspicion if refused_tls else "",
        )
        self.end(loss)

    def _in_time(self, what: Awaitable[T], seconds: float, late: Refusal) -> Deferred[T]:
        """Wait for a part of the set-up: for its own deadline, and never beyond the one of all parts together."""
        assert self._deadline is not None  # for the type checker: it does not live yet
        left = self._accepted_at + self._settings.setup_deadline - self._clock.seconds()
        return self._deadline.wait(what, min(seconds, left), late)

    async def _close(self, cause: Refusal) -> None:
        """Close both ends and wait until nothing is left; each part of it is bounded by a timer."""
        for timer in self._timers:
            timer.cancel()
        parts: list[Deferred[Any]] = []
        if self._upstream is not None:
            self._upstream.close(cause)
            parts.append(self._upstream.closed())
        if self._lease is not None:
            if isinstance(cause, (Revoked, SessionExpired)):
                self._lease.stop()
            else:
                patience = STOPPING_PATIENCE if isinstance(cause, Stopping) else self._settings.token_deadline
                parts.append(Deferred.fromCoroutine(self._lease.last(patience)))
        if not self._introduced and self._client is not None and not self._client.gone:
            await self._show(cause, self._client)
        self._viewer.end.close(cause)
        parts.append(self._viewer.end.closed())
        if waiting := [part for part in parts if not part.called]:
            await gatherResults(waiting)

    async def _show(self, cause: Refusal, client: HandshakeChannel) -> None:
        """Tell the viewer why, before RFB began, in its front's manner."""
        handshake = self._viewer.refusal(cause)
        if handshake is None:
            return
        seconds = STOPPING_PATIENCE if isinstance(cause, Stopping) else self._settings.refusal_deadline
        late = SetupTimeout("the viewer did not take the reason")
        self._refusal_deadline = Deadline(self._clock)
        try:
            await self._refusal_deadline.wait(client.run(handshake), seconds, late)
        except Refusal:  # it left, is silent or makes no sense: the close frame says the same
            return
