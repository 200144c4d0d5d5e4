"""The one table of options: nova.conf's names, defaults and former names.

The generated sample and the documents are made from it (oslo.config's generator finds it by :func:`list_opts`).
"""

import socket
from collections.abc import Iterator, Sequence

from oslo_config import cfg

from novnc_twisted.service.option_types import CheckedListOpt, CheckedOpt, NumberOpt, formerly
from novnc_twisted.service.option_urls import libvirt_uri
from novnc_twisted.service.option_values import address, network, origin_host, policy_source, service_host
from novnc_twisted.service.options_vnc import VNC

LONGEST = 10**9
"""Seconds (31 years) that an option may be at most; Redis and Python cannot compute with much longer times."""


def _my_ip() -> str:
    """The address that this machine would use for the world (nova's ``my_ip``); nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


DEFAULT: list[cfg.Opt] = [
    cfg.StrOpt(
        "transport_url",
        default="memory://",
        secret=True,
        help="How the services meet: memory:// where all of them run in one process (twistd console), else "
        "redis://[user:password@]host[:6379][/db], rediss://... (TLS), redis+unix://[user:password@]/path, or "
        "redis+sentinel://[user:password@]host[:26379][,host...]/service (the primary that Sentinels name).",
    ),
    CheckedOpt(
        "host",
        service_host,
        default=socket.gethostname(),
        sample_default="<name of this machine>",
        help="Names this compute host; a proxy on the same host may dial the unix sockets of its VMs.",
    ),
    CheckedOpt(
        "my_ip",
        address,
        default=_my_ip(),
        sample_default="<address of this machine>",
        help="For use as $my_ip in other options.",
    ),
    cfg.StrOpt("state_path", default="/var/lib/nova", help="For use as $state_path in other options."),
    CheckedOpt(
        "osapi_compute_listen", address, default="127.0.0.1", help="The address on which the Compute API listens."
    ),
    cfg.PortOpt("osapi_compute_listen_port", default=8774, min=1, help="The port on which the Compute API listens."),
    cfg.StrOpt("web", help="A folder to serve instead of the page shipped with the package, such as stock noVNC."),
    cfg.IntOpt(
        "workers",
        default=1,
        min=0,
        max=1024,
        help="Processes of twistd novncproxy, and of twistd xvpvncproxy, that share its port; 0 is one for each core. "
        "They need redis://. The other commands are one process each (consoleauth may be started several times); "
        "console refuses more than one. max_connections, max_sessions, max_sessions_per_server and "
        "max_failures_per_minute hold for each worker.",
    ),
    cfg.StrOpt(
        "cert",
        help="File (PEM) of the certificate of the two proxies, intermediate ones behind it. With it their ports take "
        "https:// and wss:// beside plain connections. SIGHUP has it, key and ssl_client_ca read again.",
    ),
    cfg.StrOpt("key", help="File (PEM) of its key, without a passphrase, where it is not in the same file."),
    cfg.BoolOpt(
        "ssl_only",
        default=False,
        help="Refuse plain connections to the two proxies.",
    ),
    cfg.BoolOpt("debug", default=False, help="Log each call between the services: topic, method, time and outcome."),
]

CONSOLE: list[cfg.Opt] = [
    CheckedListOpt(
        "allowed_origins",
        origin_host,
        default=[],
        deprecated_opts=formerly("console_allowed_origins"),
        help="Host names, besides the proxy's own, whose pages may open consoles.",
    ),
    CheckedListOpt(
        "frame_ancestors",
        policy_source,
        default=["'self'"],
        help="Who may show the console page in a frame (the sources of CSP frame-ancestors).",
    ),
    CheckedListOpt(
        "trusted_proxies",
        network,
        default=[],
        help="Addresses or networks of reverse proxies, of the API too, whose X-Forwarded-For and -Proto are believed. "
        "The API believes their X-Forwarded-Prefix, too.",
    ),
    cfg.BoolOpt(
        "proxy_protocol",
        default=False,
        help="Each connection to the two proxies begins with a PROXY header (version 1 or 2, before TLS) that names "
        "the client; who is none of trusted_proxies is turned away.",
    ),
    cfg.StrOpt(
        "ssl_ciphers",
        help="Ciphers up to TLS 1.2 for the proxies and the API, in OpenSSL's notation; those of TLS 1.3 are always "
        "the library's, and so are all of them without it.",
    ),
    cfg.StrOpt(
        "ssl_minimum_version",
        default="default",
        choices=["default", "tlsv1_1", "tlsv1_2", "tlsv1_3"],
        help="The oldest TLS for the proxies and the API; default is the OpenSSL library's. tlsv1_1 takes effect only "
        "with ssl_ciphers = DEFAULT:@SECLEVEL=0, and only where OpenSSL still has it.",
    ),
    cfg.StrOpt(
        "ssl_client_ca",
        help="File (PEM) of CAs: each client of the two proxies must show a certificate that one of them issued. Needs "
        "ssl_only.",
    ),
    cfg.BoolOpt(
        "shield",
        default=True,
        help="Check each message of a viewer before the VNC server hears it; one that makes no sense ends the session.",
    ),
    NumberOpt(
        "idle_timeout",
        max=LONGEST,
        default=0,
        min=0,
        help="Seconds without a message of the viewer after which its session is closed; 0 is off.",
    ),
    cfg.IntOpt(
        "max_connections",
        default=0,
        min=0,
        help="Connections of the two proxies of one process at a time, with or without a session. Once half of them "
        "are in use, one client address (/64 for IPv6) may have a tenth; trusted_proxies and connections with a good "
        "token do not count for it. Where a place is missing, the connection that has waited longest for a request, "
        "else for its answer to be read, is closed. 0: as many as the limit of file descriptors allows (half of "
        "RLIMIT_NOFILE less 100, at most 100000).",
    ),
    cfg.IntOpt("max_sessions", default=0, min=0, help="Sessions of one proxy process at a time; 0 is off."),
    cfg.IntOpt(
        "max_sessions_per_server",
        default=16,
        min=0,
        help="Sessions of one VM at a time on one proxy process (QEMU takes 32); 0 is off.",
    ),
    cfg.IntOpt(
        "max_failures_per_minute",
        default=600,
        min=0,
        help="Unknown or expired tokens from one client address (/64 for IPv6) in a minute; beyond it one request at a "
        "time is still checked, the others get 429; 0 is off.",
    ),
]

CONSOLEAUTH: list[cfg.Opt] = [
    cfg.IntOpt(
        "token_ttl",
        default=600,
        min=0,
        max=LONGEST,
        deprecated_opts=formerly("console_token_ttl"),
        help="Seconds for which a token is valid; with 0 none ever is.",
    ),
    cfg.BoolOpt("enforce_session_timeout", default=False, help="Close a session when its token's time is over."),
    cfg.BoolOpt("one_time", default=False, help="A token opens one session, once."),
    cfg.BoolOpt("bind_address", default=False, help="A token is good only for the first client address that uses it."),
    cfg.IntOpt(
        "max_tokens_per_server", default=64, min=0, help="Live tokens of one VM; one more drops the oldest; 0 is off."
    ),
    cfg.IntOpt(
        "max_tokens_per_user",
        default=1024,
        min=0,
        help="Valid tokens that one user of the API asked for, of whatever VMs; one more drops the oldest; 0 is off. A "
        "portal that asks for everybody as one user may need more, and with noauth everyone is one user.",
    ),
]

LIBVIRT: list[cfg.Opt] = [
    CheckedOpt(
        "connection_uri",
        libvirt_uri,
        default="qemu:///system",
        deprecated_opts=formerly("libvirt_uri"),
        help="The libvirt of this compute host.",
    ),
]

API: list[cfg.Opt] = [
    cfg.StrOpt(
        "auth_strategy",
        default="noauth",
        choices=["noauth", "noauth2", "http_basic", "keystone"],
        deprecated_opts=formerly("auth_strategy"),
        help="Who may call the API: noauth (everyone who reaches this loopback address is admin), http_basic "
        "(an htpasswd file), or keystone (comes with a later release).",
    ),
    cfg.StrOpt(
        "http_basic_auth_user_file",
        help="The users of http_basic: lines user:hash or user:hash:project, with bcrypt hashes ($2b$, $2y$). A user "
        "without a project sees no servers, unless admin_users names the user.",
    ),
    cfg.ListOpt(
        "admin_users",
        default=[],
        help="Names of the administrators among the users of http_basic, as root,alice. They see the servers of all "
        "projects. Nobody else is an administrator.",
    ),
    cfg.StrOpt(
        "cert",
        help="File (PEM) of the certificate of the API, intermediate ones behind it. With it the API takes https:// "
        "only. SIGHUP has it and its key read again.",
    ),
    cfg.StrOpt("key", help="File (PEM) of its key, without a passphrase, where it is not in the same file."),
    cfg.IntOpt(
        "lockout_failures",
        default=5,
        min=0,
        help="Failed log-ins of one user from one client address (/64 for IPv6); from the last of them on each locks "
        "that user out from that address (429), for lockout_time seconds and twice as long each time. A success takes "
        "them back; 0 switches off this and the next two.",
    ),
    cfg.IntOpt(
        "lockout_failures_per_address",
        default=50,
        min=0,
        help="Failed log-ins from one client address (/64 for IPv6), counted over all user names, before the address "
        "is locked out. An IPv6 /56 is locked out after four times as many, a /48 after 16 times as many. Users who "
        "logged in from that address within a day are exempt. 0 is off. Where a reverse proxy is in front, "
        "trusted_proxies must name it: else all clients have its address.",
    ),
    cfg.IntOpt(
        "lockout_failures_per_user",
        default=100,
        min=0,
        help="Failed log-ins of one user from all addresses together, after which each log-in as this user takes "
        "longer, 4 s at most, except from where the user logged in within a day; 0 is off.",
    ),
    NumberOpt("lockout_time", max=LONGEST, default=2, min=0.1, help="Seconds of the first lock-out."),
    NumberOpt(
        "lockout_max_time",
        max=LONGEST,
        default=900,
        min=1,
        help="Seconds of the longest lock-out; so long after the last one, or its lock-out, failures are forgotten.",
    ),
]

TABLE: dict[str, list[cfg.Opt]] = {
    "DEFAULT": DEFAULT,
    "vnc": VNC,
    "console": CONSOLE,
    "consoleauth": CONSOLEAUTH,
    "libvirt": LIBVIRT,
    "api": API,
}


def names() -> Iterator[tuple[str, cfg.Opt, str]]:
    """Each option with its group, under its name and its former ones."""
    for group, options in TABLE.items():
        for option in options:
            yield group, option, option.name
            for former in option.deprecated_opts:
                yield group, option, str(former.name)


def list_opts() -> list[tuple[str, Sequence[cfg.Opt]]]:
    """What oslo.config's sample generator asks for (entry point ``oslo.config.opts``)."""
    return list(TABLE.items())
