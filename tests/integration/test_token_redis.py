"""``TokenRedis`` with a real Redis: valid and invalid values, deleted and expired keys, and an outage."""

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from novnc_twisted.errors import InvalidToken, ServiceUnavailable
from novnc_twisted.token_plugins import Target, make_plugin
from tests.support.redis_server import Client, RedisServer


class TokenRedisTests(TestCase):
    timeout = 300

    async def error_of(self, plugin, token: str) -> Exception | None:
        try:
            await plugin.look_up(token)
        except (InvalidToken, ServiceUnavailable) as error:
            return error
        return None

    async def test_a_key_that_expires(self) -> None:
        """Its token is valid until Redis announces the expiry, and then unknown."""
        server = RedisServer(self, options=("notify-keyspace-events Ex",))
        plugin = make_plugin(reactor, "TokenRedis", server.url)
        plugin.start()
        self.addCleanup(plugin.stop)
        server.command("SET", "a", "h:5900", "PX", "3600000")
        self.assertEqual((await plugin.look_up("a")).port, 5900)
        with Client(server) as events:
            events.command("SUBSCRIBE", "__keyevent@0__:expired")
            server.command("PEXPIRE", "a", "1")
            self.assertEqual(events.reply(), [b"message", b"__keyevent@0__:expired", b"a"])
        self.assertIsInstance(await self.error_of(plugin, "a"), InvalidToken)

    async def test_values(self) -> None:
        server = RedisServer(self)
        plain = make_plugin(reactor, "TokenRedis", server.url)
        spaced = make_plugin(reactor, "TokenRedis", f"{server.url}#app:one")
        for plugin in (plain, spaced):
            plugin.start()
            self.addCleanup(plugin.stop)
        for key, value in (
            *(
                ("a", " h:5900 \n"),
                ("b", '{"host": "[2001:db8::1]:1", "more": 7}'),
                ("app:one:c", '{"host": "h:3", "password": "secret"}'),
            ),
            *(
                ("bad1", "x"),
                ("bad2", '{"host": 7}'),
                ("bad3", "{" * 50_000),
                ("bad4", "[1]"),
                ("bad5", '{"host": "h:1", "password": 7}'),
                ("é", "h:9"),
            ),
        ):
            server.command("SET", key, value)
        server.command("RPUSH", "list", "h:1")
        self.assertEqual(await plain.look_up("a"), Target(host="h", port=5900))
        self.assertEqual(await plain.look_up("b"), Target(host="2001:db8::1", port=1))
        self.assertEqual((await plain.look_up("é")).port, 9)
        found = await spaced.look_up("c")
        self.assertEqual((found.port, found.password), (3, "secret"))
        self.assertNotIn("secret", repr(found))
        for plugin, token in (
            *(
                (plain, token)
                for token in ("none", "bad1", "bad2", "bad3", "bad4", "bad5", "list", "a\nb", "\udcff", "")
            ),
            *((spaced, token) for token in ("a", ":a", "")),
        ):
            self.assertIsInstance(await self.error_of(plugin, token), InvalidToken, token)
        server.command("DEL", "a")
        self.assertIsInstance(await self.error_of(plain, "a"), InvalidToken)
        server.freeze()
        self.assertIsInstance(await self.error_of(plain, "b"), ServiceUnavailable)
        server.kill()
        self.assertIsInstance(await self.error_of(spaced, "c"), ServiceUnavailable)
