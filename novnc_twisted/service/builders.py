"""One builder for each service: makes it from the options, and returns what starts it.

What ends a service is added to the phases of the shutdown.
"""

import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from novnc_twisted.access.hosts import is_loopback
from novnc_twisted.contract.topics import NOVNCPROXY_BINARY, XVPVNCPROXY_BINARY, announced_as
from novnc_twisted.frontend.accepting import Acceptor
from novnc_twisted.frontend.listener import Listener
from novnc_twisted.messaging.interfaces import TopicInUse
from novnc_twisted.service import settings
from novnc_twisted.service.context import Context
from novnc_twisted.service.exits import StartFailed, Unusable
from novnc_twisted.service.nova_backend import base_url, make_client, uses_nova
from novnc_twisted.service.shutdown import Phase

if TYPE_CHECKING:
    from novnc_twisted.consoleauth.nova_authority import NovaAuthority
    from novnc_twisted.frontend import FrontFactory
    from novnc_twisted.session import SessionSettings

Start = Callable[[], Awaitable[Any]]
"""Starts a service."""


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
        host=context.conf.host,
        observer=context.observer,
    )
    context.shutdown.add(Phase.STOP_SERVICES, manager.stop)
    start: Start = manager.start
    return start


def consolecompute(context: Context) -> Start:
    """nova-compute."""
    settings.need_libvirt()
    from novnc_twisted.compute import ComputeManager
    from novnc_twisted.compute.libvirt_driver import LibvirtDriver

    conf = context.conf
    manager = ComputeManager(
        context.transport,
        LibvirtDriver(context.reactor, conf.libvirt.connection_uri or settings.DEFAULT_LIBVIRT),
        host=conf.host,
        server_listen=conf.vnc.server_listen,
        server_proxyclient_address=conf.vnc.server_proxyclient_address,
        novncproxy_base_url=conf.vnc.novncproxy_base_url,
        xvpvncproxy_base_url=conf.vnc.xvpvncproxy_base_url,
        vnc_enabled=conf.vnc.enabled,
    )

    async def start() -> None:
        try:
            await manager.start()
        except TopicInUse as error:
            raise StartFailed(f"[DEFAULT] host: {error}") from None

    context.shutdown.add(Phase.STOP_SERVICES, manager.stop)
    return start


def consoleapi(context: Context) -> Start:
    """nova-api."""
    from novnc_twisted.api import make_site
    from novnc_twisted.compute.rpcapi import ComputeAPI
    from novnc_twisted.consoleauth.rpcapi import ConsoleAuthAPI

    conf = context.conf
    auth, host = settings.authentication(context.reactor, conf), conf.osapi_compute_listen
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
        if conf.api.auth_strategy != "http_basic" and not is_loopback(address):
            raise Unusable(f"[api] auth_strategy: noauth is only for a loopback address; LISTEN_FDS passes {address}")
    tls = context.api_tls
    factory: Any = site if tls is None else Listener(context.reactor, site, tls=tls, tls_only=True)

    context.shutdown.add(Phase.STOP_SERVICES, compute.stop)

    async def start() -> None:
        _accept(context, listeners, factory)
        compute.prepare()

    return start


def novncproxy(context: Context) -> Start:
    """nova-novncproxy."""
    from novnc_twisted.novncproxy import NoVNCProxyFactory

    conf = context.conf
    folder = settings.web_folder(conf)
    authority = _nova(context) if uses_nova("novncproxy", conf) else None
    factory = NoVNCProxyFactory(
        context.reactor,
        **_front_arguments(context, authority),
        base_url=conf.vnc.novncproxy_base_url if authority is None else base_url(conf),
        allowed_origins=tuple(conf.console.allowed_origins),
        trusted_proxies=tuple(conf.console.trusted_proxies),
        frame_ancestors=tuple(conf.console.frame_ancestors),
        **({} if folder is None else {"web": folder}),
    )
    listeners = context.sockets.take(
        "novncproxy",
        conf.vnc.novncproxy_host,
        conf.vnc.novncproxy_port,
        "[vnc] novncproxy_host",
        "[vnc] novncproxy_port",
    )
    return _proxy(context, listeners, factory, NOVNCPROXY_BINARY)


