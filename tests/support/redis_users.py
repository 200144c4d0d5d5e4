"""A Redis with the users that ``novnc-redis-acl`` makes, and a user with all rights for the test."""

import tempfile
from hashlib import sha256
from pathlib import Path
from shutil import rmtree

from twisted.trial.unittest import TestCase

from novnc_twisted.messaging.redis.acl import Identity
from novnc_twisted.messaging.redis_url import parse_redis_url
from novnc_twisted.service.redis_acl import write
from tests.support.handed_out import secret
from tests.support.redis_server import RedisServer

ADMIN = ("admin", "the test's own")


class RedisUsers:
    """The users' files, for one redis-server.

    :param names: the roles, such as ``compute.one@10.0.0.1``.
    :param url: the server's address for the services, if it differs from the server's own.
    :ivar urls: transport_url of each role, by its name, such as ``compute.one``.
    """

    def __init__(self, case: TestCase, redis: RedisServer, names: tuple[str, ...], url: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="users-", dir="/tmp"))
        case.addCleanup(rmtree, self.folder, ignore_errors=True)
        identities = [Identity.parse(name) for name in names]
        write(self.folder / "acl", url or redis.url, identities)
        self.urls: dict[str, str] = {}
        for one in identities:
            conf = (self.folder / "acl" / f"{one.name}.conf").read_text()
            self.urls[one.name] = conf.partition("transport_url = ")[2].split()[0]
            secret(self.login(one.name)[1])
        hashed = sha256(ADMIN[1].encode()).hexdigest()
        lines = (self.folder / "acl" / "users.acl").read_text() + f"user {ADMIN[0]} on #{hashed} ~* &* +@all\n"
        (redis.folder / "users.acl").write_text(lines)
        with (redis.folder / "redis.conf").open("a") as conf_file:
            conf_file.write(f"aclfile {redis.folder / 'users.acl'}\n")

    def login(self, name: str) -> tuple[str, str]:
        """User name and password of a role."""
        address = parse_redis_url(self.urls[name])
        return str(address.username), str(address.password)
