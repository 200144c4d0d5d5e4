"""The factory of a proxy's connections."""

from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from novnc_twisted.access.connection_limits import ConnectionLimits, ConnectionSlot
from novnc_twisted.access.failures import Failures
from novnc_twisted.events.log import EventLog
from novnc_twisted.events.records import Observer
from novnc_twisted.session.limits import SessionLimits
from novnc_twisted.session.people import People
from novnc_twisted.session.registry import SessionRegistry
from novnc_twisted.session.services import AskPassword, Authorise, ChangePower, FindAgain, KeepToken, SessionServices
from novnc_twisted.session.settings import SessionSettings

if TYPE_CHECKING:
    from novnc_twisted.frontend.connection import FrontConnection
    from novnc_twisted.frontend.protocol import FrontProtocol


class FrontFactory(Factory):
    """Makes the protocols of one proxy, and holds its connections and sessions.

    :cvar name: the proxy's name in the log.
    :ivar settings: the settings of sessions, and the deadlines of connections.
    :ivar reactor: the reactor.
    :ivar failures: counts failed guesses of a token for each client address.
    :ivar connection_limits: how many connections there may be.
    :ivar observer: called with each event.
    :ivar connections: the open connections, without those whose sockets a detached relay
        (:mod:`novnc_twisted.relay.detached`) has taken over.
    :ivar registry: the sessions.
    :ivar draining: whether a connection is closed after a response, instead of waiting for a further request, because
        the proxy stops.
    """

    name = "proxy"
    noisy = False
    _protocol: "type[FrontProtocol]"

    def __init__(
        self,
        reactor: Any,
        authorise: Authorise,
        *,
        settings: SessionSettings | None = None,
        ask_password: AskPassword | None = None,
        keep_token: KeepToken | None = None,
        find_again: FindAgain | None = None,
        change_power: ChangePower | None = None,
        people: People | None = None,
        limits: SessionLimits | None = None,
        failures: Failures | None = None,
        connection_limits: ConnectionLimits | None = None,
        observer: Observer | None = None,
    ) -> None:
        """Make the factory.

        :param authorise: ``async (token, console_type, client_address) -> ConnectInfo``: checks a token.  Raises a
            :class:`novnc_twisted.errors.Refusal` if the token is refused; may take ``settings.token_deadline`` seconds.
        :param settings: default: :class:`SessionSettings` with its default values.
        :param ask_password: ``async (token, console_type, client_address) -> str | None``: returns the VNC password;
            called only if the VNC server requires one and ``ConnectInfo.password`` is None.
        :param keep_token: ``async (token, client_address) -> str | None``: called regularly while a session lives.
            Renews the token's lease, which lets the viewer reconnect, usually even after the token itself has expired.
            Returns what the viewer may do from now on, ``control`` or ``view``; None: no change.
        :param find_again: ``async (token, client_address, info) -> ConnectInfo | None``: called if the console is
            perhaps not at the address in ``info``, or if the console page asks for the state of the server.  Returns
            the present address and state, or None if they are not known; may take ``settings.token_deadline``
            seconds.
        :param change_power: ``async (token, console_type, client_address, action) -> str | None``: begins an action
            (:data:`novnc_twisted.contract.power.VIEWERS_ACTIONS`) that a viewer asks for, and returns why it was
            refused, or None.  Without this function, viewers are offered no actions.
        :param people: the calls to consoleauth about the people at a console, about control and about links for guests;
            None: console pages have no channel to the proxy.  The XVP proxy does not use this argument.
        :param limits: limits of sessions; may be shared with another proxy of this process.  Default: limits for this
            proxy only.
        :param failures: counts failed guesses of a token; may be shared, too.  Default: counts for this proxy only.
        :param connection_limits: limits of connections; may be shared, too.  Default: no limits.
        :param observer: called with each event (see :mod:`novnc_twisted.events`); default: write events to the log.
        """
        settings = SessionSettings() if settings is None else settings
        if limits is None:
            limits = SessionLimits(settings.max_sessions, settings.max_sessions_per_server)
        self._log: EventLog | None = None
        if observer is None:
            observer = self._log = EventLog(reactor)
        self.reactor, self.settings, self.observer = reactor, settings, observer
        # Compared with None: these objects have a length, so an empty object is false, and ``or`` would replace it.
        self.failures = Failures(settings.max_failures_per_minute, reactor.seconds) if failures is None else failures
        self.connection_limits = ConnectionLimits() if connection_limits is None else connection_limits
        self.connections: set[FrontConnection] = set()
        self.draining = False
        services = SessionServices(
            reactor=reactor,
            authorise=authorise,
            settings=settings,
            limits=limits,
            observer=observer,
            ask_password=ask_password,
            keep_token=keep_token,
            find_again=find_again,
            change_power=change_power,
            people=people,
        )
        self.registry = SessionRegistry(services, self._session_ended)

    def use(self, settings: SessionSettings) -> None:
        """Use other settings for new connections and sessions, and for what the existing ones still have to do."""
        self.settings = settings
        self.registry.use(settings)

    @property
    def sessions(self) -> int:
        """The number of sessions, including those being set up and those being closed."""
        return len(self.registry)

    def buildProtocol(  # type: ignore[override]  # the protocol's factory is a subclass of Factory
        self, addr: IAddress | None
    ) -> "FrontProtocol | None":
        """Make the protocol of a new connection; None if there are too many connections."""
        # Checked before anything is made: refusing a connection must cost as little as possible.
        return self.connection_limits.admit_and_build(getattr(addr, "host", ""), partial(self.build, addr))

    def build(self, addr: IAddress | None, slot: ConnectionSlot) -> "FrontProtocol":
        """Make the protocol for a connection that already has its slot."""
        protocol = self._protocol()
        protocol.factory = self
        protocol.slot = slot
        return protocol

    def stopFactory(self) -> None:
        """See Factory: no port uses the factory any more."""
        if self._log is not None:
            self._log.stop()

    def _session_ended(self, viewer: Any) -> None:
        viewer.slot.release()

    def close_idle(self) -> None:
        """Close each connection without a session or a final response, even if its request is being answered."""
        for connection in list(self.connections):
            connection.hang_up()

    def close_when_answered(self, *, first_requests: bool) -> None:
        """Close each connection that is not a session.

        A connection whose request is being answered is closed after the response.  A connection that waits for a
        request, or is receiving one, is closed now, with the exception below.

        :param first_requests: True: a connection that waits for its first request, or is receiving it, stays open, and
            may become a session.  False: this connection is closed, too.
        """
        self.draining = True
        for connection in list(self.connections):
            if connection.waits_for_request(first=not first_requests):
                connection.hang_up()

    async def empty(self) -> None:
        """Wait until there is neither a connection nor a session."""
        # In a loop, because a connection may become a session while we wait for another one.
        while self.connections or len(self.registry):
            await gatherResults([connection.gone for connection in self.connections])
            await self.registry.none_left()

    def stop_sessions(self) -> Deferred[None]:
        """End all sessions, also those being set up, with Stopping (1001), and close all other connections.

        A connection with a final response closes itself.  A session that begins later is ended at once.

        :return: fires when no connection is left.
        """
        # Collected before close_idle(), which may remove connections from the set at once.
        waiting: list[Deferred[None]] = [connection.gone for connection in self.connections]
        self.close_idle()
        waiting.append(self.registry.stop())
        return gatherResults(waiting).addCallback(lambda _: None)
