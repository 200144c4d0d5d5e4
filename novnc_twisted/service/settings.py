"""Arguments of the services, each made from several options; a function raises Unusable for a bad combination."""

import importlib.util
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from novnc_twisted.access.forwarded import Network, networks
from novnc_twisted.access.hosts import is_loopback
from novnc_twisted.service.commands import PROXIES, SERVICES
from novnc_twisted.service.exits import Unusable
from novnc_twisted.service.option_values import listen_address

if TYPE_CHECKING:
    from novnc_twisted.consoleauth.session_counts import SessionRules
    from novnc_twisted.identity.htpasswd import UserRecords
    from novnc_twisted.identity.lockout import LockoutSettings
    from novnc_twisted.identity.strategy import IAuth

_EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104
"""A service that listens on one of these listens on all addresses."""

DEFAULT_LIBVIRT = "qemu:///system"
"""What an empty ``connection_uri`` means, as in nova for KVM."""


def need_libvirt() -> None:
    """Check that libvirt's Python binding is installed.

    :raises Unusable: it is not.
    """
    if importlib.util.find_spec("libvirt") is None:
        raise Unusable("libvirt-python is not installed; install novnc-twisted[libvirt]")


def web_folder(conf: Any) -> str | None:
    """The folder of the option ``web``; None for the page of the package.

    :raises Unusable: it is not a folder.
    """
    if conf.web and not Path(conf.web).is_dir():
        raise Unusable(f"web: {conf.web} is not a folder")
    return conf.web or None


def auth_schemes(conf: Any) -> tuple[str, ...]:
    """The security types for VNC servers, at least one.

    :raises Unusable: the list is empty.
    """
    if not conf.vnc.auth_schemes:
        raise Unusable("[vnc] auth_schemes is empty, so that no VNC server could be used; the default value: none,vnc")
    return tuple(conf.vnc.auth_schemes)


def proxy_protocol(conf: Any) -> "tuple[Network, ...] | None":
    """The proxies that send PROXY headers; None if ``proxy_protocol`` is off.

    :raises Unusable: there is no such proxy, so that no client could connect.
    """
    if not conf.console.proxy_protocol:
        return None
    proxies = networks(conf.console.trusted_proxies)
    if not proxies:
        raise Unusable("[console] proxy_protocol: trusted_proxies is empty, so that no client could connect")
    return proxies


def monitoring_address(conf: Any) -> tuple[str, int] | None:
    """The host and the port of ``[monitoring] listen``; None if it is unset."""
    return listen_address(conf.monitoring.listen) if conf.monitoring.listen else None


def shared_ports(conf: Any, services: Collection[str]) -> Iterator[str]:
    """One line for each port on which two services of one process would listen."""
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
            if port == its_port and (host == its_host or {host, its_host} & _EVERYWHERE):
                yield f"{option}: {port} is the port of {other}, too"
        seen.append((option, host, port))


def worker_count(command: str, conf: Any) -> int:
    """How many worker processes a command has; more than one only for the proxies.

    :raises Unusable: the command can't have as many as the option says.
    """
    if command == "console" and conf.workers != 1:
        if conf.transport_url.startswith("memory:"):
            raise Unusable(f"workers: transport_url memory:// is for one process, not for workers = {conf.workers}")
        raise Unusable(
            f"workers: twistd console is one process; for workers = {conf.workers} run twistd novncproxy and "
            "twistd xvpvncproxy as commands of their own, and the other services as theirs"
        )
    if command not in PROXIES:
        return 1
    # The cores that this process may use, which in a container are fewer than the machine has.
    return int(conf.workers) or len(os.sched_getaffinity(0))


def no_take_over(command: str) -> str:
    """Why a command cannot hand over to another process (SIGUSR2); empty if it can."""
    if "consolecompute" not in SERVICES[command]:
        return ""
    return f"{command} cannot run twice at the same time; restart it instead: calls wait for it"


def users_of_api(conf: Any) -> "UserRecords | None":
    """The users of the API, from the file; None if ``auth_strategy`` needs no file.

    :raises Unusable: with one line that names the option.
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
        raise Unusable("[api] http_basic_auth_user_file: auth_strategy http_basic needs it")
    try:
        return read(Path(path), conf.api.admin_users)
    except ValueError as error:
        raise Unusable(f"[api] http_basic_auth_user_file: {error}") from None


def authentication(reactor: Any, conf: Any) -> "IAuth":
    """The authentication of the API by ``noauth`` and ``http_basic``, with its users.

    :raises Unusable: with one line that names the option.
    """
    from novnc_twisted.identity.http_basic import HTTPBasic
    from novnc_twisted.identity.noauth import NoAuth

    if users_of_api(conf) is None:
        return NoAuth()
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
    """The limits of sessions over all proxies, from the options of ``[console]``."""
    from novnc_twisted.consoleauth.session_counts import SessionRules

    return SessionRules(
        max_sessions_per_user=options.max_sessions_per_user,
        max_sessions_per_project=options.max_sessions_per_project,
        max_sessions_per_address=options.max_sessions_per_address,
        max_sessions_per_server=options.max_sessions_per_server,
    )


def lockout_settings(options: Any) -> "LockoutSettings":
    """The lock-out after failed log-ins at the API, from the options of ``[api]``."""
    from novnc_twisted.identity.lockout import LockoutSettings

    return LockoutSettings(
        failures=options.lockout_failures,
        failures_per_address=options.lockout_failures_per_address,
        failures_per_user=options.lockout_failures_per_user,
        first=options.lockout_time,
        longest=options.lockout_max_time,
    )
