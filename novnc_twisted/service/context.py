"""What the services of one process share."""

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from novnc_twisted.access.forwarded import networks
from novnc_twisted.frontend.accepting import Acceptor
from novnc_twisted.frontend.listener import Listener
from novnc_twisted.service import descriptors
from novnc_twisted.service.audit import make_trail
from novnc_twisted.service.bus import make_transport
from novnc_twisted.service.commands import SERVICES, has_proxy, listening_services
from novnc_twisted.service.credentials import Upstream
from novnc_twisted.service.monitoring import make_monitor, make_tracing
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

Start = Callable[[], Awaitable[Any]]
"""Starts a service."""


class Gate:
    """Holds back what must not begin before this is the service's main process."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] | None = []

    def when_open(self, begin: Callable[[], None]) -> None:
        """Call this now, or when the gate is opened."""
        if self._waiting is None:
            begin()
        else:
            self._waiting.append(begin)

    def open(self) -> None:
        """Let everything begin.  Further calls do nothing."""
        waiting, self._waiting = self._waiting, None
        for begin in waiting or ():
            begin()


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every builder is given.

    :ivar conf: the options.
    :ivar transport: the bus.
    :ivar sockets: the listening sockets that were passed to the process.
    :ivar gate: connections are accepted when it is open.
    :ivar shutdown: what ends a service is added here.
    :ivar observer: called with each event.
    :ivar limits: how many sessions both proxies may have together.
    :ivar failures: guesses of a token at both proxies.
    :ivar proxy_connections: how many connections both proxies may have together.
    :ivar api_connections: how many connections the API may have.
    :ivar proxies_tls: TLS at the ports of the proxies; None if it is not configured.
    :ivar api_tls: TLS at the port of the API; None if it is not configured.
    :ivar upstream: the credentials for VNC servers; None without a proxy.
    :ivar trail: the audit trail; None if it is off.
    :ivar renewals: each reads files again, and returns what puts them into use; it raises Unusable for a bad file.
    :ivar changes: called with the new options when a reload has changed some.
    :ivar monitor: the metrics and the readiness of this process; None if ``[monitoring] listen`` is unset.
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
    upstream: Upstream | None = None
    trail: "AuditTrail | None" = None
    monitor: "Monitor | None" = None
    renewals: list[Callable[[], Callable[[], None]]] = field(default_factory=list)
    changes: list[Callable[[Any], None]] = field(default_factory=list)

    @classmethod
    def of(cls, command: str, conf: Any, reactor: Any, sockets: Sockets) -> Self:
        """Make what the services of a command share.

        :raises Unusable: with one line that names the option that is wrong.
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
            upstream=Upstream(conf) if proxies else None,
            trail=trail,
            monitor=monitor,
        )
        context.changes.append(partial(context.change, command))
        return context

    def change(self, command: str, conf: Any) -> None:
        """Use other options, as far as the services of this process share what depends on them."""
        options, trusted = conf.console, networks(conf.console.trusted_proxies)
        self.limits.change(options.max_sessions, options.max_sessions_per_server)
        self.failures.change(options.max_failures_per_minute)
        self.proxy_connections.change(_most_connections(command, conf), trusted)
        self.api_connections.change(self.api_connections.maximum, trusted)

    def needs(self, part: str, check: "Check") -> None:
        """Make the readiness of this process depend on a part, which ``check`` asks."""
        if self.monitor is not None:
            self.monitor.readiness.needs(part, check)

    def accept(
        self, listeners: list[socket.socket], factory: Any, *, stop: Step, empty: Callable[[], Awaitable[Any]]
    ) -> None:
        """Accept connections when the gate is open, until the shutdown.

        :param stop: prepares the server for the end: no connection follows.
        :param empty: waits until the server has no connection.
        """
        shutdown = self.shutdown
        shutdown.add(Phase.STOP_ACCEPTING, stop)

        def begin() -> None:
            for listener in listeners:
                shutdown.add(Phase.STOP_ACCEPTING, Acceptor(self.reactor, listener, factory).stop)

        self.gate.when_open(begin)
        before = factory if isinstance(factory, Listener) else None

        async def all_gone() -> None:
            # One after the other: a connection is passed on to the front before it can become a session.
            if before is not None:
                await before.passed_on()
            await empty()

        shutdown.add(Phase.WAIT_FOR_SESSIONS, all_gone)
        if before is not None:
            shutdown.add(Phase.STOP_ACCEPTING, lambda: None if shutdown.replaced else before.stop())
            shutdown.add(Phase.END_SESSIONS, before.stop)


def _proxy_connections(command: str, conf: Any, observer: "Observer") -> "ConnectionLimits":
    from novnc_twisted.access.connection_limits import ConnectionLimits
    from novnc_twisted.frontend.refusals import limits_observer

    most = _most_connections(command, conf)
    option = (
        "[console] max_connections (by default as many as LimitNOFILE allows); trusted_proxies, where this is a "
        "reverse proxy's address"
    )
    trusted = networks(conf.console.trusted_proxies)
    return ConnectionLimits(most, trusted=trusted, observer=limits_observer("proxies", observer, option))


def _most_connections(command: str, conf: Any) -> int:
    """How many connections the proxies of a process may have together."""
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
