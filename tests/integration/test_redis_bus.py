"""The contents of Redis: nothing in clear, nothing without an expiry, and nothing that is trusted."""

import json
import secrets
from contextlib import closing
from typing import Any
from unittest import mock

import txredisapi
from twisted.internet.defer import CancelledError, Deferred, gatherResults

from novnc_twisted.errors import ConsoleForbidden
from novnc_twisted.messaging.redis.calls import MAX_WAITING
from novnc_twisted.messaging.redis.heartbeat import PRESENCE
from novnc_twisted.messaging.redis.protocol import RedisProtocol
from novnc_twisted.messaging.redis.scripts import QUEUE
from novnc_twisted.messaging.redis.sealing import Opener, Sealer
from novnc_twisted.messaging.wire import MAX_CONCURRENCY
from tests.integration.redis_case import RedisTestCase
from tests.support.redis_server import Client, RedisServer

SECRET = "9f4d2c7e-plain-password"


class SecrecyTests(RedisTestCase):
    """Readers of the bus, its replicas or its files cannot read the answers."""

    async def test_answers_are_sealed(self) -> None:
        redis = RedisServer(self, options=("appendonly yes", "appendfsync always"))
        caller, server = await self.pair(redis)

        async def password() -> Any:
            return {"password": SECRET}

        async def refuse() -> Any:
            raise ConsoleForbidden(SECRET)

        await server.serve("s", {"password": password, "refuse": refuse}, binary="b", host="h")
        monitor = Client(redis)
        with closing(monitor):
            monitor.command("MONITOR")
            self.assertEqual(await caller.call("s", "password"), {"password": SECRET})
            with self.assertRaises(ConsoleForbidden) as caught:
                await caller.call("s", "refuse")
            self.assertEqual(caught.exception.detail, SECRET)
            redis.command("ECHO", "end-of-the-watch")
            seen: list[bytes] = []
            while not seen or b"end-of-the-watch" not in seen[-1]:
                line = monitor.reply()
                self.assertIsInstance(line, bytes)
                seen.append(line)  # type: ignore[arg-type]
        text = b"\n".join(seen)
        self.assertIn(b"RPUSH", text.upper())
        files = b"".join(file.read_bytes() for file in redis.folder.rglob("*") if file.is_file())
        self.assertIn(b"sealed", files)
        for everything in (text, files):
            for secret in (SECRET.encode(), b"ConsoleForbidden", b'\\"password\\":', b'"result"'):
                self.assertNotIn(secret, everything)

    async def test_replies_at_rest_are_sealed(self) -> None:
        """A reply that is never read is not readable in a DUMP of any key."""
        redis = RedisServer(self)
        _, server = await self.pair(redis)

        async def password() -> Any:
            return SECRET * 10

        await server.serve("s", {"password": password}, binary="b", host="h")
        opener, gone = Opener(), secrets.token_hex(16)
        request = self.request(redis, to=gone, key=opener.public_key, method="password", arguments={})
        redis.command("RPUSH", "novnc:q:s", json.dumps(request))
        await self.until(lambda: redis.command("EXISTS", f"novnc:r:{gone}"))
        for key in redis.command("KEYS", "*"):  # type: ignore[attr-defined]
            self.assertNotIn(SECRET.encode(), redis.command("DUMP", key))
        [reply] = redis.command("LRANGE", f"novnc:r:{gone}", "0", "-1")  # type: ignore[misc]
        self.assertNotIn(SECRET.encode(), reply)
        sealed = json.loads(reply)["sealed"]
        self.assertEqual(json.loads(opener.open(request["id"], sealed)), {"result": SECRET * 10})
        with self.assertRaises(ValueError):
            opener.open("0" * 32, sealed)
        with self.assertRaises(ValueError):
            Opener().open(request["id"], sealed)

    async def test_nothing_is_left(self) -> None:
        redis = RedisServer(self)
        caller, server = await self.pair(redis)
        await caller.store.put("a", {}, 0.2, index="i")
        await caller.store.put("b", {}, 0.1, index="i")
        await caller.store.extend("b", 0.3)
        waiting = caller.call("t", "wait", seconds=60, deadline=0.2)
        self.assertEqual(redis.lasting(), [])
        await self.fails(waiting)
        await self.until(lambda: not [key for key in redis.command("KEYS", "*") if b":s:" in key or b":i:" in key])
        await caller.stop()
        await server.stop()
        await self.until(lambda: not [key for key in redis.command("KEYS", "*") if b":services" not in key])
        self.assertEqual(redis.lasting(), [])

    async def test_the_names_of_the_services_outlive_a_killed_consoleauth(self) -> None:
        """The names expire late, so no other service disappears from the list while consoleauth restarts."""
        redis = RedisServer(self)
        await self.pair(redis)
        for key in redis.command("KEYS", "*services*"):  # type: ignore[attr-defined]
            self.assertGreater(redis.command("PTTL", key), 1000 * 2 * PRESENCE, key)

    def request(self, redis: RedisServer, **changes: Any) -> dict[str, Any]:
        seconds, _ = redis.command("TIME")  # type: ignore[misc]
        good = {
            "id": secrets.token_hex(16),
            "to": secrets.token_hex(16),
            "key": Opener().public_key,
            "until": int(seconds) * 1000 + 60_000,
            "method": "note",
            "arguments": {"value": "forged"},
        }
        return good | changes

    async def test_bad_requests_are_dropped(self) -> None:
        redis = RedisServer(self)
        caller, _ = await self.pair(redis)
        good = self.request(redis)
        bad: list[str | bytes] = [
            "",
            "{",
            "null",
            "[]",
            '"' + SECRET + '"',
            b"\xff\xfe" + SECRET.encode(),
            "[" * 200_000,
            json.dumps(good | {"arguments": {"value": "x" * (1 << 20)}}),
            *(json.dumps({name: value for name, value in good.items() if name != left}) for left in good),
            *(json.dumps(good | {name: value}) for name in good for value in (None, 1.5, [SECRET], True)),
            json.dumps(good | {"arguments": [1]}),
            json.dumps(good | {"until": "NaN"}).replace('"NaN"', "NaN"),
            json.dumps(good | {"id": "../../x"}),
            json.dumps(good | {"to": f"{SECRET}"}),
            json.dumps(good | {"key": "AAAA"}),
            json.dumps(good | {"key": "ü" * 44}),
            json.dumps(good | {"until": good["until"] - 120_000}),
            json.dumps(good | {"until": -1}),
        ]
        for message in bad:
            redis.command("RPUSH", "novnc:q:t", message)
        self.assertEqual(await caller.call("t", "note", value="good"), "good")
        self.assertEqual(self.ran, ["good"])
        # One line for all of them.
        self.assertEqual(len(self.logged.lines("was dropped")), 1)
        self.assertEqual(self.logged.lines(SECRET), [])
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_key_to_which_nothing_can_be_sealed(self) -> None:
        redis = RedisServer(self)
        caller, _ = await self.pair(redis)
        redis.command("RPUSH", "novnc:q:t", json.dumps(self.request(redis, key="A" * 43 + "=")))
        await caller.call("t", "note", value="good")
        await self.until(lambda: self.logged.lines("cannot be answered"))
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_bad_replies_are_dropped(self) -> None:
        redis = RedisServer(self)
        caller, _ = await self.pair(redis)
        process, key = caller.calls.process, caller.calls.public_key
        called = caller.call("t", "wait", seconds=0.3, deadline=60)
        [call_id] = caller.calls.pending

        def sealed(answer: str) -> str:
            return json.dumps({"id": call_id, "sealed": Sealer(key).seal(call_id, answer)})

        for message in (
            "{",
            "[]",
            json.dumps({"id": call_id}),
            json.dumps({"id": call_id, "sealed": SECRET}),
            json.dumps({"id": call_id, "sealed": Sealer(Opener().public_key).seal(call_id, '{"result":1}')}),
            # It is sealed for another call of the same process.
            json.dumps({"id": call_id, "sealed": Sealer(key).seal("0" * 32, '{"result":1}')}),
            sealed("[]"),
            sealed("{}"),
            sealed('{"error":1,"detail":2}'),
            sealed(SECRET),
            json.dumps({"id": "f" * 32, "sealed": Sealer(key).seal("f" * 32, '{"result":1}')}),
        ):
            redis.command("RPUSH", f"novnc:r:{process}", message)
        self.assertIsNone(await called)
        self.assertEqual(len(self.logged.lines("a reply was dropped")), 1)
        self.assertEqual(self.logged.lines(SECRET), [])
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_store_and_services_of_others(self) -> None:
        """Foreign data in Redis is not taken for an object or a service."""
        redis = RedisServer(self)
        caller, _ = await self.pair(redis)
        redis.command("SET", "novnc:s:bad", SECRET)
        redis.command("RPUSH", "novnc:s:list", SECRET)
        for key in ("bad", "list"):
            self.assertNotIn(SECRET, await self.fails(caller.store.get(key)))
        now = int(redis.command("TIME")[0]) * 1000  # type: ignore[index]
        good = json.dumps({"binary": "b", "host": "h", "info": {}}).encode()
        for text in (b"", b"1 ", b"2 {", b"3 []", b'4 {"binary":1,"host":"h","info":{}}', b"5 \xff", b"nospace"):
            redis.command("ZADD", "novnc:a:t@", str(now + 9_000), text)
        for topic in ("two words@", "gone", b"\xff@", "", "@"):
            redis.command("SADD", "novnc:services:t", topic)
        for topic in (b"two words@", b"\xff@", b"", b"@"):
            redis.command("ZADD", b"novnc:a:" + topic, str(now + 9_000), b"1 " + good)
        self.assertEqual([one.binary for one in await caller.services()], ["nova-consoleauth"])

    async def test_queue_is_bounded(self) -> None:
        redis = RedisServer(self)
        caller, _ = await self.pair(redis)
        calls = [caller.call("t", "wait", seconds=200, deadline=120) for _ in range(MAX_CONCURRENCY)]
        await self.until(lambda: self.ran.count("waits") == MAX_CONCURRENCY)
        with closing(Client(redis)) as client:
            client.command("RPUSH", "novnc:q:t", *["x"] * MAX_WAITING)
        self.assertEqual(redis.command("LLEN", "novnc:q:t"), MAX_WAITING)
        self.assertEqual(await self.fails(caller.call("t", "note", value=1)), "too many calls wait for t")
        redis.command("DEL", "novnc:q:t")
        for call in calls:
            call.cancel()
            with self.assertRaises(CancelledError):
                await call


