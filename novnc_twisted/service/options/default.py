"""The options of the section [DEFAULT]; see :mod:`novnc_twisted.service.options`."""

import socket

from oslo_config import cfg

from novnc_twisted.service.options.types import LONGEST, CheckedOpt, NumberOpt, formerly
from novnc_twisted.service.options.values import address, service_host


def _my_ip() -> str:
    """Return this machine's address on the default route (nova's ``my_ip``), without sending anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a UDP socket only chooses a route.  The address is reserved for documentation (RFC 5737).
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


DEFAULT: list[cfg.Opt] = [
    cfg.StrOpt(
        "transport_url",
        default="memory://",
        secret=True,
        help="How the services reach each other. memory:// is for services that all run in one process (twistd "
        "console). For separate processes: redis://[user:password@]host[:6379][/db], rediss://... (TLS), "
        "redis+unix://[user:password@]/path, or redis+sentinel://[user:password@]host[:26379][,host...]/service "
        "(the primary that the Sentinels name).",
    ),
    CheckedOpt(
        "host",
        service_host,
        default=socket.gethostname(),
        sample_default="<name of this machine>",
        help="The name of this machine in the lists of services and sessions. Each compute host needs a name of its "
        "own. A proxy may connect to the unix sockets of a compute host's VMs only if its own host option has the "
        "same value.",
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
    cfg.StrOpt("web", help="A folder to serve instead of the page of this package, for example stock noVNC."),
    cfg.IntOpt(
        "workers",
        default=1,
        min=0,
        max=1024,
        help="Number of worker processes of twistd novncproxy and of twistd xvpvncproxy. The workers of one proxy "
        "share its port. 0: one worker for each core. twistd console accepts only workers = 1. The other "
        "commands run as one process each. max_connections, max_sessions and max_failures_per_minute apply to each "
        "worker.",
    ),
    cfg.StrOpt(
        "cert",
        help="File (PEM) of the certificate of the two proxies; intermediate certificates follow it. If this option is "
        "set, their ports accept https:// and wss:// as well as plain connections. After SIGHUP, the files of cert, "
        "key and ssl_client_ca are read again.",
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
        help="Seconds for which sessions may continue after SIGTERM. New connections are refused in this time. 0: "
        "sessions are closed at once. A second SIGTERM also closes them at once.",
    ),
    cfg.StrOpt(
        "log_format",
        default="text",
        choices=["text", "json", "oslo"],
        help="The form of log lines. text: Twisted's form. json: one object in each line. oslo: the default form of "
        "oslo.log, which the log collectors of OpenStack deployments parse.",
    ),
    cfg.StrOpt(
        "log_file",
        deprecated_opts=formerly("logfile"),
        help="File of the log. A relative path begins in log_dir, if log_dir is set. If log_file and log_dir are "
        "unset, the log goes to standard output, or to twistd.log if twistd runs as a daemon (without -n). The "
        "file is opened again after logrotate has renamed it, and after SIGHUP. twistd --logfile FILE, twistd "
        "--logger and twistd --syslog override log_file and log_dir. The option --logfile=- (standard output) does "
        "not.",
    ),
    cfg.StrOpt(
        "log_dir",
        deprecated_opts=formerly("logdir"),
        help="Folder of the log. If log_file is unset, the file in this folder has the name of nova's program, for "
        "example nova-novncproxy.log.",
    ),
    cfg.IntOpt(
        "shutdown_timeout",
        mutable=True,
        default=60,
        min=0,
        max=86400,
        help="A VM that is asked to shut down (ACPI), for example by openstack server stop, is switched off if it "
        "still runs after this number of seconds. 0: never.",
    ),
    cfg.BoolOpt("debug", default=False, help="Log each call between the services: topic, method, time and outcome."),
]
