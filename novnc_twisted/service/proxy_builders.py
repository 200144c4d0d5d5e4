"""The builders of the two proxies; see :mod:`novnc_twisted.service.builders`."""

import socket
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from novnc_twisted.access.forwarded import networks
from novnc_twisted.access.tokens import MAX_TOKEN
from novnc_twisted.contract.topics import CONSOLEAUTH, NOVNCPROXY_BINARY, XVPVNCPROXY_BINARY, announced_as
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.frontend.listener import Listener
from novnc_twisted.service import settings
from novnc_twisted.service.context import Context, Start
from novnc_twisted.service.nova_backend import base_url, make_client, uses_nova
from novnc_twisted.service.shutdown import Phase
from novnc_twisted.service.token_plugin_backend import make as make_plugin
from novnc_twisted.service.token_plugin_backend import renewal, uses_plugin

if TYPE_CHECKING:
    from novnc_twisted.consoleauth.nova_authority import NovaAuthority
    from novnc_twisted.frontend import FrontFactory
    from novnc_twisted.novncproxy import NoVNCProxyFactory
    from novnc_twisted.novncproxy.page import Page
    from novnc_twisted.session import SessionSettings
    from novnc_twisted.token_plugins import TokenPluginAuthority


def novncproxy(context: Context) -> Start:
    """Build novncproxy (nova-novncproxy)."""
    from novnc_twisted.consoleauth.people_api import PeopleAPI
    from novnc_twisted.novncproxy import NoVNCProxyFactory
    from novnc_twisted.session.manager import new_topic

    conf = context.conf
    folder = settings.web_folder(conf)
    nova = _nova(context) if uses_nova("novncproxy", conf) else None
    plugin = _token_plugin(context) if uses_plugin("novncproxy", conf) else None
    authority = nova or plugin
    topic = new_topic(conf.host)
    people = PeopleAPI(context.transport, topic) if authority is None and conf.console.sharing else None
    factory = NoVNCProxyFactory(
        context.reactor,
        **_front_arguments(context, topic, authority),
        people=people,
        base_url=conf.vnc.novncproxy_base_url if authority is None else base_url(conf),
        allowed_origins=tuple(conf.console.allowed_origins),
        trusted_proxies=tuple(conf.console.trusted_proxies),
        frame_ancestors=tuple(conf.console.frame_ancestors),
        list_addresses=context.api_addresses,
        **({} if folder is None else {"web": folder}),
    )
    factory.page.use(settings.page_settings(conf))
    context.changes.append(lambda conf: factory.page.use(settings.page_settings(conf)))
    context.changes.append(partial(_change_origins, factory))
    context.needs("page", partial(_check_page, factory.page))
    start = _proxy(context, _novnc_listeners(context), factory, NOVNCPROXY_BINARY, topic, authority)

    async def start_with_authority() -> None:
        if plugin is not None:
            plugin.start()
        await start()
        if nova is not None:
            # This call warns if the credentials lack a right.  It is not awaited: while Keystone or nova is down, the
            # proxy runs and refuses links with close code 4503.
            Deferred.fromCoroutine(nova.find_rights())

    return start_with_authority


def _novnc_listeners(context: Context) -> list[socket.socket]:
    """Return the sockets on which the noVNC proxy listens."""
    options = context.conf.vnc
    if options.novncproxy_socket:
        mode = int(options.novncproxy_socket_mode, 8)
        return context.sockets.take_unix("novncproxy", options.novncproxy_socket, mode, "[vnc] novncproxy_socket")
    return context.sockets.take(
        "novncproxy",
        options.novncproxy_host,
        options.novncproxy_port,
        "[vnc] novncproxy_host",
        "[vnc] novncproxy_port",
    )


def _change_origins(factory: "NoVNCProxyFactory", conf: Any) -> None:
    factory.use_origins(
        allowed_origins=conf.console.allowed_origins,
        trusted_proxies=conf.console.trusted_proxies,
        frame_ancestors=conf.console.frame_ancestors,
    )


async def _check_page(page: "Page") -> None:
    """Check that the folder of the page exists.

    :raises ServiceUnavailable: it does not exist.
    """
    if not page.exists:
        raise ServiceUnavailable(f"the folder {page.path} does not exist; see the option web")