class SharingTests(RedisTestCase):
    """Many workers; each call runs once."""

    async def test_each_call_runs_once(self) -> None:
        redis = RedisServer(self)
        caller, _ = await self.pair(redis)
        for _ in range(4):
            await self.serve(await self.transport(redis.url))
        answers = await gatherResults([caller.call("t", "note", deadline=30, value=number) for number in range(500)])
        self.assertEqual(answers, list(range(500)))
        self.assertEqual(sorted(self.ran), list(range(500)))

    async def test_requests_that_nobody_takes_are_answered_when_serving_ends(self) -> None:
        redis = RedisServer(self)
        caller = await self.transport(redis.url)
        server = await self.transport(redis.url)
        stop = await self.serve(server)
        calls = [caller.call("t", "wait", seconds=60, deadline=60) for _ in range(MAX_CONCURRENCY + 5)]
        await self.until(lambda: self.ran.count("waits") == MAX_CONCURRENCY)
        await self.until(lambda: redis.command("LLEN", "novnc:q:t") == 5)
        await stop()
        for call in calls:
            self.assertEqual(await self.fails(call), "t was stopped")

    async def test_work_ends_with_its_deadline(self) -> None:
        redis = RedisServer(self)
        caller, server = await self.pair(redis)
        ended: Deferred[str] = Deferred()

        async def slow() -> None:
            try:
                await Deferred()
            except CancelledError:
                ended.callback("cancelled")
                raise

        await server.serve("s", {"slow": slow}, binary="b", host="h")
        await self.fails(caller.call("s", "slow", deadline=0.2))
        self.assertEqual(await ended, "cancelled")


