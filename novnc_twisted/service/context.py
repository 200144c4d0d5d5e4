"""The objects that the services of one process share."""

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from twisted.internet.defer import Deferred, maybeDeferred

from novnc_twisted.access.forwarded import networks
from novnc_twisted.frontend.accepting import Acceptor
from novnc_twisted.frontend.listener import Listener
from novnc_twisted.service import descriptors
from novnc_twisted.service.audit import make_trail
from novnc_twisted.service.bus import make_transport
from novnc_twisted.service.commands import SERVICES, has_proxy, listening_services
from novnc_twisted.service.credentials import UpstreamCredentials
from novnc_twisted.service.monitoring import make_monitor, make_tracing
from novnc_twisted.service.peers import Peers
from novnc_twisted.service.session_tables import SessionTables
from novnc_twisted.service.shutdown import Phase, Shutdown, Step
from novnc_twisted.service.sockets import Sockets
from novnc_twisted.service.tls_options import TLSOptions

if TYPE_CHECKING:
    from novnc_twisted.access import Failures
    from novnc_twisted.access.connection_limits import ConnectionLimits
    from novnc_twisted.audit import AuditTrail
    from novnc_twisted.events import Observer
    from novnc_twisted.frontend.tls import FrontTLS
    from novnc_twisted.messaging.interfaces import ITransport
    from novnc_twisted.monitoring import Monitor
    from novnc_twisted.monitoring.readiness import Check
    from novnc_twisted.session import SessionLimits
    from novnc_twisted.session.shared_table import SharedTable

Start = Callable[[], Awaitable[Any]]
"""Starts a service."""


