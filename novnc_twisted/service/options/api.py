"""The options of the sections [api] and [keystone_authtoken]; see :mod:`novnc_twisted.service.options`."""

from oslo_config import cfg

from novnc_twisted.service.options.types import LONGEST, CheckedOpt, NumberOpt, formerly
from novnc_twisted.service.options.urls import web_url

API: list[cfg.Opt] = [
    cfg.StrOpt(
        "auth_strategy",
        default="noauth",
        choices=["noauth", "noauth2", "http_basic", "keystone"],
        deprecated_opts=formerly("auth_strategy"),
        help="How callers of the API are authenticated. noauth: not at all; the API starts only on a loopback "
        "address, and everyone who reaches it is an administrator. noauth2 (nova's name): the same as noauth. "
        "http_basic: by an htpasswd file. keystone: by a Keystone, which validates their tokens; this needs "
        "credentials in [keystone_authtoken], [nova] or [service_user].",
    ),
    cfg.StrOpt(
        "http_basic_auth_user_file",
        help="The file with the users of http_basic: lines of the form user:hash or user:hash:project, with "
        "bcrypt hashes ($2b$, $2y$). A user without a project sees no servers, unless admin_users names the "
        "user.",
    ),
    cfg.ListOpt(
        "admin_users",
        default=[],
        help="Names of the users of http_basic who are administrators, for example root,alice. They see the "
        "servers of all projects. No other user is an administrator.",
    ),
    cfg.ListOpt(
        "admin_roles",
        default=["admin"],
        help="Names of the Keystone roles of administrators. A user whose token has one of these roles, for any "
        "project or for the whole system, is an administrator of the API, and sees the servers of all projects. "
        "If Keystone's option admin_project_name names a project, these roles give only the rights of member_roles in "
        "all other projects.",
    ),
    cfg.ListOpt(
        "member_roles",
        default=["member"],
        help="Names of the Keystone roles that let a user open the consoles of the user's project. An older cloud may "
        "need member,_member_.",
    ),
    cfg.ListOpt(
        "reader_roles",
        default=["reader"],
        help="Names of the Keystone roles that let a user list the servers and sessions of the user's project, but "
        "not open a console or change anything.",
    ),
    cfg.StrOpt(
        "cert",
        help="File (PEM) of the certificate of the API; intermediate certificates follow it. If this option is set, "
        "the API accepts only https://. After SIGHUP, the files of cert and key are read again.",
    ),
    cfg.StrOpt(
        "key",
        help="File (PEM) of the private key, without a passphrase. Not needed if the key is in the file of the "
        "certificate.",
    ),
    cfg.IntOpt(
        "lockout_failures",
        default=5,
        min=0,
        help="After this number of failed log-ins of one user from one client address (/64 for IPv6), the user is "
        "locked out from this address (429). The first lock-out takes lockout_time seconds, and each further "
        "failure doubles the time. A successful log-in resets the count. 0 switches off this limit, and also "
        "lockout_failures_per_address and lockout_failures_per_user.",
    ),
    cfg.IntOpt(
        "lockout_failures_per_address",
        default=50,
        min=0,
        help="After this number of failed log-ins of all users together from one client address (/64 for IPv6), the "
        "address is locked out. An IPv6 /56 is locked out after four times as many, a /48 after 16 times as many. "
        "Users who logged in from this address within the last 24 hours are exempt. 0: off. If a reverse proxy is "
        "in front of the API, name it in trusted_proxies, because otherwise all clients count as one address.",
    ),
    cfg.IntOpt(
        "lockout_failures_per_user",
        default=100,
        min=0,
        help="After this number of failed log-ins of one user from all addresses together, each further log-in as "
        "this user is delayed, by at most 4 s. Addresses from which the user logged in within the last 24 hours "
        "are exempt. 0: off.",
    ),
    NumberOpt("lockout_time", max=LONGEST, default=2, min=0.1, help="Length of the first lock-out, in seconds."),
    NumberOpt(
        "lockout_max_time",
        max=LONGEST,
        default=900,
        min=1,
        help="Length of the longest lock-out, in seconds. Failures are forgotten when this time has passed since the "
        "last failure or lock-out.",
    ),
]

KEYSTONE_AUTHTOKEN: list[cfg.Opt] = [
    CheckedOpt(
        "www_authenticate_uri",
        web_url,
        deprecated_opts=[cfg.DeprecatedOpt("auth_uri", group="keystone_authtoken")],
        help="The URL of Keystone for users of the API. Refusals (401) name it in the header WWW-Authenticate. Unset: "
        "the auth_url of the credentials.",
    ),
    cfg.IntOpt(
        "token_cache_time",
        default=300,
        min=-1,
        help="Seconds for which the API remembers Keystone's answer about a user's token. Values above 300 count as "
        "300. For requests that only read, the API uses the remembered answer. So a token that was revoked in Keystone "
        "can still list servers during this time. For a new link or a change, the API uses only an answer that is less "
        "than 5 s old, and otherwise asks Keystone. 0 and -1: the API asks Keystone at each request.",
    ),
    cfg.StrOpt(
        "service_type",
        default="compute",
        help="The type of this service in the access rules of users' application credentials.",
    ),
]