class ProtocolTests(RedisTestCase):
    """Defects of txredisapi's protocol that ours avoids."""

    async def test_cancelled_commands_keep_replies_in_order(self) -> None:
        """CVE-2023-28858: the reply to a cancelled command must not go to the next one."""
        redis = RedisServer(self)
        caller, _ = await self.pair(redis)
        store = caller.store
        for number in range(20):
            await store.put(f"k{number}", {"n": number}, 60)
        for round_ in range(30):
            asked = [store.get(f"k{number}") for number in range(20)]
            for number in range(round_ % 3, 20, 3):
                asked[number].cancel()
            for number, one in enumerate(asked):
                if number % 3 == round_ % 3:
                    with self.assertRaises(CancelledError):
                        await one
                else:
                    self.assertEqual(await one, {"n": number})
            calls = [caller.call("t", "note", value=number) for number in range(20)]
            for number in range(round_ % 3, 20, 3):
                calls[number].cancel()
            for number, one in enumerate(calls):
                if number % 3 == round_ % 3:
                    with self.assertRaises(CancelledError):
                        await one
                else:
                    self.assertEqual(await one, number)
        self.assertEqual(len(caller.calls.pending), 0)

    async def test_strings_stay_strings(self) -> None:
        """By default, txredisapi converts strings that look like numbers."""
        self.assertTrue(issubclass(RedisProtocol, txredisapi.HiredisProtocol))
        redis = RedisServer(self)
        transport = await self.transport(redis.url)
        protocol = await transport.link.connected(5)
        for text in ("0123", "1.50", "-7", "+1", "QUEUED"):
            await protocol.command("SET", "x", text)
            self.assertEqual(await protocol.command("GET", "x"), text)

    async def test_blocking_commands_hold_no_other(self) -> None:
        """BLPOP waits on a connection of its own: other commands are answered meanwhile."""
        redis = RedisServer(self)
        caller, _ = await self.pair(redis)
        listed: Any = redis.command("CLIENT", "LIST")
        blocked = [line for line in listed.decode().splitlines() if "cmd=blpop" in line]
        # For the replies of both transports, and for the topic that one of them serves.
        self.assertEqual(len(blocked), 3)
        self.assertTrue(all(" flags=b " in line for line in blocked), blocked)
        await caller.store.get("x")
        self.assertIn("flags=b", str(redis.command("CLIENT", "LIST")))

    async def test_commands_have_a_deadline_while_disconnected(self) -> None:
        """txredisapi would keep them without a limit."""
        redis = RedisServer(self, start=False)
        transport = await self.transport(redis.url)
        for waiting in (transport.store.get("x"), transport.store.put("x", {}, 1), transport.services()):
            await self.fails(waiting)

    async def test_call_that_is_late_is_not_queued(self) -> None:
        """When a frozen Redis continues, it runs the commands that it received."""
        redis = RedisServer(self)
        caller, _ = await self.pair(redis)
        now = await caller.link.exact_now()
        for left, answer in ((-1, "late"), (0, "late"), (5000, "queued")):
            keys = ["novnc:p:t", "novnc:q:none"]
            self.assertEqual(await caller.link.run(QUEUE, keys, "x", now + left, 10, deadline=5), answer)
        self.assertEqual(redis.command("LLEN", "novnc:q:none"), 1)

    async def test_too_long_a_reply_ends_the_connection(self) -> None:
        redis = RedisServer(self)
        caller, _ = await self.pair(redis)
        redis.command("SET", "novnc:s:big", "x" * 3_000_000)
        with mock.patch("novnc_twisted.messaging.redis.protocol.MAX_PENDING", 1_000_000):
            await self.fails(caller.store.get("big"))
        await self.until_answered(caller, 1)
        self.assertEqual(self.flushLoggedErrors(), [])
