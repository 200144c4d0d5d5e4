"""The options of the section [consoleauth]; see :mod:`novnc_twisted.service.options`."""

from oslo_config import cfg

from novnc_twisted.service.options.types import LONGEST, formerly
from novnc_twisted.token_plugins.names import NAMES

CONSOLEAUTH: list[cfg.Opt] = [
    cfg.StrOpt(
        "backend",
        default="auto",
        choices=["auto", "store", "nova", "token_plugin"],
        help="Who checks the tokens for twistd novncproxy. store: our consoleauth, reached through transport_url. "
        "nova: the API of an OpenStack, with credentials for Keystone in [nova], [service_user] or "
        "[keystone_authtoken]. token_plugin: our version of one of websockify's token plug-ins. nova and token_plugin "
        "do not need our other services. auto: nova if transport_url is a URL of oslo.messaging (such as rabbit://), "
        "otherwise store.",
    ),
    cfg.StrOpt(
        "token_plugin",
        choices=NAMES,
        help="The token plug-in for backend = token_plugin, by its name in websockify.",
    ),
    cfg.StrOpt(
        "token_source",
        secret=True,
        help="What the token plug-in reads, as with websockify. TokenRedis: host[:port[:db[:password[:namespace]]]] "
        "or a redis:// or rediss:// URL. JSONTokenApi and BaseTokenAPI: an https:// URL (on this machine also "
        "http://), in which %s stands for the token. The other plug-ins: the path of a file or folder. token_ttl "
        "applies to JWTs without exp. With enforce_session_timeout, a session ends when its token expires or is "
        "removed.",
    ),
    cfg.IntOpt(
        "token_ttl",
        mutable=True,
        default=600,
        min=0,
        max=LONGEST,
        deprecated_opts=formerly("console_token_ttl"),
        help="Seconds for which a new token is valid. 0: no token is valid.",
    ),
    cfg.BoolOpt("enforce_session_timeout", default=False, help="Close a session when its token expires."),
    cfg.BoolOpt(
        "one_time",
        default=False,
        help="Accept each token only once. With the backends nova and token_plugin, the proxy refuses to start if "
        "this is set.",
    ),
    cfg.BoolOpt(
        "bind_address",
        default=False,
        help="Accept a token only from the client address that used it first. With the backends nova and "
        "token_plugin, the proxy refuses to start if this is set.",
    ),
    cfg.IntOpt(
        "max_tokens_per_server",
        mutable=True,
        default=64,
        min=0,
        help="Maximum number of valid tokens for one VM. A further token removes the oldest one. 0: no limit.",
    ),
    cfg.IntOpt(
        "max_tokens_per_user",
        mutable=True,
        default=1024,
        min=0,
        help="Maximum number of valid tokens that one user of the API has requested, for all VMs together. A further "
        "token removes the oldest one. 0: no limit. A portal that requests links for many people as one user may need "
        "more. With noauth, everyone is one user.",
    ),
]