def xvpvncproxy(context: Context) -> Start:
    """Build xvpvncproxy (nova-xvpvncproxy)."""
    from novnc_twisted.session.manager import new_topic
    from novnc_twisted.xvpvncproxy import XVPVNCProxyFactory

    conf = context.conf
    topic = new_topic(conf.host)
    factory = XVPVNCProxyFactory(context.reactor, **_front_arguments(context, topic))
    listeners = context.sockets.take(
        "xvpvncproxy",
        conf.vnc.xvpvncproxy_host,
        conf.vnc.xvpvncproxy_port,
        "[vnc] xvpvncproxy_host",
        "[vnc] xvpvncproxy_port",
    )
    return _proxy(context, listeners, factory, XVPVNCPROXY_BINARY, topic)


def _proxy(
    context: Context,
    listeners: list[socket.socket],
    front: "FrontFactory",
    binary: str,
    topic: str,
    replacement: "NovaAuthority | TokenPluginAuthority | None" = None,
) -> Start:
    """Build what both proxies have in common; return the start function.

    :param front: the factory of the proxy's connections.
    :param binary: the proxy's name in the list of services.
    :param topic: the topic for calls about its sessions.
    :param replacement: the authority that checks the tokens instead of consoleauth; None: consoleauth checks them.
        With such an authority, there is no history of the sessions.
    """
    from novnc_twisted.service.ended_sessions import report_ended
    from novnc_twisted.session.manager import SessionManager

    conf, shutdown = context.conf, context.shutdown
    reverse_proxies = settings.proxy_protocol(conf)
    factory: Any = front
    if context.proxies_tls is not None or reverse_proxies is not None:
        tls = context.proxies_tls
        factory = Listener(context.reactor, front, tls=tls, tls_only=conf.ssl_only, proxies=reverse_proxies)
    if context.monitor is not None:
        context.monitor.metrics.watch(front.registry)
    context.changes.append(lambda conf: front.use(_settings(context, conf, replacement)))
    if reverse_proxies is not None:
        context.changes.append(partial(_change_proxies, factory))
    manager = SessionManager(context.transport, front.registry, host=conf.host, topic=topic)
    begin_reports = report_ended(context, front.registry, history=replacement is None)

    def stop() -> None:
        # Connections without a session are closed, because they could still begin one.  If sessions may go on, requests
        # that are being answered are finished first.  After a take-over, a connection whose first request has not
        # arrived is kept, because only this process can answer the request.
        if shutdown.drain or shutdown.replaced:
            front.close_when_answered(first_requests=shutdown.replaced)
        else:
            front.close_idle()

    async def start() -> None:
        begin_reports()
        context.accept(listeners, factory, stop=stop, empty=front.empty)
        shutdown.add(Phase.END_SESSIONS, front.stop_sessions)
        name = announced_as(binary, conf.host)
        withdraw = await context.transport.announce(name, binary=binary, host=conf.host)
        shutdown.add(Phase.LEAVE_PRESENCE, withdraw)
        # The manager stops after the sessions, so that sessions can be revoked while the process waits for their end.
        shutdown.add(Phase.STOP_SERVICES, manager.stop)
        await manager.start()

    return start


def _change_proxies(listener: Listener, conf: Any) -> None:
    # The new list of addresses is used at once.  But PROXY headers are expected until a restart, even if the files now
    # switch proxy_protocol off.
    listener.proxies = networks(conf.console.trusted_proxies)


def _change_token_ttl(authority: Any, conf: Any) -> None:
    authority.token_ttl = conf.consoleauth.token_ttl


