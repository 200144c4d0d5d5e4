"""The API server's HTTP site."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from novnc_twisted.access.connection_limits import ConnectionLimits
from novnc_twisted.access.forwarded import networks
from novnc_twisted.api.app import NAME, Application
from novnc_twisted.api.backends import IComputeAPI, IConsoleAuthAPI
from novnc_twisted.events.log import EventLog
from novnc_twisted.events.records import Observer
from novnc_twisted.frontend.refusals import limits_observer
from novnc_twisted.http.access_log import LoggedPaths
from novnc_twisted.http.site import Site
from novnc_twisted.identity.strategy import IAuth
from novnc_twisted.messaging.interfaces import ITransport

MAX_CONNECTIONS: Final = 1000
"""Maximum number of connections at the same time, if no other limit is given."""

_SECRET_BELOW: Final = ("os-console-auth-tokens", "tokens")
"""If a path contains one of these segments, the access log hides the variable segments of the path, such as ids.

A console token follows ``os-console-auth-tokens``.  The id of an API token follows ``tokens``.  The id is not secret,
but people may paste the API token in its place."""


class APISite(Site):
    """The API's site.  When it stops, it also stops its log of events.

    :ivar application: the API.
    """

    application: Application
    noisy = False  # Twisted need not log the address, because our service logs it.

    def __init__(self, log: EventLog, *arguments: Any, **options: Any) -> None:
        """Prepare to listen; see :class:`~novnc_twisted.http.site.Site`.

        :param log: the log of events, which :meth:`stopFactory` stops.
        """
        super().__init__(*arguments, **options)
        self._event_log = log

    def stopFactory(self) -> None:
        """See Factory."""
        self._event_log.stop()
        super().stopFactory()


def make_site(
    reactor: Any,
    *,
    consoleauth: IConsoleAuthAPI,
    compute: IComputeAPI,
    transport: ITransport,
    auth: IAuth,
    trusted_proxies: Sequence[str] = (),
    connection_limits: ConnectionLimits | None = None,
    observer: Observer | None = None,
    now: Callable[[], float] = time.time,
) -> APISite:
    """Make the site with all APIs and pages of the API server, ready to listen.

    :param reactor: gives the time (IReactorTime).
    :param consoleauth: a :class:`novnc_twisted.consoleauth.rpcapi.ConsoleAuthAPI`.
    :param compute: a :class:`novnc_twisted.compute.rpcapi.ComputeAPI`.
    :param transport: carries calls to other services.  It also gives the list of live services for ``os-services``, and
        the keyed store (see :mod:`novnc_twisted.messaging.interfaces`), which contains log-ins and API tokens.
    :param auth: :class:`~novnc_twisted.identity.NoAuth`, :class:`~novnc_twisted.identity.HTTPBasic` or
        :class:`~novnc_twisted.identity.KeystoneUsers`.
    :param trusted_proxies: addresses and networks whose X-Forwarded-For, -Proto and -Prefix are accepted.
    :param connection_limits: the limits on the number of connections; default: :data:`MAX_CONNECTIONS` for
        all clients together.
    :param observer: called with each event (see :mod:`novnc_twisted.events`); default: an EventLog.
    :param now: returns the Unix time in seconds.
    :raises ValueError: a trusted proxy is neither an address nor a network.
    """
    trusted = networks(trusted_proxies)
    # Made even if an observer is given, because APISite needs a log that it can stop.  An unused log costs nothing.
    log = EventLog(reactor)
    observer = observer or log
    if connection_limits is None:
        limits = limits_observer(NAME, observer)
        connection_limits = ConnectionLimits(MAX_CONNECTIONS, trusted=trusted, observer=limits)
    application = Application(
        reactor, consoleauth=consoleauth, compute=compute, transport=transport, auth=auth, observer=observer, now=now
    )
    return APISite(
        log,
        reactor,
        application,
        connection_limits=connection_limits,
        observer=observer,
        trusted_proxies=trusted,
        logged_paths=LoggedPaths(application.paths(), secret_below=_SECRET_BELOW),
        name=NAME,
    )
