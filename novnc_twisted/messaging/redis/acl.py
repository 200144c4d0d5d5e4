"""The rights of each role in Redis (7.0 or newer), as ACL rules.  Each Redis user has one line in an aclfile.

The rights to call and to serve topics follow from the table in :mod:`novnc_twisted.contract.topics`.  All other rights,
such as those to the keyed store, are defined here, each with its description for docs/redis_acl.rst.

A user may use only the commands and keys that its rights permit.  No role has a right to EVAL, SCAN, KEYS, CLIENT,
CONFIG, PUBSUB or MONITOR.  A right consists of selectors (a term of Redis): a selector lists commands, and the patterns
of the keys for which these commands are permitted.  Before a pattern, ``%R~`` permits reading, ``%W~`` writing, ``~``
both.

A role's rights include the reply queues of all processes with this role.  Still, a process cannot read the replies for
another process.  The key of a reply queue contains a name of 128 random bits.  Only the process that reads the queue,
and the services that this process calls, know the name.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from novnc_twisted.contract import roles
from novnc_twisted.contract.roles import ROLES
from novnc_twisted.contract.topics import COMPUTE, PROXY, PROXY_BINARIES, TOPICS, Topic, announced_as
from novnc_twisted.messaging.redis import keys

USER: Final = "novnc-"
"""Prefix of the users' names.  The role follows; for a compute host, also ``.HOST``."""

_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,251}\Z")
_ADDRESS = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9._:-]{0,251}\Z")

# EVALSHA is safe for all users: Redis checks each command in a script against the caller's rights.
_BASIC = "+time +select +ping +role +evalsha"
_PUSH = "+rpush +llen +pexpire"
_SERVE = "+blpop +llen +lrange +del"
_ANNOUNCE = "+zadd +zrem +zcount +zremrangebyscore +pexpire"
_STORE = "+get +mget +set +del +zadd +zcount +zrem +zrange +zremrangebyscore +pttl +pexpireat"


@dataclass(frozen=True, slots=True)
class Identity:
    """A user: its role and, for ``compute``, its host and address.

    :ivar address: the server_proxyclient_address of a compute host, the only address that it may announce.
    :raises ValueError: the role is unknown, or the host or the address is invalid; the text is one sentence.
    """

    role: str
    host: str = ""
    address: str = ""

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError("a role is api, consoleauth, proxy, or compute.HOST@ADDRESS")
        if self.role != roles.COMPUTE:
            if self.host or self.address:
                raise ValueError(f"{self.role} has no host and no address in its name")
        elif not _HOST.match(self.host):
            raise ValueError("compute needs a host: compute.HOST@ADDRESS; HOST has letters, digits, '.', '_' and '-'")
        elif not _ADDRESS.match(self.address):
            raise ValueError("compute needs the host's server_proxyclient_address: compute.HOST@ADDRESS")

    @classmethod
    def parse(cls, text: str) -> "Identity":
        """Read ``api``, ``consoleauth``, ``proxy`` or ``compute.HOST@ADDRESS``.

        HOST is the ``host`` option of the compute host, ADDRESS its server_proxyclient_address.
        """
        role, _, host = text.partition(".")
        name, _, address = host.partition("@")
        return cls(role, name, address)

    @property
    def name(self) -> str:
        """The name without the address: ``api``, ``compute.HOST``."""
        return self.role + (f".{self.host}" if self.host else "")

    @property
    def user(self) -> str:
        """The name of the Redis user."""
        return USER + self.name


def rules(identity: Identity) -> list[str]:
    """Return all rights of a user, as rules of ``ACL SETUSER``."""
    return [
        "resetchannels",
        "-@all",
        *_BASIC.split(),
        *(f"({selector})" for selector in _selectors(identity)),
    ]


def aclfile_line(identity: Identity, password: str) -> str:
    """Return the user as a line of an aclfile or of redis.conf, with the SHA-256 of the password."""
    # The SHA-256, as in Redis' own files, so that the file does not contain the password.
    secret = sha256(password.encode()).hexdigest()
    return " ".join(["user", identity.user, "reset", "on", f"#{secret}", *rules(identity)])


@dataclass(frozen=True, slots=True)
class StoreRight:
    """A right that is not for calling or serving topics, such as access to the keyed store or to the list of services.

    :ivar meaning: a noun phrase for the documents, with a full stop.
    :ivar selectors: the selectors.  ``{host}`` in them is replaced by the name of the compute host.
    """

    meaning: str
    selectors: tuple[str, ...]


def store_rights(role: str) -> tuple[StoreRight, ...]:
    """Return the rights of a role that are not for calling or serving topics."""
    return _STORE_RIGHTS[role]


def _selectors(identity: Identity) -> Iterable[str]:
    """Yield all selectors of a user, without their parentheses."""
    yield from _calls(identity.role, [topic for topic in TOPICS if identity.role in topic.callers])
    for topic in TOPICS:
        if topic.server == identity.role and topic.methods:
            name = topic.of(identity.host) if identity.host else topic.pattern
            yield from _serves(name, identity.address, topic.callers)
    for right in store_rights(identity.role):
        yield from (selector.format(host=identity.host) for selector in right.selectors)


