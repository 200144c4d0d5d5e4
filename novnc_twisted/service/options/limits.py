"""The options of the section [console] that limit the time and the number of sessions and connections."""

from oslo_config import cfg

from novnc_twisted.service.options.types import LONGEST, NumberOpt


def _over_all_proxies(name: str, whose: str) -> cfg.Opt:
    """Return an option that limits the sessions of each user, of each project or of each client address.

    consoleauth counts the sessions over all proxies.

    :param whose: who or what has the limit, such as ``client address``; a part of the help.
    """
    return cfg.IntOpt(
        name,
        mutable=True,
        default=0,
        min=0,
        help=f"Maximum number of sessions of one {whose}, over all proxies. consoleauth counts them when a link is "
        "opened. A lost session counts until its proxy notices the loss. 0: no limit.",
    )


LIMITS: list[cfg.Opt] = [
    NumberOpt(
        "idle_timeout",
        mutable=True,
        max=LONGEST,
        default=0,
        min=0,
        help="A session is closed after this number of seconds without any RFB message from its viewer. 0: no limit.",
    ),
    NumberOpt(
        "ping_interval",
        mutable=True,
        max=LONGEST,
        default=30,
        min=0,
        help="Seconds between two pings from the noVNC proxy to each viewer (websockify's heartbeat). Pings keep the "
        "connection open through load balancers. A viewer that answers none of three pings counts as gone. 0: "
        "no pings.",
    ),
    cfg.IntOpt(
        "max_connections",
        mutable=True,
        default=0,
        min=0,
        help="Maximum number of connections to the two proxies in one process, with or without a session. If the limit "
        "is reached, a new connection replaces an old one that has no session and waits for its client. Without such "
        "an old connection, the new one is refused. When half of the limit is in use, one client address (/64 for "
        "IPv6) may have at most a tenth of the limit. The rule of the tenth applies neither to trusted_proxies nor to "
        "connections with a valid token. 0: derived from the limit of file descriptors: (RLIMIT_NOFILE - 100) / 2, at "
        "most 100000; less in twistd console, because its API needs file descriptors as well.",
    ),
    cfg.IntOpt(
        "max_sessions",
        mutable=True,
        default=0,
        min=0,
        help="Maximum number of live sessions of one proxy process. 0: no limit.",
    ),
    cfg.IntOpt(
        "max_sessions_per_server",
        mutable=True,
        default=16,
        min=0,
        help="Maximum number of live sessions of one VM (QEMU accepts 32 viewers). 0: no limit. Each proxy process "
        "counts its own sessions, and consoleauth counts those of all proxies.",
    ),
    _over_all_proxies("max_sessions_per_user", "user (the one who requested the links)"),
    _over_all_proxies("max_sessions_per_project", "project (the one for which the links were made)"),
    _over_all_proxies("max_sessions_per_address", "client address (/64 for IPv6)"),
    NumberOpt(
        "history_retention",
        mutable=True,
        max=LONGEST,
        default=604_800,
        min=0,
        help="Seconds for which consoleauth keeps the sessions that have ended (GET /console/v1/history). It keeps at "
        "most 100,000 in Redis, or 10,000 in memory. 0: consoleauth keeps no sessions that have ended.",
    ),
    cfg.IntOpt(
        "max_failures_per_minute",
        mutable=True,
        default=600,
        min=0,
        help="Maximum number of invalid tokens from one client address (/64 for IPv6) in a minute. A token is invalid "
        "if it is unknown, expired or not for this use. When the limit is reached, only one token from this "
        "address is checked at a time; meanwhile, requests with further tokens get 429. 0: no limit.",
    ),
]