def xvpvncproxy(context: Context) -> Start:
    """nova-xvpvncproxy."""
    from novnc_twisted.xvpvncproxy import XVPVNCProxyFactory

    conf = context.conf
    factory = XVPVNCProxyFactory(context.reactor, **_front_arguments(context))
    listeners = context.sockets.take(
        "xvpvncproxy",
        conf.vnc.xvpvncproxy_host,
        conf.vnc.xvpvncproxy_port,
        "[vnc] xvpvncproxy_host",
        "[vnc] xvpvncproxy_port",
    )
    return _proxy(context, listeners, factory, XVPVNCPROXY_BINARY)


def _proxy(context: Context, listeners: list[socket.socket], front: "FrontFactory", binary: str) -> Start:
    """Return what starts a proxy.

    :param binary: the name under which it is listed among the services.
    """
    from novnc_twisted.session.manager import SessionManager

    conf, shutdown = context.conf, context.shutdown
    proxies = settings.proxy_protocol(conf)
    factory: Any = front
    if context.proxies_tls is not None or proxies is not None:
        tls = context.proxies_tls
        factory = Listener(context.reactor, front, tls=tls, tls_only=conf.ssl_only, proxies=proxies)
    manager = SessionManager(context.transport, front.registry, host=conf.host)

    async def start() -> None:
        _accept(context, listeners, factory)
        shutdown.add(Phase.STOP_ACCEPTING, front.close_idle)
        shutdown.add(Phase.WAIT_FOR_SESSIONS, front.sessions_ended)
        shutdown.add(Phase.END_SESSIONS, front.stop_sessions)
        topic = announced_as(binary, conf.host)
        withdraw = await context.transport.announce(topic, binary=binary, host=conf.host)
        shutdown.add(Phase.LEAVE_PRESENCE, withdraw)
        # Served until the sessions have ended, so that they can be revoked while the process waits for them.
        shutdown.add(Phase.STOP_SERVICES, manager.stop)
        await manager.start()

    return start


def _accept(context: Context, listeners: list[socket.socket], factory: Any) -> None:
    """Accept connections from now on, until the shutdown."""
    for listener in listeners:
        context.shutdown.add(Phase.STOP_ACCEPTING, Acceptor(context.reactor, listener, factory).stop)
    if isinstance(factory, Listener):
        context.shutdown.add(Phase.STOP_ACCEPTING, factory.stop)


def _nova(context: Context) -> "NovaAuthority":
    """Nova's API as the authority."""
    from novnc_twisted.consoleauth.nova_api import NovaAPI
    from novnc_twisted.consoleauth.nova_authority import NovaAuthority

    client = make_client(context.reactor, context.conf)
    client.start()
    context.shutdown.add(Phase.STOP_SERVICES, client.stop)
    options = context.conf.consoleauth
    return NovaAuthority(
        NovaAPI(client), token_ttl=options.token_ttl, enforce_session_timeout=options.enforce_session_timeout
    )


def _front_arguments(context: Context, nova: "NovaAuthority | None" = None) -> dict[str, Any]:
    """The arguments that the factories of both proxies have in common."""
    from novnc_twisted.consoleauth.rpcapi import ConsoleAuthAPI

    authority = ConsoleAuthAPI(context.transport)
    return {
        "authorise": authority.check_token if nova is None else nova.check_token,
        "settings": _settings(context),
        "ask_password": authority.get_vnc_password if nova is None else None,
        "keep_token": authority.keep_token if nova is None else None,
        "limits": context.limits,
        "failures": context.failures,
        "connection_limits": context.proxy_connections,
        "observer": context.observer,
    }


def _settings(context: Context) -> "SessionSettings":
    from novnc_twisted.session import SessionSettings, UpstreamTLS

    conf = context.conf
    return SessionSettings(
        host=conf.host,
        auth_schemes=settings.auth_schemes(conf),
        vencrypt_subtypes=tuple(conf.vnc.vencrypt_subtypes),
        upstream_tls=UpstreamTLS() if context.upstream is None else context.upstream.tls,
        name_check=conf.vnc.name_check,
        socket_directories=tuple(conf.vnc.socket_directories),
        shield=conf.console.shield,
        idle_timeout=conf.console.idle_timeout,
    )


BUILDERS = {builder.__name__: builder for builder in (consoleauth, consolecompute, consoleapi, novncproxy, xvpvncproxy)}
"""The builder of each service."""
