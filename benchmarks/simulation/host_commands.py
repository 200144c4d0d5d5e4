"""The commands that an idle compute host sends to Redis."""

from typing import Any

from twisted.internet.defer import Deferred

from benchmarks.cloud_hosts import address, domain
from novnc_twisted.contract.roles import ROLES
from novnc_twisted.contract.topics import COMPUTE, COMPUTE_BINARY
from novnc_twisted.messaging.domain_record import FIELDS, GROUP, KEPT, DomainRecord, head_key
from novnc_twisted.messaging.redis import keys
from novnc_twisted.messaging.redis.announcement import Announcement
from novnc_twisted.messaging.redis.heartbeat import PRESENCE
from novnc_twisted.messaging.redis.presence import KEPT as KEPT_ENTRY
from novnc_twisted.messaging.redis.process_life import life
from novnc_twisted.messaging.redis.scripts import ANNOUNCE, EXTEND, PUT, Script
from novnc_twisted.messaging.wire import encode

_SOME_TIME = 9_999_999_999_999  # a placeholder, as long as today's Unix time in milliseconds


def words(*given: str | int) -> bytes:
    """Return a command as Redis reads it."""
    parts = [str(word).encode() for word in given]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


def run(script: Script, names: list[str], *arguments: str | int) -> bytes:
    """Return the command that runs a script."""
    return words("EVALSHA", script.sha, 0, len(names), *names, *arguments)


class _Captured:
    """A keyed store that records the Redis command of each write."""

    def __init__(self) -> None:
        self.commands: list[bytes] = []

    async def get(self, _key: str) -> None:
        """Answer that there is no earlier record."""

    async def put(self, key: str, value: dict[str, Any], ttl: float) -> None:
        """See IKeyedStore."""
        self.commands.append(run(PUT, [keys.stored(key)], encode(value), int(ttl * 1000), key))

    async def join(self, group: str, member: str, _ttl: float) -> None:
        """See IKeyedStore."""
        self.commands.append(words("SADD", keys.group(group), member))

    async def remove(self, *_keys: str) -> None:
        """Do nothing: there is no earlier record."""


def publication(host: int, domains: int) -> list[bytes]:
    """Return the commands with which a host publishes its domains."""
    store = _Captured()
    record = DomainRecord(store, f"host{host}")  # type: ignore[arg-type]
    found = (domain(host, number, domains) for number in range(domains))
    record.replace([getattr(one, field) for field in FIELDS] for one in found)
    Deferred.fromCoroutine(record.write())
    return store.commands


class HostCommands:
    """The commands of one idle host.

    :ivar lists: the keys of its queues.
    :ivar announce: makes its presence entry, or renews it together with its keys.
    :ivar renew: renews its domain record.
    """

    def __init__(self, number: int, worker: str, origin: str) -> None:
        name, topic = f"host{number}", COMPUTE.of(f"host{number}")
        kind = keys.kind_of(topic)
        self.lists = [keys.requests(topic, role) for role in ("", *ROLES)]
        info = {"server_proxyclient_address": address(number)}
        one = Announcement(
            topic, worker, COMPUTE_BINARY, name, encode(info), tuple(self.lists), address(number), exclusive=True
        )
        member = one.member(origin, life())
        names = [keys.KINDS, keys.services(kind), keys.announced(one.name), keys.servers(topic)]
        fixed = int(PRESENCE * 1000), one.name, member, one.server, "", "1", kind, int(KEPT_ENTRY * 1000)
        self.announce = run(ANNOUNCE, names, *fixed)
        self.renew = words("SADD", keys.group(GROUP), name)
        self.renew += run(EXTEND, [keys.stored(head_key(name))], int(KEPT * 1000))
        entries = (keys.announced(one.name), member), (keys.servers(topic), one.server)
        renewals = [words("ZADD", key, "XX", "CH", _SOME_TIME, member) for key, member in entries]
        # Thousands of hosts renew their entries each second, so only the time is filled in.
        self._renewal = b"".join([words("SADD", keys.services(kind), one.name), *renewals]).split(b"%d" % _SOME_TIME)

    def renewal(self, expires: int) -> bytes:
        """Return the commands that renew its presence entry without a script.

        :param expires: Unix time in milliseconds until which the entry is valid.
        """
        return (b"%d" % expires).join(self._renewal)
