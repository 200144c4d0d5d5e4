"""Users by role on a primary and its replica: neither users nor scripts are replicated."""

from hashlib import sha256
from pathlib import Path

from tests.integration.redis_case import RedisTestCase
from tests.support.redis_server import RedisServer
from tests.support.redis_users import ADMIN, RedisUsers

DOCS = Path(__file__).parents[2] / "docs" / "examples"
PASSWORDS = {"REPLICA-SHA256": "replica-password", "SENTINEL-SHA256": "sentinel-password"}


class SentinelTests(RedisTestCase):
    """Sentinel makes the replica the primary: the services connect to it, and consoleauth loads the scripts."""

    async def test_primary_is_killed(self) -> None:
        text = (DOCS / "redis-sentinel.acl").read_text()
        for place, password in PASSWORDS.items():
            text = text.replace(place, sha256(password.encode()).hexdigest())
        options = ("masteruser novnc-replica", "masterauth replica-password", "repl-diskless-sync-delay 0")
        primary = RedisServer(self, options=options, start=False)
        replica = RedisServer(self, options=(*options, f"replicaof 127.0.0.1 {primary.port}"), start=False)
        sentinel = RedisServer(
            self,
            sentinel=True,
            options=(
                f"sentinel monitor nova 127.0.0.1 {primary.port} 1",
                "sentinel auth-user nova novnc-sentinel",
                "sentinel auth-pass nova sentinel-password",
                "sentinel down-after-milliseconds nova 1000",
            ),
            start=False,
        )
        users = RedisUsers(self, primary, ("consoleauth", "proxy"), f"redis+sentinel://127.0.0.1:{sentinel.port}/nova")
        lines = (primary.folder / "users.acl").read_text() + text
        for server in (primary, replica):
            (server.folder / "users.acl").write_text(lines)
        with (replica.folder / "redis.conf").open("a") as conf:
            conf.write(f"aclfile {replica.folder / 'users.acl'}\n")
        for server in (primary, replica, sentinel):
            server.start()
        auth, proxy = [await self.transport(users.urls[name], name) for name in ("consoleauth", "proxy")]

        async def check_token(value: int) -> int:
            return value

        callers = {"check_token": ("proxy",)}
        methods = {"check_token": check_token}
        await auth.serve("consoleauth", methods, binary="nova-consoleauth", host="control", callers=callers)
        self.assertEqual(await proxy.call("consoleauth", "check_token", value=1), 1)
        await self.until(lambda: primary.command("ROLE", login=ADMIN)[2])  # type: ignore[index]
        await self.until(lambda: len(sentinel.command("SENTINEL", "REPLICAS", "nova")) == 1)  # type: ignore[arg-type]
        primary.kill()
        while True:
            try:
                self.assertEqual(await proxy.call("consoleauth", "check_token", value=2), 2)
                break
            except Exception as error:
                self.assertEqual(type(error).__name__, "ServiceUnavailable")
                await self.pause(0.1)
        self.assertEqual(replica.command("ROLE", login=ADMIN)[0], b"master")  # type: ignore[index]
        # The replica had none of the scripts; no service has tried to load them without the right.
        self.assertEqual(replica.command("ACL", "LOG", login=ADMIN), [])
