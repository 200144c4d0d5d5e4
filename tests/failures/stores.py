"""The Redis servers of a cloud: one, or a primary, a replica and three Sentinels."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from tests.failures.network import Network
from tests.support.pki import CA
from tests.support.redis_server import RedisServer
from tests.support.redis_users import ADMIN, RedisUsers

SENTINELS = ("sentinel1", "sentinel2", "sentinel3")
ACL = Path(__file__).parents[2] / "docs" / "examples" / "redis-sentinel.acl"
PASSWORDS = {"REPLICA-SHA256": "replica-password", "SENTINEL-SHA256": "sentinel-password"}
REPLICAS = ("redis1", "redis2")
REPLICATED = (
    *("appendonly yes", "appendfsync everysec", "repl-diskless-sync-delay 0", "repl-timeout 5"),
    *("repl-ping-replica-period 1", "masteruser novnc-replica", "masterauth replica-password"),
)
WATCHED = (
    *("sentinel auth-user nova novnc-sentinel", "sentinel auth-pass nova sentinel-password"),
    *("sentinel down-after-milliseconds nova 1000", "sentinel failover-timeout nova 5000"),
)


class Stores:
    """The servers.

    :param case: its clean-up ends the servers.
    :param roles: the roles of the users, as ``novnc-redis-acl`` takes them.
    :param kind: one of :data:`tests.failures.table.CLOUDS`.
    :ivar urls: transport_url of each role.
    """

    def __init__(self, case: Any, network: Network, roles: tuple[str, ...], kind: str) -> None:
        self._network = network
        self._watched = kind != "single"
        addresses = {name: network.addresses[name] for name in (*REPLICAS, *SENTINELS)}
        files = _certificate(Path(case.mktemp()), tuple(addresses.values())) if kind == "sentinel" else None
        common = ("tls-replication yes",) if files else ()
        self.servers: dict[str, RedisServer] = {}

        def add(name: str, options: tuple[str, ...], *, sentinel: bool = False) -> RedisServer:
            more: dict[str, Any] = {"tls": files, "sentinel": sentinel, "options": (*common, *options)}
            server = self.servers[name] = RedisServer(case, address=addresses[name], start=False, **more)
            if files:
                _append(server, "tls-auth-clients no")  # the certificates are valid for servers only
            return server

        primary = add("redis1", REPLICATED)
        place = f"{primary.address} {primary.port}"
        url = primary.url
        if self._watched:
            _append(add("redis2", REPLICATED), f"replicaof {place}")
            sentinels = [add(name, (f"sentinel monitor nova {place} 2", *WATCHED), sentinel=True) for name in SENTINELS]
            url = f"redis+sentinel://{','.join(f'{one.address}:{one.port}' for one in sentinels)}/nova"
            url += f"?tls=true&ca={files[2]}" if files else ""
        self.urls = RedisUsers(case, primary, roles, url).urls
        text = ACL.read_text()
        for word, password in PASSWORDS.items():
            text = text.replace(word, sha256(password.encode()).hexdigest())
        lines = (primary.folder / "users.acl").read_text() + text
        for name in set(REPLICAS) & set(self.servers):
            (self.servers[name].folder / "users.acl").write_text(lines)
        if self._watched:
            _append(self.servers["redis2"], f"aclfile {self.servers['redis2'].folder / 'users.acl'}")

    async def start(self) -> None:
        """Start the servers, and wait until they are settled."""
        await gatherResults([Deferred.fromCoroutine(self.run(name)) for name in self.servers])
        await self.settled()

    async def run(self, name: str) -> None:
        """Start or restart a server."""
        await self._network.in_thread(name, self.servers[name].start)

    def primary(self) -> str:
        """The name of the server that most Sentinels report as the primary."""
        if not self._watched:
            return "redis1"
        named = [self._reported(name) for name in SENTINELS]
        ports = {server.port: name for name, server in self.servers.items()}
        return ports[max(set(named), key=named.count)]

    def replica(self) -> str:
        """The name of the server that is not the primary."""
        return "redis1" if self.primary() == "redis2" else "redis2"

    def waiting(self, key: str) -> int:
        """The length of a queue of calls."""
        return int(self.servers[self.primary()].command("LLEN", key, login=ADMIN))  # type: ignore[call-overload]

    async def settled(self) -> None:
        """Wait until all Sentinels report the same primary, and the replica follows it."""
        await until(self._is_settled if self._watched else self._answers)

    def _answers(self) -> bool:
        try:
            return bool(self.servers["redis1"].command("PING", login=ADMIN))
        except OSError:
            return False

    def _is_settled(self) -> bool:
        try:
            if len({self._reported(name) for name in SENTINELS}) != 1:
                return False
            primary = self.primary()
            roles: Any = [self.servers[name].command("ROLE", login=ADMIN) for name in ("redis1", "redis2")]
            follower = roles[primary == "redis1"]
            states: list[Any] = [self.servers[name].command("SENTINEL", "REPLICAS", "nova") for name in SENTINELS]
        except (OSError, RuntimeError, TypeError):
            return False
        flags = [dict(zip(one[::2], one[1::2], strict=True))[b"flags"] for seen in states for one in seen]
        well = flags == [b"slave"] * len(SENTINELS)
        peers = all(len(self._others(name)) == 2 for name in SENTINELS)
        return well and peers and follower[0] == b"slave" and follower[3] == b"connected"

    def _others(self, name: str) -> list[Any]:
        return list(self.servers[name].command("SENTINEL", "SENTINELS", "nova"))  # type: ignore[call-overload]

    def _reported(self, name: str) -> int:
        place: Any = self.servers[name].command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "nova")
        return int(place[1])


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await pause(0.05)


def pause(seconds: float) -> Deferred[None]:
    return deferLater(reactor, seconds, lambda: None)  # type: ignore[arg-type]


def _append(server: RedisServer, line: str) -> None:
    with (server.folder / "redis.conf").open("a") as conf:
        conf.write(line + "\n")


def _certificate(folder: Path, addresses: tuple[str, ...]) -> tuple[Path, Path, Path]:
    folder.mkdir(parents=True)
    authority = CA()
    made = authority.issue(*addresses)
    files = tuple((folder / name).absolute() for name in ("cert.pem", "key.pem", "ca.pem"))
    for path, data in zip(files, (made.cert, made.key, authority.pem), strict=True):
        path.write_bytes(data)
    return files  # type: ignore[return-value]
