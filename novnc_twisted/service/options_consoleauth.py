"""The options of the section [consoleauth]; see :mod:`novnc_twisted.service.options`."""

from oslo_config import cfg

from novnc_twisted.service.option_types import LONGEST, formerly
from novnc_twisted.token_plugins.names import NAMES

CONSOLEAUTH: list[cfg.Opt] = [
    cfg.StrOpt(
        "backend",
        default="auto",
        choices=["auto", "store", "nova", "token_plugin"],
        help="Who checks the tokens for twistd novncproxy: store is our consoleauth, reached through transport_url. "
        "nova is the API of an OpenStack, with credentials of Keystone in [nova], [service_user] or "
        "[keystone_authtoken]; our other services are not needed then. token_plugin is one of websockify's token "
        "plug-ins, and needs no other service either. auto is nova if transport_url is one of "
        "oslo.messaging (rabbit://) and one of these sections has credentials, else store.",
    ),
    cfg.StrOpt(
        "token_plugin",
        choices=NAMES,
        help="The token plug-in of the backend token_plugin, by the name that websockify gives it.",
    ),
    cfg.StrOpt(
        "token_source",
        secret=True,
        help="What the token plug-in reads, as with websockify: the path of a file or folder, or for TokenRedis "
        "host[:port[:db[:password[:namespace]]]] or a redis:// URL. token_ttl applies to JWTs without exp, and with "
        "enforce_session_timeout a session ends when its token expires or is removed.",
    ),
    cfg.IntOpt(
        "token_ttl",
        default=600,
        min=0,
        max=LONGEST,
        deprecated_opts=formerly("console_token_ttl"),
        help="Seconds for which a token is valid. With 0 no token is valid.",
    ),
    cfg.BoolOpt("enforce_session_timeout", default=False, help="Close a session when its token expires."),
    cfg.BoolOpt("one_time", default=False, help="Accept each token only once."),
    cfg.BoolOpt("bind_address", default=False, help="Accept a token only from the client address that used it first."),
    cfg.IntOpt(
        "max_tokens_per_server",
        mutable=True,
        default=64,
        min=0,
        help="Maximum number of valid tokens for one VM; a further one removes the oldest; 0 is off.",
    ),
    cfg.IntOpt(
        "max_tokens_per_user",
        mutable=True,
        default=1024,
        min=0,
        help="Maximum number of valid tokens that one user of the API has requested, for all VMs together; a "
        "further one removes the oldest; 0 is off. A portal that requests links for many people as one user "
        "may need more, and with noauth everyone is one user.",
    ),
]
