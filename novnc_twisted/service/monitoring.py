"""Makes the monitoring port and the tracing of a service, from the options of ``[monitoring]``."""

import importlib.util
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

from novnc_twisted.frontend.accepting import Acceptor
from novnc_twisted.service import settings
from novnc_twisted.service.exits import Unusable
from novnc_twisted.service.sockets import Sockets
from novnc_twisted.service.takeover.older_status import OlderStatus

if TYPE_CHECKING:
    from novnc_twisted.events import Observer
    from novnc_twisted.monitoring import Monitor, Status
    from novnc_twisted.service.takeover.successor import PredecessorChannel

NAME: Final = "monitoring"
"""The name of the monitoring port among the sockets of a process."""

MAX_CONNECTIONS: Final = 64
"""Maximum number of connections at the same time; there are only a few probers and scrapers."""

StatusOf = Callable[[], "Deferred[Status]"]
"""Returns the metrics and the readiness of the whole command, that is of all its workers."""


def make_port(
    conf: Any, reactor: Any, sockets: Sockets, status: StatusOf, observer: "Observer"
) -> "MonitoringPort | None":
    """Open the monitoring port; None if ``[monitoring] listen`` is unset.

    :raises Unusable: the address cannot be used.
    """
    address = settings.monitoring_address(conf)
    if address is None:
        return None
    [listener] = sockets.take(NAME, *address, "[monitoring] listen", "[monitoring] listen")
    return MonitoringPort(reactor, listener, status, observer)


def older_status(
    conf: Any, reactor: Any, own: StatusOf, predecessor: "PredecessorChannel | None"
) -> "OlderStatus | None":
    """Make the object that adds the metrics of older processes to those of this one.

    Older processes were replaced in take-overs (SIGUSR2), but still have sessions.  If there is no monitoring port,
    close the channels to these processes, and return None.

    :param own: returns the status of this process, or of its workers.
    """
    channels = predecessor.channels if predecessor is not None else {}
    if settings.monitoring_address(conf) is not None:
        return OlderStatus(reactor, own, channels)
    for channel in channels.values():
        channel.close()
    return None


def make_monitor(conf: Any, reactor: Any) -> "Monitor | None":
    """Make the monitor of this process; None if ``[monitoring] listen`` is unset."""
    if settings.monitoring_address(conf) is None:
        return None
    # Imported only here, because most processes have no monitor.
    from novnc_twisted.monitoring import Monitor

    return Monitor(reactor)


def check_tracing(conf: Any) -> None:
    """Check that OpenTelemetry is installed if ``[monitoring] tracing`` is on.

    :raises Unusable: tracing is on, but OpenTelemetry is not installed.
    """
    if conf.monitoring.tracing and importlib.util.find_spec("opentelemetry") is None:
        raise Unusable("[monitoring] tracing: it needs the extra [tracing]: pip install 'novnc-twisted[tracing]'")


def make_tracing(conf: Any) -> "Observer | None":
    """Make the observer that makes spans; None if ``[monitoring] tracing`` is off.

    :raises Unusable: as for :func:`check_tracing`.
    """
    check_tracing(conf)
    if not conf.monitoring.tracing:
        return None
    from novnc_twisted.monitoring import SetupSpans

    return SetupSpans()


class MonitoringPort:
    """Answers requests on the monitoring port between :meth:`start` and :meth:`stop`.

    :param listener: the listening socket.
    :param status: returns the metrics and the readiness of the command.
    :param observer: called with the event of each refused request or connection.
    """

    def __init__(self, reactor: Any, listener: socket.socket, status: StatusOf, observer: "Observer") -> None:
        self._reactor = reactor
        self._listener = listener
        self._status = status
        self._observer = observer
        self._stop: list[Callable[[], Any]] = []

    def start(self) -> None:
        """Accept connections."""
        from novnc_twisted.access.connection_limits import ConnectionLimits
        from novnc_twisted.frontend.refusals import limits_observer
        from novnc_twisted.monitoring import MonitoringApplication, MonitoringSite

        limits = ConnectionLimits(MAX_CONNECTIONS, observer=limits_observer(NAME, self._observer))
        application = MonitoringApplication(self._status)
        site = MonitoringSite(self._reactor, application, connection_limits=limits, observer=self._observer, name=NAME)
        self._stop = [Acceptor(self._reactor, self._listener, site).stop]

    def stop(self) -> None:
        """Close the port."""
        stops, self._stop = self._stop, []
        for stop in stops:
            stop()
