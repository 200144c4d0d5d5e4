"""One builder for each service.  A builder makes its service from the options, and returns the start function.

For each part of the service that must be stopped, the builder adds a step to a phase of the shutdown.
"""

import os
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
    from socket import socket

    from novnc_twisted.identity.strategy import IAuth


def consoleauth(context: Context) -> Start:
    """Build consoleauth (nova-consoleauth)."""
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
        hide_administrators=context.conf.console.hide_administrators,
        show_names=context.conf.console.show_user_names,
        host=context.conf.host,
        observer=context.observer,
    )

    def change(conf: Any) -> None:
        manager.change(
            token_ttl=conf.consoleauth.token_ttl,
            max_tokens_per_server=conf.consoleauth.max_tokens_per_server,
            max_tokens_per_user=conf.consoleauth.max_tokens_per_user,
            history_retention=conf.console.history_retention,
            session_rules=settings.session_rules(conf.console),
        )
        manager.use_people(
            hide_administrators=conf.console.hide_administrators, show_names=conf.console.show_user_names
        )

    context.changes.append(change)
    context.stop_at_end(manager.stop)
    context.needs("bus", context.transport.ping)
    context.needs("store", manager.check_store)
    start: Start = manager.start
    return start


def consolecompute(context: Context) -> Start:
    """Build consolecompute (nova-compute)."""
    settings.need_libvirt()
    from novnc_twisted.compute import ComputeManager
    from novnc_twisted.compute.libvirt.driver import LibvirtDriver

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

    async def serve() -> None:
        try:
            await manager.start()
        except TopicInUse as error:
            raise StartFailed(f"[DEFAULT] host: {error}") from None

    context.needs("bus", context.transport.ping)
    context.needs("libvirt", driver.active_consoles)
    context.stop_at_end(manager.stop)
    context.changes.append(lambda conf: manager.use_shutdown_timeout(conf.shutdown_timeout))
    # Only the main process serves the topic of this host.  During a take-over (SIGUSR2: a new process replaces this
    # one), the old process serves the topic until the new process has become the main process.
    context.last_starts.append(serve)
    start: Start = manager.prepare
    return start


def consoleapi(context: Context) -> Start:
    """Build consoleapi (nova-api)."""
    from novnc_twisted.api import make_site
    from novnc_twisted.compute.rpcapi import ComputeAPI
    from novnc_twisted.consoleauth.rpcapi import ConsoleAuthAPI

    conf = context.conf
    auth = _authentication(context)
    compute = ComputeAPI(context.transport, now=context.reactor.seconds)
    site = make_site(
        context.reactor,
        consoleauth=ConsoleAuthAPI(context.transport, clock=context.reactor),
        compute=compute,
        transport=context.transport,
        auth=auth,
        trusted_proxies=tuple(conf.console.trusted_proxies),
        connection_limits=context.api_connections,
        observer=context.observer,
    )
    listeners = _api_listeners(context)
    site.application.branding.use(settings.page_settings(conf))
    context.changes.append(lambda conf: site.application.branding.use(settings.page_settings(conf)))
    context.changes.append(lambda conf: site.trust(networks(conf.console.trusted_proxies)))
    tls = context.api_tls
    factory: Any = site if tls is None else Listener(context.reactor, site, tls=tls, tls_only=True)

    # start() calls compute.prepare(), which begins to read the records that compute hosts publish.  compute.stop() ends
    # the reading.
    context.shutdown.add(Phase.STOP_SERVICES, compute.stop)
    context.needs("bus", context.transport.ping)
    context.needs("authority", partial(context.transport.ping, CONSOLEAUTH.name))

    def stop() -> None:
        # After a take-over, connections that this process has accepted may still send their first request.
        site.answers_first_requests = context.shutdown.replaced

    async def start() -> None:
        context.accept(listeners, factory, stop=stop, empty=site.empty)
        compute.prepare()

    return start


def _api_listeners(context: Context) -> "list[socket]":
    """Take the sockets of the API, and record the address and port of each TCP socket in ``context.api_addresses``.

    :raises Unusable: the API authenticates nobody, and a socket is not at a loopback address; or a socket cannot be
        opened.
    """
    conf = context.conf
    listeners = context.sockets.take(
        "consoleapi",
        conf.osapi_compute_listen,
        conf.osapi_compute_listen_port,
        "osapi_compute_listen",
        "osapi_compute_listen_port",
    )
    for listener in listeners:
        # systemd may pass a socket at another address than that of the option, or a unix socket.
        name = listener.getsockname()
        is_unix = isinstance(name, str | bytes)
        # The name of an abstract unix socket is bytes, beginning with a zero byte; systemd writes it with "@".
        address = os.fsdecode(name).replace("\0", "@", 1) if is_unix else name[0]
        if conf.api.auth_strategy.startswith("noauth") and not is_loopback(address):
            raise Unusable(f"[api] auth_strategy: noauth is only for a loopback address; LISTEN_FDS passes {address}")
        if not is_unix:
            context.api_addresses.append((address, name[1]))
    return listeners


def _authentication(context: Context) -> "IAuth":
    """Make the authentication of the API.  Its client for Keystone is stopped together with the services."""
    if context.conf.api.auth_strategy != "keystone":
        return settings.authentication(context.reactor, context.conf)
    users, client = keystone_users.make(context.reactor, context.conf)
    client.start()
    context.shutdown.add(Phase.STOP_SERVICES, client.stop)
    context.needs("authority", users.ping)
    return users


BUILDERS = {builder.__name__: builder for builder in (consoleauth, consolecompute, consoleapi, novncproxy, xvpvncproxy)}
"""The builder of each service."""
