"""The options of the section [console]; see :mod:`novnc_twisted.service.options`."""

from oslo_config import cfg

from novnc_twisted.service.options.limits import LIMITS
from novnc_twisted.service.options.types import CheckedListOpt, formerly
from novnc_twisted.service.options.values import network, origin_host, policy_source

CONSOLE: list[cfg.Opt] = [
    CheckedListOpt(
        "allowed_origins",
        origin_host,
        mutable=True,
        default=[],
        deprecated_opts=formerly("console_allowed_origins"),
        help="Host names whose pages may open consoles, in addition to the host name of the proxy.",
    ),
    CheckedListOpt(
        "frame_ancestors",
        policy_source,
        mutable=True,
        default=["'self'"],
        help="The pages that may show the console page in a frame, as sources of CSP frame-ancestors. 'self' "
        "includes the page with the list of servers if twistd console serves both pages at the same address, without "
        "a reverse proxy.",
    ),
    cfg.StrOpt(
        "page_settings",
        mutable=True,
        default="",
        help="A JSON file: logo and colors (for the console page and the list of servers), links and settings (for the "
        "console page only). A reload reads the file again. Empty: no such file.",
    ),
    CheckedListOpt(
        "trusted_proxies",
        network,
        mutable=True,
        default=[],
        help="Addresses or networks of your reverse proxies, including those in front of the API. X-Forwarded-For and "
        "X-Forwarded-Proto are accepted only from these addresses. The API also accepts X-Forwarded-Prefix from "
        "these addresses.",
    ),
    cfg.BoolOpt(
        "proxy_protocol",
        default=False,
        help="Expect a PROXY protocol header (version 1 or 2, before TLS) at the start of each connection to the two "
        "proxies, novncproxy and xvpvncproxy. The header names the client. Connections from addresses outside "
        "trusted_proxies are refused.",
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
        help="The oldest TLS version for the proxies and the API. default: that of the OpenSSL library. tlsv1_1 also "
        "needs ssl_ciphers = DEFAULT:@SECLEVEL=0, and an OpenSSL that still supports it.",
    ),
    cfg.StrOpt(
        "ssl_client_ca",
        help="File (PEM) of CA certificates. Each client of the two proxies must then present a certificate of one of "
        "these CAs. Needs ssl_only.",
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
        help="Let viewers shut down, reboot and reset the server. noVNC and the Java viewer send xvp messages for "
        "this, and the console page has the button Power. The link of the session must allow control and must not "
        "be a link for a guest. The option shield must be on for xvp messages, and sharing for the button. If "
        "nova's API or a token plug-in checks the tokens, viewers cannot change the power of the server.",
    ),
    cfg.BoolOpt(
        "sharing",
        default=True,
        help="Let the console page show who else is at the console, hand control over, and make links for guests. "
        "Needs consoleauth. Handing control over also needs shield. If false, the page has none of these "
        "functions, and no button Power.",
    ),
    cfg.BoolOpt(
        "hide_administrators",
        mutable=True,
        default=False,
        help="If true, an administrator who only watches a console is hidden from users who are not administrators. An "
        "administrator who has control, or asks for control, is always shown. Read by consoleauth.",
    ),
    cfg.BoolOpt(
        "show_user_names",
        mutable=True,
        default=True,
        help="Show the names of users (with Keystone: their ids) to the others at the same console. If false, pages "
        "show only how many others are there, and what they may do. Read by consoleauth.",
    ),
    cfg.IntOpt(
        "clipboard_to_server",
        mutable=True,
        default=-1,
        min=-1,
        max=1024 * 1024,
        help="Maximum number of bytes of a clipboard text from a viewer to a server. A longer text is removed. 0: no "
        "text passes. -1: no limit. If shield is true, or if this option or clipboard_from_server sets a limit, a "
        "text of more than 1 MiB ends the session. With a limit in either direction, clipboard texts can contain only "
        "Latin-1 characters.",
    ),
    cfg.IntOpt(
        "clipboard_from_server",
        mutable=True,
        default=-1,
        min=-1,
        max=1024 * 1024,
        help="Maximum number of bytes of a clipboard text from a server to its viewers. A longer text is removed. 0: "
        "no text passes. -1: no limit. With a limit, the proxy parses the server's messages, which costs CPU, "
        "and viewers can use only encodings that the proxy can parse.",
    ),
    *LIMITS,
]
