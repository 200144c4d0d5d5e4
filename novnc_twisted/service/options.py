"""The one table of options: names, defaults and former names as in nova.conf.

The generated sample and the documents are made from it (oslo.config's generator finds it by :func:`list_opts`).
"""

import socket
from collections.abc import Iterator, Sequence

from oslo_config import cfg

from novnc_twisted.service.option_types import LONGEST, CheckedListOpt, CheckedOpt, NumberOpt, formerly
from novnc_twisted.service.option_urls import libvirt_uri
from novnc_twisted.service.option_values import address, network, origin_host, policy_source, service_host
from novnc_twisted.service.options_api import API, KEYSTONE_AUTHTOKEN
from novnc_twisted.service.options_audit import AUDIT
from novnc_twisted.service.options_consoleauth import CONSOLEAUTH
from novnc_twisted.service.options_monitoring import MONITORING
from novnc_twisted.service.options_vnc import VNC


def _my_ip() -> str:
    """This machine's address on the default route (nova's ``my_ip``); nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a UDP socket only chooses a route; the address is one for documentation (RFC 5737).
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


DEFAULT: list[cfg.Opt] = [
    cfg.StrOpt(
        "transport_url",
        default="memory://",
        secret=True,
        help="How the services reach each other: memory:// if all of them run in one process (twistd console), "
        "else redis://[user:password@]host[:6379][/db], rediss://... (TLS), "
        "redis+unix://[user:password@]/path, or "
        "redis+sentinel://[user:password@]host[:26379][,host...]/service (the primary that the Sentinels "
        "name).",
    ),
    CheckedOpt(
        "host",
        service_host,
        default=socket.gethostname(),
        sample_default="<name of this machine>",
        help="The name of this compute host. A proxy with the same name may connect to the unix sockets of its VMs.",
    ),
    CheckedOpt(
        "my_ip",
        address,
        default=_my_ip(),
        sample_default="<address of this machine>",
        help="The value of $my_ip in other options.",
    ),
    cfg.StrOpt("state_path", default="/var/lib/nova", help="The value of $state_path in other options."),
    CheckedOpt(
        "osapi_compute_listen", address, default="127.0.0.1", help="The address on which the Compute API listens."
    ),
    cfg.PortOpt("osapi_compute_listen_port", default=8774, min=1, help="The port on which the Compute API listens."),
    cfg.StrOpt("web", help="A folder to serve in place of the page shipped with the package, for example stock noVNC."),
    cfg.IntOpt(
        "workers",
        default=1,
        min=0,
        max=1024,
        help="Number of worker processes of twistd novncproxy and of twistd xvpvncproxy, which share one port; 0 "
        "is one for each core. More than one needs redis://. The other commands run as one process each "
        "(consoleauth may be started several times), and console refuses more than one. max_connections, "
        "max_sessions, max_sessions_per_server and max_failures_per_minute apply to each worker.",
    ),
    cfg.StrOpt(
        "cert",
        help="File (PEM) of the certificate of the two proxies; intermediate certificates follow it. With it "
        "their ports accept https:// and wss:// beside plain connections. SIGHUP reads it, key and "
        "ssl_client_ca again.",
    ),
    cfg.StrOpt(
        "key",
        help="File (PEM) of the private key, without a passphrase. Not needed if the key is in the file of the "
        "certificate.",
    ),
    cfg.BoolOpt(
        "ssl_only",
        default=False,
        help="Refuse plain connections to the two proxies.",
    ),
    NumberOpt(
        "drain_timeout",
        mutable=True,
        max=LONGEST,
        default=0,
        min=0,
        help="Seconds that sessions may go on after SIGTERM, while no new ones are accepted; 0 closes them at once. "
        "A second SIGTERM closes them at once, too.",
    ),
    cfg.StrOpt(
        "log_format",
        default="text",
        choices=["text", "json", "oslo"],
        help="The form of log lines. text is that of Twisted. json is one object in each line. oslo is the default "
        "format of oslo.log, which the log collectors of OpenStack deployments parse.",
    ),
    cfg.StrOpt(
        "log_file",
        deprecated_opts=formerly("logfile"),
        help="File of the log; a relative path begins in log_dir, if that is set. Unset: standard output. It is opened "
        "again after logrotate has renamed it, and by SIGHUP. twistd --logfile is preferred.",
    ),
    cfg.StrOpt(
        "log_dir",
        deprecated_opts=formerly("logdir"),
        help="Folder of the log. Without log_file, the file in it has the name of nova's program, for example "
        "nova-novncproxy.log.",
    ),
    cfg.IntOpt(
        "shutdown_timeout",
        default=60,
        min=0,
        max=86400,
        help="Seconds that a guest has to shut down after openstack server stop (ACPI's request); then it is "
        "switched off. 0: it is never switched off.",
    ),
    cfg.BoolOpt("debug", default=False, help="Log each call between the services: topic, method, time and outcome."),
]


def _over_all_proxies(name: str, whose: str) -> cfg.Opt:
    """Return a limit of sessions that consoleauth counts."""
    return cfg.IntOpt(
        name,
        mutable=True,
        default=0,
        min=0,
        help=f"Maximum number of sessions of one {whose}, over all proxies. consoleauth counts them when a link is "
        "opened; a lost session counts until its proxy notices the loss. 0 is off.",
    )


CONSOLE: list[cfg.Opt] = [
    CheckedListOpt(
        "allowed_origins",
        origin_host,
        mutable=True,
        default=[],
        deprecated_opts=formerly("console_allowed_origins"),
        help="Host names, besides the proxy's own, from whose pages consoles may be opened.",
    ),
    CheckedListOpt(
        "frame_ancestors",
        policy_source,
        mutable=True,
        default=["'self'"],
        help="The pages that may show the console page in a frame, as sources of CSP frame-ancestors.",
    ),
    CheckedListOpt(
        "trusted_proxies",
        network,
        mutable=True,
        default=[],
        help="Addresses or networks of your reverse proxies, also those in front of the API. X-Forwarded-For and "
        "X-Forwarded-Proto are used only from these addresses. The API also uses their X-Forwarded-Prefix.",
    ),
    cfg.BoolOpt(
        "proxy_protocol",
        default=False,
        help="Expect a PROXY header (version 1 or 2, before TLS) that names the client at the start of each "
        "connection to the two proxies. Connections from addresses outside trusted_proxies are refused.",
    ),
    cfg.StrOpt(
        "ssl_ciphers",
        help="Ciphers up to TLS 1.2 for the proxies and the API, in OpenSSL's notation. Unset: those of the "
        "OpenSSL library. The ciphers of TLS 1.3 are always those of the library.",
    ),
    cfg.StrOpt(
        "ssl_minimum_version",
        default="default",
        choices=["default", "tlsv1_1", "tlsv1_2", "tlsv1_3"],
        help="The oldest TLS version for the proxies and the API; default is that of the OpenSSL library. tlsv1_1 "
        "takes effect only with ssl_ciphers = DEFAULT:@SECLEVEL=0, and only if OpenSSL still supports it.",
    ),
    cfg.StrOpt(
        "ssl_client_ca",
        help="File (PEM) of CA certificates. Each client of the two proxies must show a certificate that one of "
        "these CAs issued. Needs ssl_only.",
    ),
    cfg.BoolOpt(
        "shield",
        mutable=True,
        default=True,
        help="Check each message of a viewer before it is sent to the VNC server. An invalid message ends the session.",
    ),
    cfg.BoolOpt(
        "xvp",
        default=True,
        help="Let viewers shut down, reboot and reset the server by xvp messages, as noVNC and the Java viewer can. "
        "Needs shield and a session that may control the server. Without consoleauth (nova's API or a token plug-in "
        "checks the tokens) viewers are offered nothing.",
    ),
    cfg.IntOpt(
        "clipboard_to_server",
        mutable=True,
        default=-1,
        min=-1,
        max=1024 * 1024,
        help="Bytes of the longest clipboard text that a viewer may send to a server. A longer text is dropped. 0: no "
        "text passes. -1: no limit below the 1 MiB that is always accepted. With a limit, clipboard texts are Latin-1.",
    ),
    cfg.IntOpt(
        "clipboard_from_server",
        mutable=True,
        default=-1,
        min=-1,
        max=1024 * 1024,
        help="The same for texts that a server sends to its viewers. The proxy then follows the server's messages, "
        "which costs CPU, and viewers can use only those encodings that it can follow.",
    ),
    NumberOpt(
        "idle_timeout",
        mutable=True,
        max=LONGEST,
        default=0,
        min=0,
        help="Seconds without a message from the viewer after which its session is closed; 0 is off.",
    ),
    NumberOpt(
        "ping_interval",
        mutable=True,
        max=LONGEST,
        default=30,
        min=0,
        help="Seconds between two pings to each viewer of the noVNC proxy (websockify's heartbeat). They keep the "
        "connection open through load balancers, and a viewer that answers none of three counts as gone; 0 is off.",
    ),
    cfg.IntOpt(
        "max_connections",
        mutable=True,
        default=0,
        min=0,
        help="Maximum number of connections of the two proxies in one process, with or without a session. Once "
        "half of them are in use, one client address (/64 for IPv6) may have a tenth; trusted_proxies and "
        "connections with a valid token are not counted for that. When no place is left, the connection that "
        "has been silent for the longest time is closed. 0: derived from the limit of file descriptors (half "
        "of RLIMIT_NOFILE less 100, at most 100000).",
    ),
    cfg.IntOpt(
        "max_sessions",
        mutable=True,
        default=0,
        min=0,
        help="Maximum number of live sessions of one proxy process; 0 is off.",
    ),
    cfg.IntOpt(
        "max_sessions_per_server",
        mutable=True,
        default=16,
        min=0,
        help="Maximum number of live sessions of one VM in one proxy process (QEMU accepts 32 viewers); 0 is off. If "
        "max_sessions_per_user, _per_project or _per_address is on, also the maximum over all proxies.",
    ),
    _over_all_proxies("max_sessions_per_user", "user who asked for their links"),
    _over_all_proxies("max_sessions_per_project", "project for which their links were made"),
    _over_all_proxies("max_sessions_per_address", "client address (/64 for IPv6)"),
    NumberOpt(
        "history_retention",
        max=LONGEST,
        default=604_800,
        min=0,
        help="Seconds for which consoleauth keeps the sessions that have ended (GET /console/v1/history): at most "
        "100,000 of them in Redis, 10,000 in memory. 0: none are kept.",
    ),
    cfg.IntOpt(
        "max_failures_per_minute",
        mutable=True,
        default=600,
        min=0,
        help="Maximum number of tokens from one client address (/64 for IPv6) in a minute that are unknown, "
        "expired or not for this use. Above it one request at a time is still checked, and the others get "
        "429; 0 is off.",
    ),
]

LIBVIRT: list[cfg.Opt] = [
    CheckedOpt(
        "connection_uri",
        libvirt_uri,
        default="qemu:///system",
        deprecated_opts=formerly("libvirt_uri"),
        help="The URI of libvirt on this compute host.",
    ),
]

TABLE: dict[str, list[cfg.Opt]] = {
    "DEFAULT": DEFAULT,
    "vnc": VNC,
    "console": CONSOLE,
    "consoleauth": CONSOLEAUTH,
    "libvirt": LIBVIRT,
    "api": API,
    "keystone_authtoken": KEYSTONE_AUTHTOKEN,
    "monitoring": MONITORING,
    "audit": AUDIT,
}


def names() -> Iterator[tuple[str, cfg.Opt, str]]:
    """Each option with its group, once for its name and once for each former name."""
    for group, options in TABLE.items():
        for option in options:
            yield group, option, option.name
            for former in option.deprecated_opts:
                yield group, option, str(former.name)


def list_opts() -> list[tuple[str, Sequence[cfg.Opt]]]:
    """What oslo.config's sample generator asks for (entry point ``oslo.config.opts``)."""
    return list(TABLE.items())
