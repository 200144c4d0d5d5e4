"""Makes arguments of the services from options, and raises Unusable if options do not fit together."""

import importlib.util
import ipaddress
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from novnc_twisted.access.forwarded import Network, networks
from novnc_twisted.access.hosts import is_ip, is_loopback
from novnc_twisted.service.commands import PROXIES, SERVICES
from novnc_twisted.service.exits import Unusable
from novnc_twisted.service.folders import is_folder
from novnc_twisted.service.options.values import listen_address

if TYPE_CHECKING:
    from novnc_twisted.consoleauth.session_counts import SessionRules
    from novnc_twisted.http.page_settings import PageSettings
    from novnc_twisted.identity.htpasswd import UserRecords
    from novnc_twisted.identity.lockout import LockoutSettings
    from novnc_twisted.identity.strategy import IAuth

DEFAULT_LIBVIRT = "qemu:///system"
"""The URI for an empty ``connection_uri``, as in nova for KVM."""


def need_libvirt() -> None:
    """Check that libvirt's Python binding is installed.

    :raises Unusable: the binding is not installed.
    """
    if importlib.util.find_spec("libvirt") is None:
        raise Unusable("libvirt-python is not installed; install novnc-twisted[libvirt]")


def web_folder(conf: Any) -> str | None:
    """Return the folder of the option ``web``; None: the page of this package is used.

    :raises Unusable: the option is set, but does not name a folder.
    """
    if conf.web and not is_folder(Path(conf.web), "web"):
        raise Unusable(f"web: {conf.web} is not a folder")
    return conf.web or None


def page_settings(conf: Any) -> "PageSettings | None":
    """Read the settings of the pages; None if the option ``page_settings`` is not set.

    :raises Unusable: the file can't be used.
    """
    from novnc_twisted.http.page_settings import read_page_settings

    if not conf.console.page_settings:
        return None
    try:
        return read_page_settings(Path(conf.console.page_settings))
    except ValueError as error:
        raise Unusable(f"[console] page_settings: {error}") from None


def auth_schemes(conf: Any) -> tuple[str, ...]:
    """Return the security types for the log-in to VNC servers: at least one type.

    :raises Unusable: the list is empty.
    """
    if not conf.vnc.auth_schemes:
        raise Unusable("[vnc] auth_schemes: it is empty, so that no VNC server could be used; the default: none,vnc")
    return tuple(conf.vnc.auth_schemes)


def proxy_protocol(conf: Any) -> "tuple[Network, ...] | None":
    """Return the addresses of the reverse proxies that send PROXY headers; None if ``proxy_protocol`` is off.

    :raises Unusable: there are no such addresses, so that no client could connect.
    """
    if not conf.console.proxy_protocol:
        return None
    proxies = networks(conf.console.trusted_proxies)
    if not proxies:
        raise Unusable("[console] proxy_protocol: trusted_proxies is empty, so that no client could connect")
    return proxies


def monitoring_address(conf: Any) -> tuple[str, int] | None:
    """Return the host and the port of ``[monitoring] listen``; None if it is unset."""
    return listen_address(conf.monitoring.listen) if conf.monitoring.listen else None


def shared_ports(conf: Any, services: Collection[str]) -> Iterator[str]:
    """Yield an error for each pair of options that give one process the same port on overlapping addresses."""
    listening = {
        "consoleapi": ("osapi_compute_listen_port", conf.osapi_compute_listen, conf.osapi_compute_listen_port),
        "novncproxy": ("[vnc] novncproxy_port", conf.vnc.novncproxy_host, conf.vnc.novncproxy_port),
        "xvpvncproxy": ("[vnc] xvpvncproxy_port", conf.vnc.xvpvncproxy_host, conf.vnc.xvpvncproxy_port),
    }
    seen: list[tuple[str, str, int]] = []
    if conf.vnc.novncproxy_socket:
        del listening["novncproxy"]
    ports = [listening[name] for name in listening if name in services]
    monitoring = monitoring_address(conf)
    if monitoring is not None:
        ports.append(("[monitoring] listen", *monitoring))
    for option, host, port in ports:
        for other, its_host, its_port in seen:
            if port == its_port and _overlap(host, its_host):
                yield f"{option}: {port} is also the port of {other}; use another port for one of them"
        seen.append((option, host, port))


def _overlap(one: str, other: str) -> bool:
    """Return whether sockets on these two hosts can't have the same port; see :func:`.listening.open_socket`.

    A host name is not looked up here.  It conflicts only with the same name, and with ``0.0.0.0`` and ``::``.
    """
    hosts = {one.lower(), other.lower()}
    addresses = [ipaddress.ip_address(host) for host in hosts if is_ip(host)]
    # An IPv6 address does not include IPv4 addresses, except "::".
    if len({address.version for address in addresses}) == 2:
        return "::" in hosts
    same = len(hosts) == 1 or (len(addresses) == 2 and len(set(addresses)) == 1)
    return same or any(address.is_unspecified for address in addresses)