def _nova(context: Context) -> "NovaAuthority":
    """Make the authority that lets nova's API check the tokens."""
    from novnc_twisted.consoleauth.nova_api import NovaAPI
    from novnc_twisted.consoleauth.nova_authority import NovaAuthority

    client = make_client(context.reactor, context.conf)
    client.start()
    context.shutdown.add(Phase.STOP_SERVICES, client.stop)
    options = context.conf.consoleauth
    authority = NovaAuthority(
        NovaAPI(client),
        token_ttl=options.token_ttl,
        enforce_session_timeout=options.enforce_session_timeout,
    )
    context.changes.append(partial(_change_token_ttl, authority))
    # nova deletes the tokens of a VM that is live-migrated, but viewers with a live session of this VM are allowed to
    # reconnect.  They can reach another worker, so workers share the tokens of their live sessions.
    context.peers.take = authority.admitted.take
    # A function, because peers.send is replaced later, when a worker starts.
    authority.admitted.share = lambda entry: context.peers.send(entry)
    return authority


def _token_plugin(context: Context) -> "TokenPluginAuthority":
    """Make the authority that lets a token plug-in of websockify check the tokens."""
    from novnc_twisted.token_plugins import TokenPluginAuthority

    conf = context.conf
    plugin = make_plugin(context.reactor, conf)
    context.shutdown.add(Phase.STOP_SERVICES, plugin.stop)
    if hasattr(plugin, "token_ttl"):
        context.changes.append(partial(_change_token_ttl, plugin))
    if plugin.reads_once:
        # After the start, such a plug-in reads its source again only at a reload.
        context.renewals.append(partial(renewal, plugin))
    return TokenPluginAuthority(
        plugin, host=conf.host, enforce_session_timeout=conf.consoleauth.enforce_session_timeout
    )


def _front_arguments(
    context: Context, topic: str, replacement: "NovaAuthority | TokenPluginAuthority | None" = None
) -> dict[str, Any]:
    """Return the arguments that the factories of both proxies have in common.

    Also make the readiness of this process depend on the bus and consoleauth, or on the replacement alone.

    :param topic: the topic for calls about the sessions.
    :param replacement: see :func:`_proxy`.
    """
    from novnc_twisted.consoleauth.rpcapi import ConsoleAuthAPI
    from novnc_twisted.consoleauth.token_events import reported

    # If the option ``sharing`` is off, console pages must not list the sessions of this proxy.
    people = context.conf.console.sharing
    consoleauth = ConsoleAuthAPI(context.transport, proxy=topic, people=people, clock=context.reactor)
    if replacement is None:
        context.needs("bus", context.transport.ping)
        context.needs("authority", partial(context.transport.ping, CONSOLEAUTH.name))
    else:
        context.needs("authority", replacement.ping)
    return {
        "authorise": reported(replacement.check_token, context.observer) if replacement else consoleauth.check_token,
        "settings": _settings(context, context.conf, replacement),
        "ask_password": consoleauth.get_vnc_password if replacement is None else None,
        "keep_token": (replacement or consoleauth).keep_token,
        "find_again": (replacement or consoleauth).find_again,
        "change_power": consoleauth.change_power if replacement is None and context.conf.console.xvp else None,
        "limits": context.limits,
        "failures": context.failures,
        "connection_limits": context.proxy_connections,
        "observer": context.observer,
    }


def _settings(
    context: Context, conf: Any, replacement: "NovaAuthority | TokenPluginAuthority | None"
) -> "SessionSettings":
    from novnc_twisted.rfb.clipboard import ClipboardLimits
    from novnc_twisted.session import SessionSettings, UpstreamTLS

    max_token = getattr(replacement, "max_token", MAX_TOKEN)
    folders = getattr(replacement, "directories", ())
    # Options that a reload may change are read from ``conf``.  Options that need a restart are read from
    # ``context.conf``, which keeps the values of the start.
    return SessionSettings(
        host=context.conf.host,
        auth_schemes=settings.auth_schemes(context.conf),
        vencrypt_subtypes=tuple(context.conf.vnc.vencrypt_subtypes),
        upstream_tls=UpstreamTLS() if context.upstream is None else context.upstream.tls,
        name_check=conf.vnc.name_check,
        socket_directories=(*conf.vnc.socket_directories, *folders),
        max_token=max_token,
        shield=conf.console.shield,
        clipboard=ClipboardLimits(conf.console.clipboard_to_server, conf.console.clipboard_from_server),
        idle_timeout=conf.console.idle_timeout,
        ping_interval=conf.console.ping_interval,
    )
