"""The topics on the bus, their methods, and the roles that may call each method.

Only this module defines topics.  Each service registers the methods of its topic from these definitions.  The rights of
the Redis users (:mod:`novnc_twisted.messaging.redis.acl`) and the table in ``docs/redis_acl.rst`` are generated from
:data:`TOPICS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from novnc_twisted.contract import roles

CONSOLEAUTH_BINARY: Final = "nova-consoleauth"
COMPUTE_BINARY: Final = "nova-compute"
NOVNCPROXY_BINARY: Final = "nova-novncproxy"
XVPVNCPROXY_BINARY: Final = "nova-xvpvncproxy"

BINARIES: Final = (COMPUTE_BINARY, CONSOLEAUTH_BINARY, NOVNCPROXY_BINARY, XVPVNCPROXY_BINARY)
"""The services that ``os-services`` lists, by nova's names."""

PROXY_BINARIES: Final = (NOVNCPROXY_BINARY, XVPVNCPROXY_BINARY)

SESSIONS_BINARY: Final = "novnc-sessions"
"""The service name of the workers that serve ``proxy.HOST.WORKER``.

``os-services`` does not list these workers.  It lists the entry that a proxy announces (:func:`announced_as`).  A proxy
removes its entry when it stops accepting connections, although its workers may still have sessions.  So the workers
have entries of their own.
"""


RESTART: Final = 5.0
"""Seconds for which calls wait for a consoleauth or a compute service that was stopped (only if the bus uses Redis).

The service may be restarting.  The time begins when the last process that serves the topic has stopped in an orderly
way.  When the time is over and no new process serves the topic, calls fail at once.  The callers of a compute host can
then ask other compute hosts.

The default deadline of a call is as long as this time.  So a call that begins when the service stops can wait until its
deadline.
"""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic, or a family of topics with one member for each host or worker.

    :ivar name: the topic's name; for a family, the part of its members' names before the first dot.
    :ivar server: the role whose services serve it.
    :ivar methods: for each method, the roles that may call it.
    :ivar family: whether each host or worker has a topic of its own (``compute.host1``).
    """

    name: str
    server: str
    methods: Mapping[str, tuple[str, ...]]
    family: bool = False

    def __post_init__(self) -> None:
        for role in (self.server, *(role for allowed in self.methods.values() for role in allowed)):
            roles.check_role(role)
        # Read-only: the rights of all services follow from this table.
        object.__setattr__(self, "methods", MappingProxyType(dict(self.methods)))

    @property
    def prefix(self) -> str:
        """The part with which the names of a family's members begin."""
        return f"{self.name}."

    @property
    def pattern(self) -> str:
        """A glob pattern for the topic, or for all members of the family."""
        return f"{self.prefix}*" if self.family else self.name

    def of(self, *parts: str) -> str:
        """Return the name of a member of the family: ``COMPUTE.of("host1")`` is ``compute.host1``."""
        return ".".join((self.name, *parts))

    def member(self, topic: str) -> str:
        """Return what follows the prefix in a member's name: the host of ``compute.host1``."""
        return topic.removeprefix(self.prefix)

    def methods_of(self, role: str) -> tuple[str, ...]:
        """Return the names of the methods that callers with this role may call."""
        # The same mapping twice: once for the names of the methods, once for the roles that may call them.
        return tuple(roles.methods_for(role, self.methods, self.methods))

    @property
    def callers(self) -> tuple[str, ...]:
        """The roles that may call at least one method, in the order of :data:`.roles.ROLES`."""
        return tuple(role for role in roles.ROLES if self.methods_of(role))


CONSOLEAUTH: Final = Topic(
    "consoleauth",
    roles.CONSOLEAUTH,
    {
        "authorize_console": (roles.API,),
        "check_token": (roles.PROXY,),
        "get_vnc_password": (roles.PROXY,),
        "change_power": (roles.PROXY,),
        "keep_token": (roles.PROXY,),
        "keep_tokens": (roles.PROXY,),
        "show_token": (roles.API,),
        "delete_tokens_for_instance": (roles.API,),
        "revoke": (roles.API,),
        "get_history": (roles.API,),
        "report_closed": (roles.PROXY,),
        "set_mode": (roles.API,),
        "instance_gone": (roles.COMPUTE,),
        "attend": (roles.PROXY,),
        "change_control": (roles.PROXY,),
        "share_console": (roles.PROXY,),
    },
)
"""``consoleauth``: the tokens, the people at a console, and the history of sessions.

A thief who has stolen the credential of a proxy can make a token only from an existing one (``share_console``), and
must know the hash of the existing token.  The new token has no more rights than the existing one, and ends with it.

The thief cannot choose a token and delete it.  But if the new token exceeds a limit (``max_tokens_per_server`` or
``max_tokens_per_user``), consoleauth deletes the oldest token of this server or user.
"""

COMPUTE: Final = Topic(
    "compute",
    roles.COMPUTE,
    {
        "list_instances": (roles.API,),
        "get_instance": (roles.API, roles.CONSOLEAUTH),
        "get_vnc_console": (roles.API,),
        "change_power": (roles.API, roles.CONSOLEAUTH),
        "get_screenshot": (roles.API,),
        "begin_keys": (roles.API,),
        "send_keys": (roles.API,),
        "validate_console_port": (roles.CONSOLEAUTH,),
        "get_vnc_password": (roles.CONSOLEAUTH,),
        "get_instances_at_address": (roles.CONSOLEAUTH,),
    },
    family=True,
)
"""``compute.HOST``: the domains of a compute host.

Of all roles, only consoleauth may ask a compute host for a VNC password.  A proxy gets the password from consoleauth,
which first checks the viewer's token.
"""

PROXY: Final = Topic(
    "proxy",
    roles.PROXY,
    {
        "get_sessions": (roles.API, roles.CONSOLEAUTH),
        "end_sessions": (roles.API, roles.CONSOLEAUTH),
        "set_mode": (roles.CONSOLEAUTH,),
        "count_sessions": (roles.CONSOLEAUTH,),
        "show_people": (roles.CONSOLEAUTH,),
    },
    family=True,
)
"""``proxy.HOST.WORKER``: the sessions of one worker of a proxy, live or in their set-up."""

TOPICS: Final = (CONSOLEAUTH, COMPUTE, PROXY)
"""All topics."""


def announced_as(binary: str, host: str) -> str:
    """Return the name under which a proxy of this host is announced: ``novncproxy.host1``."""
    return f"{binary.removeprefix('nova-')}.{host}"
