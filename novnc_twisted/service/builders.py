"""One builder for each service: makes it from the options, and returns what starts it.

What ends a service is added to the phases of the shutdown.
"""

from functools import partial
from typing import TYPE_CHECKING, Any

from novnc_twisted.access.forwarded import networks
from novnc_twisted.access.hosts import is_loopback
from novnc_twisted.contract.topics import CONSOLEAUTH
from novnc_twisted.frontend.listener import Listener
from novnc_twisted.messaging.interfaces import TopicInUse
from novnc_twisted.service import keystone_users, settings
from novnc_twisted.service.context import Context, Start
from novnc_twisted.service.exits import StartFailed, Unusable
from novnc_twisted.service.proxy_builders import novncproxy, xvpvncproxy
from novnc_twisted.service.shutdown import Phase

if TYPE_CHECKING:
    from novnc_twisted.identity.strategy import IAuth


def consoleauth(context: Context) -> Start:
    """nova-consoleauth."""
    from novnc_twisted.consoleauth import ConsoleAuthManager

    options = context.conf.consoleauth
    manager = ConsoleAuthManager(
        context.transport,
        context.reactor,
        token_ttl=options.token_ttl,
        enforce_session_timeout=options.enforce_session_timeout,
        one_time=options.one_time,
        bind_address=options.bind_address,
        max_tokens_per_server=options.max_tokens_per_server,
        max_tokens_per_user=options.max_tokens_per_user,
        history_retention=context.conf.console.history_retention,
        session_rules=settings.session_rules(context.conf.console),
        host=context.conf.host,
        observer=context.observer,
    )

    def change(conf: Any) -> None:
        limits = conf.consoleauth.max_tokens_per_server, conf.consoleauth.max_tokens_per_user
        manager.use_limits(*limits, settings.session_rules(conf.console))

    context.changes.append(change)
    context.shutdown.add(Phase.STOP_SERVICES, manager.stop)
    context.needs("bus", context.transport.ping)
    context.needs("store", manager.check_store)
    start: Start = manager.start
    return start


def consolecompute(context: Context) -> Start:
    """nova-compute."""
    settings.need_libvirt()
    from novnc_twisted.compute import ComputeManager
    from novnc_twisted.compute.libvirt_driver import LibvirtDriver

    conf = context.conf
    driver = LibvirtDriver(context.reactor, conf.libvirt.connection_uri or settings.DEFAULT_LIBVIRT)
    manager = ComputeManager(
        context.transport,
        driver,
        host=conf.host,
        server_listen=conf.vnc.server_listen,
        server_proxyclient_address=conf.vnc.server_proxyclient_address,
        novncproxy_base_url=conf.vnc.novncproxy_base_url,
        xvpvncproxy_base_url=conf.vnc.xvpvncproxy_base_url,
        vnc_enabled=conf.vnc.enabled,
        shutdown_timeout=conf.shutdown_timeout,
    )

    async def start() -> None:
        try:
            await manager.start()
        except TopicInUse as error:
            raise StartFailed(f"[DEFAULT] host: {error}") from None

    context.needs("bus", context.transport.ping)
    context.needs("libvirt", driver.active_consoles)
    context.shutdown.add(Phase.STOP_SERVICES, manager.stop)
    return start


def consoleapi(context: Context) -> Start:
    """nova-api."""
    from novnc_twisted.api import make_site
    from novnc_twisted.compute.rpcapi import ComputeAPI
    from novnc_twisted.consoleauth.rpcapi import ConsoleAuthAPI

    conf = context.conf
    auth, host = _authentication(context), conf.osapi_compute_listen
    compute = ComputeAPI(context.transport, now=context.reactor.seconds)
    site = make_site(
        context.reactor,
        consoleauth=ConsoleAuthAPI(context.transport),
        compute=compute,
        transport=context.transport,
        auth=auth,
        trusted_proxies=tuple(conf.console.trusted_proxies),
        connection_limits=context.api_connections,
        observer=context.observer,
    )
    listeners = context.sockets.take(
        "consoleapi", host, conf.osapi_compute_listen_port, "osapi_compute_listen", "osapi_compute_listen_port"
    )
    for listener in listeners:
        address = listener.getsockname()[0]
        # A socket that systemd passes need not be at the address of the option, so the socket itself is asked.
        if conf.api.auth_strategy.startswith("noauth") and not is_loopback(address):
            raise Unusable(f"[api] auth_strategy: noauth is only for a loopback address; LISTEN_FDS passes {address}")
    context.changes.append(lambda conf: site.trust(networks(conf.console.trusted_proxies)))
    tls = context.api_tls
    factory: Any = site if tls is None else Listener(context.reactor, site, tls=tls, tls_only=True)

    # Added here and not in start(): what prepare() began must end even if the start fails.
    context.shutdown.add(Phase.STOP_SERVICES, compute.stop)
    context.needs("bus", context.transport.ping)
    context.needs("authority", partial(context.transport.ping, CONSOLEAUTH.name))

    def stop() -> None:
        site.answers_first_requests = context.shutdown.replaced

    async def start() -> None:
        context.accept(listeners, factory, stop=stop, empty=site.empty)
        compute.prepare()

    return start


def _authentication(context: Context) -> "IAuth":
    """The authentication of the API; what it needs ends with the services."""
    if context.conf.api.auth_strategy != "keystone":
        return settings.authentication(context.reactor, context.conf)
    users, client = keystone_users.make(context.reactor, context.conf)
    client.start()
    context.shutdown.add(Phase.STOP_SERVICES, client.stop)
    context.needs("authority", users.ping)
    return users


BUILDERS = {builder.__name__: builder for builder in (consoleauth, consolecompute, consoleapi, novncproxy, xvpvncproxy)}
"""The builder of each service."""
