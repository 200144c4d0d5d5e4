"""What each role may do in Redis: the rules of an ACL user (Redis 7.0 or newer), one line of an aclfile.

Everything is denied but what stands here, EVAL, SCAN, KEYS, CLIENT, CONFIG, PUBSUB and MONITOR among it.  A grant is a
selector: its commands, on its keys and on no others.  ``%R~`` may be read, ``%W~`` written, ``~`` both.

The names of processes and of calls are 128 random bits, known to the two sides of a call alone; that is why the replies
of a role may share a pattern.
"""

import re
from dataclasses import dataclass
from hashlib import sha256

from novnc_twisted.messaging.redis import keys
from novnc_twisted.messaging.roles import ROLES

USER = "novnc-"
"""What a user's name begins with; its role follows, and ``.HOST`` for a compute host."""

_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,251}\Z")
_ADDRESS = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9._:-]{0,251}\Z")

_EVERYBODY = "+time +select +ping +role +evalsha"
_PUSH = "+rpush +llen +pexpire"
_SERVE = "+blpop +llen +lrange +del"
_SEEN = "+zadd +zrem +zcount +zremrangebyscore +pexpire"
_STORE = "+get +set +del +zadd +zrem +zrange +zremrangebyscore +pttl +pexpireat"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who logs in: a role and, for ``compute``, its host.

    :ivar address: the only one that a compute host may give as its own: its server_proxyclient_address.
    :raises ValueError: with one sentence, where there is none such.
    """

    role: str
    host: str = ""
    address: str = ""

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError("a role is api, consoleauth, proxy, or compute.HOST@ADDRESS")
        if self.role != "compute":
            if self.host or self.address:
                raise ValueError(f"{self.role} has no host and no address in its name")
        elif not _HOST.match(self.host):
            raise ValueError("compute is named with its host, as compute.HOST@ADDRESS: letters, digits, '.', '_', '-'")
        elif not _ADDRESS.match(self.address):
            raise ValueError("compute is named with its server_proxyclient_address, as compute.HOST@ADDRESS")

    @classmethod
    def parse(cls, text: str) -> "Identity":
        """``api``, ``consoleauth``, ``proxy`` or ``compute.HOST@ADDRESS``.

        HOST is the ``host`` option there, ADDRESS its server_proxyclient_address.
        """
        role, _, host = text.partition(".")
        name, _, address = host.partition("@")
        return cls(role, name, address)

    @property
    def name(self) -> str:
        """What it is called, without its address."""
        return self.role + (f".{self.host}" if self.host else "")

    @property
    def user(self) -> str:
        """Its name as a user of Redis."""
        return USER + self.name


def rules(identity: Identity) -> list[str]:
    """What it may do, as rules of ``ACL SETUSER``; nothing but these."""
    return [
        "resetchannels",
        "-@all",
        *_EVERYBODY.split(),
        *(f"({one})" for one in _GRANTS[identity.role](identity)),
    ]


def aclfile_line(identity: Identity, password: str) -> str:
    """The user as a line of an aclfile or of redis.conf, with the password's SHA-256."""
    secret = sha256(password.encode()).hexdigest()
    return " ".join(["user", identity.user, "reset", "on", f"#{secret}", *rules(identity)])


def _calls(role: str, *topics: str) -> list[str]:
    """To call topics, and to take the replies."""
    queues = " ".join(f"%W~{keys.requests(topic, role)}" for topic in topics)
    servers = " ".join(f"%R~{keys.servers(topic)}" for topic in topics)
    return [f"{queues} {_PUSH}", f"{servers} +zcount", f"~{keys.replies('*', role)} +blpop"]


def _serves(topic: str, place: str, *roles: str) -> list[str]:
    """To serve a topic, be seen there, and answer these roles."""
    queues = " ".join(f"~{keys.requests(topic, role)}" for role in ("", *ROLES))
    replies = " ".join(f"%W~{keys.replies('*', role)}" for role in roles)
    entry = keys.announced(f"{topic}@{place}")
    seen = f"~{keys.servers(topic)} ~{entry} {_SEEN}"
    # Who else has the topic that one must have alone.
    return [f"{queues} {_SERVE}", seen, f"%R~{entry} +zrangebyscore", f"{replies} {_PUSH}"]


_APPEARS = f"%W~{keys.SERVICES} +sadd"
"""To be found among the services; not to take anybody out of there."""

_LOOKS = f"%R~{keys.SERVICES} %R~{keys.announced('*')} +smembers +zrangebyscore"

_SEES_DOMAINS = (
    f"%R~{keys.stored('domains:*')} +get",
    f"~{keys.group('compute-hosts')} +smembers +srem +pexpire",
)
"""To see which domains the hosts have that are not alive, and to forget hosts without a record."""

_GRANTS = {
    "api": lambda _one: [
        *_calls("api", "consoleauth", "compute.*"),
        _LOOKS,
        f"~{keys.stored('api:*')} +get +set +del +pexpireat",
        *_SEES_DOMAINS,
    ],
    "compute": lambda one: [
        *_serves(f"compute.{one.host}", one.address, "api", "consoleauth"),
        *_calls("compute", "consoleauth"),
        _APPEARS,
        f"~{keys.stored(f'domains:{one.host}')} +get +set +del +pexpireat",
        f"%W~{keys.group('compute-hosts')} +sadd",
    ],
    "consoleauth": lambda _one: [
        *_serves("consoleauth", "", "api", "compute", "proxy"),
        *_calls("consoleauth", "compute.*"),
        _LOOKS,
        f"~{keys.SERVICES} +sadd +srem +pexpire",
        " ".join(f"~{keys.stored(f'{kind}:*')}" for kind in ("token", "lease", "used", "bound", "owned", "dropped"))
        + f" ~{keys.index('*')} {_STORE}",
        *_SEES_DOMAINS,
        "+script|load",
        "+info",
    ],
    "proxy": lambda _one: [
        *_calls("proxy", "consoleauth"),
        f"%W~{keys.announced('novncproxy.*@')} %W~{keys.announced('xvpvncproxy.*@')} {_SEEN}",
        _APPEARS,
    ],
}