def _calls(role: str, topics: Iterable[Topic]) -> list[str]:
    """Return the selectors for calling these topics and for taking the replies."""
    # Write only: somebody with a stolen credential of a caller must not read calls.  With PEXPIRE, which callers
    # need, this person can still delete the waiting calls of callers with the same role.
    queues = " ".join(f"%W~{keys.requests(topic.pattern, role)}" for topic in topics)
    servers = " ".join(f"%R~{keys.servers(topic.pattern)}" for topic in topics)
    return [f"{queues} {_PUSH}", f"{servers} +zcount", f"~{keys.replies('*', role)} +blpop"]


def _serves(topic: str, place: str, callers: Iterable[str]) -> list[str]:
    """Return the selectors for serving a topic, announcing it, and replying to the roles that may call it."""
    queues = " ".join(f"~{keys.requests(topic, role)}" for role in ("", *ROLES))
    replies = " ".join(f"%W~{keys.replies('*', role)}" for role in callers)
    entry = keys.announced(f"{topic}@{place}")
    announce = f"~{keys.servers(topic)} ~{entry} {_ANNOUNCE}"
    # zrangebyscore: before a process serves an exclusive topic, it looks for other servers of this topic.
    return [f"{queues} {_SERVE}", announce, f"%R~{entry} +zrangebyscore", f"{replies} {_PUSH}"]


# SADD only: compute hosts and proxies can add names to the list of services, but cannot remove any.
def _be_listed(*kinds: str) -> str:
    """Return the selector with which a service adds itself to the list of services.

    The list consists of the set of kinds, and a set of services for each kind (:data:`.keys.KINDS`).  The selector
    permits adding any kind to the set of kinds, and any name to the sets of the given kinds.
    """
    return " ".join([f"%W~{keys.KINDS}", *(f"%W~{keys.services(kind)}" for kind in kinds), "+sadd"])


_LISTS = f"~{keys.KINDS} ~{keys.services('*')}"

_LIST_SERVICES = StoreRight(
    "The list of live services.",
    (f"%R~{keys.KINDS} %R~{keys.services('*')} %R~{keys.announced('*')} +smembers +zrangebyscore",),
)
# SREM: a service that reads the records also removes invalid names, and dead hosts without a record, from the group of
# compute hosts.
_READ_DOMAINS = StoreRight(
    "The records in which compute hosts publish their VMs.",
    (f"%R~{keys.stored('domains:*')} +get +mget", f"~{keys.group('compute-hosts')} +smembers +srem +pexpire"),
)
_TOKEN_KINDS = (
    "token",
    "lease",
    "used",
    "bound",
    "owned",
    "project",
    "dropped",
    "revoked",
    "mode",
    "shared",
    "control",
)
_TOKEN_KEYS = " ".join(f"~{keys.stored(f'{kind}:*')}" for kind in _TOKEN_KINDS)
_PROXY_KINDS = (PROXY.name, *(keys.kind_of(announced_as(binary, "")) for binary in PROXY_BINARIES))
_PROXY_KEYS = " ".join(f"%W~{keys.announced(announced_as(binary, '*@'))}" for binary in PROXY_BINARIES)

_STORE_RIGHTS: Final = {
    roles.API: (
        _LIST_SERVICES,
        _READ_DOMAINS,
        StoreRight(
            "API tokens by their hashes, log-ins of browsers, and the key that encrypts and signs the tokens of "
            "``/identity/v3``.",
            (f"~{keys.stored('api:*')} +get +mget +set +del +pexpireat",),
        ),
    ),
    roles.COMPUTE: (
        StoreRight(
            "Its own entry in the list of live services, under its name and its address.", (_be_listed(COMPUTE.name),)
        ),
        StoreRight(
            "Its own record of its VMs.",
            (
                f"~{keys.stored('domains:{host}')} ~{keys.stored('domains:{host}/*')} +get +set +del +pexpireat",
                f"%W~{keys.group('compute-hosts')} +sadd",
            ),
        ),
    ),
    roles.CONSOLEAUTH: (
        StoreRight(
            "The list of live services.",
            (
                *_LIST_SERVICES.selectors,
                f"{_LISTS} +sadd +srem +smembers +srandmember +pexpire",
                f"%R~{keys.announced('*')} +zcount",
            ),
        ),
        StoreRight("Tokens, by their hashes.", (f"{_TOKEN_KEYS} ~{keys.index('*')} {_STORE}",)),
        StoreRight(
            "The proxies that have sessions of a VM.",
            (f"~{keys.group('people:*')} +sadd +srem +smembers +pexpire",),
        ),
        StoreRight("The history of ended sessions.", (f"~{keys.log('history')} +xadd +xtrim +xrevrange +pexpire",)),
        _READ_DOMAINS,
        StoreRight("Loading the Lua scripts, which no other role may load.", ("+script|load",)),
        StoreRight("INFO, to warn about settings of Redis.", ("+info",)),
    ),
    roles.PROXY: (
        StoreRight(
            "The entries of all proxies in the list of live services.",
            (f"{_PROXY_KEYS} {_ANNOUNCE}", _be_listed(*_PROXY_KINDS)),
        ),
    ),
}