class Gate:
    """Delays actions until this process may accept connections.

    A process may accept connections when it is the main process of the service, or a worker of the main process.
    During a take-over (SIGUSR2), the old process is the main process until the new process is ready.
    """

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] | None = []

    def when_open(self, begin: Callable[[], None]) -> None:
        """Call a function when the gate opens; at once if the gate is open already."""
        if self._waiting is None:
            begin()
        else:
            self._waiting.append(begin)

    def open(self) -> None:
        """Call all waiting functions.  Further calls do nothing."""
        waiting, self._waiting = self._waiting, None
        for begin in waiting or ():
            begin()


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The shared objects of one process; the argument of every builder.

    :ivar conf: the options.
    :ivar transport: the bus.
    :ivar sockets: the listening sockets of the process, whether they were passed to it or opened by it.
    :ivar gate: opens when this process may accept connections.
    :ivar shutdown: the steps that end the services.
    :ivar observer: called with each event.
    :ivar limits: the limits for the sessions of both proxies together.
    :ivar failures: counts invalid tokens at both proxies.
    :ivar proxy_connections: the limits for the connections of both proxies together.
    :ivar api_connections: the limits for the connections of the API.
    :ivar proxies_tls: TLS at the ports of the proxies; None without a proxy, or if this TLS is not configured.
    :ivar api_tls: TLS at the port of the API; None without the API, or if this TLS is not configured.
    :ivar upstream: the credentials for VNC servers; None without a proxy.
    :ivar trail: the audit trail; None if it is off.
    :ivar renewals: functions for a reload.  Each one reads files again, raises Unusable if a file is invalid, and
        otherwise returns a function that puts the new content into use.
    :ivar changes: functions for a reload.  Each is called with the new options.
    :ivar api_addresses: the address and port of each TCP socket on which the API of this process listens.
    :ivar last_starts: start functions that only the main process calls, after all other starts are done.
    :ivar peers: sends values to the other workers of this command, and receives values from them.
    :ivar monitor: the metrics and the readiness of this process; None if ``[monitoring] listen`` is unset.
    :ivar table: the table to which this process writes its sessions; None: there is no table.  When this process has
        ended, its supervisor or the next start of the proxy reports the sessions that are still in the table.
    :ivar tables: makes tables, and finds those of killed processes.
    """

    reactor: Any
    conf: Any
    transport: "ITransport"
    sockets: Sockets
    gate: Gate
    shutdown: Shutdown
    observer: "Observer"
    limits: "SessionLimits"
    failures: "Failures"
    proxy_connections: "ConnectionLimits"
    api_connections: "ConnectionLimits"
    proxies_tls: "FrontTLS | None" = None
    api_tls: "FrontTLS | None" = None
    upstream: UpstreamCredentials | None = None
    trail: "AuditTrail | None" = None
    monitor: "Monitor | None" = None
    table: "SharedTable | None" = None
    tables: SessionTables = field(default_factory=SessionTables)
    renewals: list[Callable[[], Callable[[], None]]] = field(default_factory=list)
    changes: list[Callable[[Any], None]] = field(default_factory=list)
    api_addresses: list[tuple[str, int]] = field(default_factory=list)
    last_starts: list[Start] = field(default_factory=list)
    peers: Peers = field(default_factory=Peers)

    @classmethod
    def of(cls, command: str, conf: Any, reactor: Any, sockets: Sockets, table: "SharedTable | None" = None) -> Self:
        """Make the objects that the services of a command share.

        :raises Unusable: an option or a file cannot be used; the text is one line that names it.
        """
        from novnc_twisted.access import Failures
        from novnc_twisted.events import EventLog, Observers
        from novnc_twisted.session import SessionLimits

        options, proxies = conf.console, has_proxy(command)
        transport, log, monitor = make_transport(command, conf, reactor), EventLog(reactor), make_monitor(conf, reactor)
        observers, trail, spans = Observers(log), make_trail(command, conf, reactor), make_tracing(conf)
        for observer in (trail, spans):
            if observer is not None:
                observers.add(observer)
        if monitor is not None:
            transport = monitor.measured(transport)
            observers.add(monitor.metrics)
        shutdown = Shutdown(reactor, drain=conf.drain_timeout)
        shutdown.add(Phase.STOP_SERVICES, log.stop)
        shutdown.add(Phase.DISCONNECT, transport.stop)
        context = cls(
            reactor=reactor,
            conf=conf,
            transport=transport,
            sockets=sockets,
            gate=Gate(),
            shutdown=shutdown,
            observer=observers,
            limits=SessionLimits(options.max_sessions, options.max_sessions_per_server),
            failures=Failures(options.max_failures_per_minute, reactor.seconds),
            proxy_connections=_proxy_connections(command, conf, observers),
            api_connections=_api_connections(command, conf, observers),
            proxies_tls=TLSOptions.of_proxies(conf).load() if proxies else None,
            api_tls=TLSOptions.of_api(conf).load() if "consoleapi" in SERVICES[command] else None,
            upstream=UpstreamCredentials(conf) if proxies else None,
            trail=trail,
            monitor=monitor,
            table=table,
        )
        context.changes.append(partial(context.change, command))
        return context

    def change(self, command: str, conf: Any) -> None:
        """Apply new options to the shared objects."""
        options, trusted = conf.console, networks(conf.console.trusted_proxies)
        self.limits.change(options.max_sessions, options.max_sessions_per_server)
        self.failures.change(options.max_failures_per_minute)
        self.proxy_connections.change(_most_connections(command, conf), trusted)
        self.api_connections.change(self.api_connections.maximum, trusted)

    def needs(self, part: str, check: "Check") -> None:
        """Make the readiness of this process depend on a check.

        :param part: the name under which a failure is reported.
        """
        if self.monitor is not None:
            self.monitor.readiness.needs(part, check)

    def stop_at_end(self, stop: Step) -> None:
        """Add the shutdown steps of a service that answers calls on the bus.

        Usually the service stops in the phase STOP_SERVICES.  After a take-over, it already stops in LEAVE_PRESENCE,
        so that an old process that waits for its last sessions does not answer calls any more.

        :param stop: stops the service.
        """
        early: list[Deferred[Any]] = []

        def replaced() -> None:
            if self.shutdown.replaced:
                early.append(maybeDeferred(stop))

        self.shutdown.add(Phase.LEAVE_PRESENCE, replaced)
        self.shutdown.add(Phase.STOP_SERVICES, lambda: early[0] if early else stop())

    def accept(
        self, listeners: list[socket.socket], factory: Any, *, stop: Step, empty: Callable[[], Awaitable[Any]]
    ) -> None:
        """After the gate has opened, accept connections until the shutdown.

        :param factory: makes the protocols of the connections; or a Listener in front of such a factory.
        :param stop: called in the phase STOP_ACCEPTING of the shutdown.
        :param empty: waits until the factory (the one behind a Listener) has no connections.
        """
        shutdown = self.shutdown
        shutdown.add(Phase.STOP_ACCEPTING, stop)

        def begin() -> None:
            for listener in listeners:
                shutdown.add(Phase.STOP_ACCEPTING, Acceptor(self.reactor, listener, factory).stop)

        self.gate.when_open(begin)
        # A Listener reads the first bytes of each connection, and then passes the connection on to the factory.
        first = factory if isinstance(factory, Listener) else None

        async def all_gone() -> None:
            if first is not None:
                await first.passed_on()
            await empty()

        shutdown.add(Phase.WAIT_FOR_SESSIONS, all_gone)
        if first is not None:
            # After a take-over, connections whose first bytes have not come yet stay open: only this process can answer
            # their first requests.
            shutdown.add(Phase.STOP_ACCEPTING, lambda: None if shutdown.replaced else first.stop())
            shutdown.add(Phase.END_SESSIONS, first.stop)


def _proxy_connections(command: str, conf: Any, observer: "Observer") -> "ConnectionLimits":
    from novnc_twisted.access.connection_limits import ConnectionLimits
    from novnc_twisted.frontend.refusals import limits_observer

    most = _most_connections(command, conf)
    # The log line about a refused connection continues with "To change this:" and this text.
    option = (
        "[console] max_connections (by default as many as LimitNOFILE allows), or trusted_proxies, if the address is "
        "that of a reverse proxy"
    )
    trusted = networks(conf.console.trusted_proxies)
    return ConnectionLimits(most, trusted=trusted, observer=limits_observer("proxies", observer, option))


def _most_connections(command: str, conf: Any) -> int:
    """Return the maximum number of connections of all proxies in a process."""
    with_api = "consoleapi" in SERVICES[command]
    found = descriptors.connections_of_proxies(descriptors.current_limit(), with_api=with_api)
    return int(conf.console.max_connections) or found


def _api_connections(command: str, conf: Any, observer: "Observer") -> "ConnectionLimits":
    from novnc_twisted.access.connection_limits import ConnectionLimits
    from novnc_twisted.frontend.refusals import limits_observer

    with_proxies = len(listening_services(command)) > 1
    most = descriptors.connections_of_api(descriptors.current_limit(), with_proxies=with_proxies)
    trusted = networks(conf.console.trusted_proxies)
    option = "LimitNOFILE, or trusted_proxies"
    return ConnectionLimits(most, trusted=trusted, observer=limits_observer("consoleapi", observer, option))
