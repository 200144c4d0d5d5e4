"""A Redis with users and an append-only file is killed, and keeps its data."""

from tests.integration.redis_case import RedisTestCase
from tests.support.redis_server import RedisServer
from tests.support.redis_users import ADMIN, RedisUsers

VALUE = {"a": 1}


class RestartTests(RedisTestCase):
    async def test_what_scripts_have_written(self) -> None:
        """Redis loads the file as the user ``default``, and checks its rights for what a script wrote together."""
        redis = RedisServer(self, start=False, options=("appendonly yes", "appendfsync always"))
        users = RedisUsers(self, redis, ("consoleauth",))
        redis.start()
        store = (await self.transport(users.urls["consoleauth"], "consoleauth")).store
        await store.put("token:alone", VALUE, 600)
        await store.put("token:with-index", VALUE, 600, index="token-index")
        redis.kill()
        redis.start()
        log = redis.folder / "redis.log"
        await self.until(lambda: "DB loaded from append only file" in log.read_text())
        # Asked without the service, which would have to connect again first.
        stored = int(redis.command("EXISTS", "novnc:s:token:alone", "novnc:s:token:with-index", login=ADMIN))  # type: ignore[call-overload]
        self.assertEqual(stored, 2)
        self.assertNotIn("CRITICAL", log.read_text())
