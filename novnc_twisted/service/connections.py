"""The connection limits of the listeners of a process, and the observer of events."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from novnc_twisted.access.forwarded import networks
from novnc_twisted.service import descriptors

if TYPE_CHECKING:
    from novnc_twisted.access.connection_limits import ConnectionLimits
    from novnc_twisted.events import EventLog


@dataclass(frozen=True, slots=True)
class Connections:
    """What the listeners of one process share.

    :ivar proxies: the limits of both proxies together.
    :ivar api: those of the API.
    :ivar events: the log, the observer of every event.
    """

    proxies: "ConnectionLimits"
    api: "ConnectionLimits"
    events: "EventLog"

    @classmethod
    def of(cls, conf: Any, reactor: Any, listening: Collection[str]) -> Self:
        """Make them for a process.

        :param listening: names of the parts that listen.
        """
        from novnc_twisted.access.connection_limits import ConnectionLimits
        from novnc_twisted.events import EventLog
        from novnc_twisted.frontend.refusals import limits_observer

        limit, api = descriptors.current_limit(), "consoleapi" in listening
        most = conf.console.max_connections or descriptors.connections_of_proxies(limit, with_api=api)
        trusted, events = networks(conf.console.trusted_proxies), EventLog(reactor)
        return cls(
            ConnectionLimits(
                most,
                trusted=trusted,
                observer=limits_observer(
                    "proxies",
                    events,
                    "[console] max_connections (by default as many as LimitNOFILE allows); trusted_proxies, where "
                    "this is a reverse proxy's address",
                ),
            ),
            ConnectionLimits(
                descriptors.connections_of_api(limit, with_proxies=len(listening) > 1),
                trusted=trusted,
                observer=limits_observer("consoleapi", events, "LimitNOFILE, or trusted_proxies"),
            ),
            events,
        )