def worker_count(command: str, conf: Any) -> int:
    """Return the number of worker processes of a command.  Only the commands of the two proxies can have more than 1.

    :raises Unusable: ``workers`` is not 1 with ``twistd console``.
    """
    if command == "console" and conf.workers != 1:
        if conf.transport_url.startswith("memory:"):
            raise Unusable(f"workers: transport_url memory:// is for one process, not for workers = {conf.workers}")
        raise Unusable(
            f"workers: twistd console is one process; for workers = {conf.workers}, run each service as a separate "
            "command: twistd novncproxy, twistd xvpvncproxy and so on"
        )
    if command not in PROXIES:
        return 1
    # 0: one worker for each core that this process may use.  In a container, the machine may have more cores.
    return int(conf.workers) or len(os.sched_getaffinity(0))


def no_take_over(command: str, conf: Any) -> str:
    """Return the reason why a command does not support a take-over (SIGUSR2); empty if it does."""
    # With memory://, a command with a single service can only be a proxy whose tokens nova or a plug-in checks, because
    # make_transport() in bus.py refuses all others.  A take-over of such a proxy loses no data of consoleauth, because
    # consoleauth is not in its process.
    if not conf.transport_url.startswith("memory:") or len(SERVICES[command]) == 1:
        return ""
    return (
        "transport_url is memory://, and a take-over would lose the links and the list of sessions in the memory of "
        "this process; restart the service (sessions and links end), or set transport_url to a Redis, which keeps links"
    )


def users_of_api(conf: Any) -> "UserRecords | None":
    """Read the file with the users of the API; None if ``auth_strategy`` needs no file.

    :raises Unusable: the file cannot be used, or an API without log-ins would listen on an address other than loopback.
        The error's text is one line that names the option.
    """
    from novnc_twisted.identity.htpasswd import read

    strategy, host = conf.api.auth_strategy, conf.osapi_compute_listen
    if strategy == "keystone":
        return None
    if strategy != "http_basic":
        if not is_loopback(host):
            raise Unusable(
                f"osapi_compute_listen: {host} is not a loopback address, and without log-ins ([api] auth_strategy = "
                f"{strategy}) the API listens on loopback alone; set auth_strategy = http_basic or keystone"
            )
        return None
    path = conf.api.http_basic_auth_user_file
    if not path:
        raise Unusable("[api] http_basic_auth_user_file: it is missing, but auth_strategy = http_basic needs it")
    try:
        return read(Path(path), conf.api.admin_users)
    except ValueError as error:
        raise Unusable(f"[api] http_basic_auth_user_file: {error}") from None


def authentication(reactor: Any, conf: Any) -> "IAuth":
    """Make the authentication of the API for an ``auth_strategy`` other than ``keystone``.

    :raises Unusable: as for :func:`users_of_api`.
    """
    from novnc_twisted.identity.http_basic import HTTPBasic
    from novnc_twisted.identity.noauth import NoAuth

    if users_of_api(conf) is None:
        return NoAuth()
    # The records are not passed on: HTTPBasic reads the file itself, again after each change.
    try:
        return HTTPBasic(
            reactor,
            conf.api.http_basic_auth_user_file,
            admin_users=conf.api.admin_users,
            lockout=lockout_settings(conf.api),
        )
    except (ValueError, OSError) as error:
        raise Unusable(f"[api] http_basic_auth_user_file: {error}") from None


def session_rules(options: Any) -> "SessionRules":
    """Return the limits for the sessions of all proxies together, from the options of ``[console]``."""
    from novnc_twisted.consoleauth.session_counts import SessionRules

    return SessionRules(
        max_sessions_per_user=options.max_sessions_per_user,
        max_sessions_per_project=options.max_sessions_per_project,
        max_sessions_per_address=options.max_sessions_per_address,
        max_sessions_per_server=options.max_sessions_per_server,
    )


def lockout_settings(options: Any) -> "LockoutSettings":
    """Return the rules of the lock-out after failed log-ins at the API, from the options of ``[api]``."""
    from novnc_twisted.identity.lockout import LockoutSettings

    return LockoutSettings(
        failures=options.lockout_failures,
        failures_per_address=options.lockout_failures_per_address,
        failures_per_user=options.lockout_failures_per_user,
        first=options.lockout_time,
        longest=options.lockout_max_time,
    )
