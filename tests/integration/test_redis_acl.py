"""A stolen credential: each thing that it must not do, tried on a real Redis with the services at work.

The tables are the promise.  What a credential still can do stands in docs/redis_acl.rst.
"""

import json
import secrets
from typing import Any

from novnc_twisted.access import hash_token
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.redis import scripts
from novnc_twisted.messaging.redis.sealing import Opener, Sealer
from tests.compute.harness import A, B
from tests.integration.redis_roles import VIEWER, RolesCase

HEX = "0" * 32
TOKEN = "{token}"
"""Stands for a live token's hash."""

FOR_NOBODY = """
SCAN 0
KEYS *
RANDOMKEY
DBSIZE
SORT novnc:services
TYPE novnc:services
EXISTS novnc:services
DUMP novnc:services
OBJECT FREQ novnc:services
COPY novnc:services novnc:r:proxy:x
RENAME novnc:services novnc:r:proxy:x
RESTORE novnc:r:proxy:x 0 x
MIGRATE 192.0.2.9 6379 novnc:services 0 100
PUBSUB CHANNELS
SUBSCRIBE novnc:q:consoleauth
PSUBSCRIBE *
PUBLISH novnc:q:consoleauth x
MONITOR
SLOWLOG GET
LATENCY LATEST
INFO
CONFIG GET *
CONFIG SET requirepass x
ACL LIST
ACL SETUSER novnc-proxy +@all
ACL WHOAMI
CLIENT LIST
CLIENT KILL TYPE normal
CLIENT PAUSE 1000
CLIENT UNBLOCK 1
CLIENT NO-EVICT on
DEBUG SLEEP 0
FLUSHALL
FLUSHDB
SWAPDB 0 1
MOVE novnc:services 1
SAVE
BGREWRITEAOF
SHUTDOWN NOSAVE
REPLICAOF 192.0.2.9 6379
FAILOVER
PSYNC ? -1
MODULE LIST
FUNCTION LIST
FUNCTION LOAD x
FUNCTION FLUSH
FCALL x 0
EVAL return(1) 0
EVAL_RO return(1) 0
EVALSHA_RO 0000000000000000000000000000000000000000 0
SCRIPT FLUSH
SCRIPT KILL
MULTI
WATCH novnc:services
CLUSTER INFO
COMMAND
DEL novnc:services
EXPIRE novnc:services 1
SET novnc:services x
"""
"""Commands that no role may give."""

FOR_NEITHER = f"""
SCRIPT LOAD return(1)
GET novnc:s:token:{TOKEN}
SET novnc:s:token:{TOKEN} x
SET novnc:s:token:forged x
GETDEL novnc:s:token:{TOKEN}
DEL novnc:s:token:{TOKEN}
EXPIRE novnc:s:token:{TOKEN} 0
PEXPIRE novnc:s:token:{TOKEN} 0
ZRANGE novnc:i:instance:{A} 0 -1
ZRANGEBYSCORE novnc:i:instance:{A} -inf +inf
ZADD novnc:i:instance:{A} 1 x
GET novnc:s:api:identity
SET novnc:s:api:identity x
SET novnc:s:lease:x x
SET novnc:s:used:x x
SMEMBERS novnc:services
SREM novnc:services compute.one@192.0.2.1
PEXPIRE novnc:services 0
BLPOP novnc:q:consoleauth 0.1
BLPOP novnc:q:consoleauth:proxy 0.1
BLPOP novnc:q:consoleauth:compute 0.1
BLPOP novnc:q:consoleauth:api 0.1
LRANGE novnc:q:consoleauth:proxy 0 -1
LRANGE novnc:q:consoleauth:compute 0 -1
LPOP novnc:q:consoleauth:proxy
DEL novnc:q:consoleauth:proxy
DEL novnc:q:consoleauth:compute
RPUSH novnc:q:consoleauth x
RPUSH novnc:q:consoleauth:api x
RPUSH novnc:q:consoleauth:consoleauth x
LPUSH novnc:q:consoleauth:api x
BLPOP novnc:q:compute.two:api 0.1
BLPOP novnc:q:compute.two:consoleauth 0.1
RPUSH novnc:q:compute.two x
RPUSH novnc:q:compute.two:api x
RPUSH novnc:q:compute.two:consoleauth x
DEL novnc:q:compute.two:consoleauth
BLPOP novnc:r:api:{HEX} 0.1
BLPOP novnc:r:consoleauth:{HEX} 0.1
LRANGE novnc:r:consoleauth:{HEX} 0 -1
DEL novnc:r:consoleauth:{HEX}
RPUSH novnc:r:{HEX} x
ZADD novnc:p:consoleauth 99999999999999 me
ZREM novnc:p:consoleauth x
DEL novnc:p:consoleauth
PEXPIRE novnc:p:consoleauth 0
ZADD novnc:a:consoleauth@ 99999999999999 me
ZADD novnc:p:compute.two 99999999999999 me
ZADD novnc:a:compute.two@192.0.2.2 99999999999999 me
ZADD novnc:a:compute.two@192.0.2.1 99999999999999 me
ZREMRANGEBYSCORE novnc:a:compute.two@192.0.2.2 -inf +inf
PEXPIRE novnc:a:compute.two@192.0.2.2 0
ZRANGEBYSCORE novnc:a:compute.two@192.0.2.2 -inf +inf
ZADD novnc:a:compute.three@192.0.2.3 99999999999999 me
"""
"""What the credential of a proxy or of compute host ``one`` must not do besides."""

FOR = {
    "proxy": f"""
RPUSH novnc:q:consoleauth:compute x
RPUSH novnc:q:compute.one:api x
RPUSH novnc:q:compute.one:consoleauth x
BLPOP novnc:q:compute.one:consoleauth 0.1
BLPOP novnc:r:compute:{HEX} 0.1
RPUSH novnc:r:api:{HEX} x
RPUSH novnc:r:consoleauth:{HEX} x
RPUSH novnc:r:compute:{HEX} x
RPUSH novnc:r:proxy:{HEX} x
DEL novnc:r:proxy:{HEX}
ZADD novnc:p:compute.one 99999999999999 me
ZADD novnc:a:compute.one@192.0.2.1 99999999999999 me
ZADD novnc:p:novncproxy.control 99999999999999 me
""",
    "compute.one": f"""
RPUSH novnc:q:consoleauth:proxy x
BLPOP novnc:r:proxy:{HEX} 0.1
RPUSH novnc:r:proxy:{HEX} x
RPUSH novnc:r:compute:{HEX} x
LPOP novnc:r:api:{HEX}
DEL novnc:r:api:{HEX}
ZADD novnc:a:compute.one@192.0.2.2 99999999999999 me
ZADD novnc:a:compute.one@127.0.0.1 99999999999999 me
ZADD novnc:a:compute.one@ 99999999999999 me
ZADD novnc:a:novncproxy.control@ 99999999999999 me
""",
    "api": f"""
SCRIPT LOAD return(1)
GET novnc:s:token:{TOKEN}
SET novnc:s:token:{TOKEN} x
ZRANGE novnc:i:instance:{A} 0 -1
RPUSH novnc:q:consoleauth x
RPUSH novnc:q:consoleauth:proxy x
RPUSH novnc:q:compute.one x
RPUSH novnc:q:compute.one:consoleauth x
BLPOP novnc:q:compute.one:api 0.1
BLPOP novnc:q:consoleauth:api 0.1
BLPOP novnc:r:proxy:{HEX} 0.1
ZADD novnc:p:consoleauth 99999999999999 me
ZADD novnc:a:compute.two@192.0.2.2 99999999999999 me
SADD novnc:services x
SREM novnc:services compute.one@192.0.2.1
""",
    "consoleauth": f"""
GET novnc:s:api:identity
SET novnc:s:api:identity x
BLPOP novnc:q:compute.one:consoleauth 0.1
RPUSH novnc:q:compute.one:api x
RPUSH novnc:q:compute.one x
BLPOP novnc:r:proxy:{HEX} 0.1
ZADD novnc:p:compute.one 99999999999999 me
ZADD novnc:a:compute.one@192.0.2.1 99999999999999 me
""",
}
"""What one of them must not do besides."""

BY_SCRIPT: list[tuple[scripts.Script, list[str], list[str]]] = [
    (scripts.PUT, ["novnc:s:token:forged", f"novnc:i:instance:{A}"], ["{}", "60000", "token:forged"]),
    (scripts.REMOVE, [f"novnc:s:token:{TOKEN}"], []),
    (scripts.EXTEND, [f"novnc:s:token:{TOKEN}"], ["60000"]),
    (scripts.INDEXED, [f"novnc:i:instance:{A}"], []),
    (scripts.SERVICES, ["novnc:services"], ["novnc:a:", "1"]),
    (scripts.QUEUE, ["novnc:p:consoleauth", "novnc:q:consoleauth:api"], ["x", "99999999999999", "1000"]),
    (scripts.QUEUE, ["novnc:p:compute.two", "novnc:q:compute.two:consoleauth"], ["x", "99999999999999", "1000"]),
    (scripts.REPLY, [f"novnc:r:compute:{HEX}"], ["x", "99999999999999", "1000"]),
    (scripts.WITHDRAW, ["novnc:a:compute.two@192.0.2.2", "novnc:p:compute.two", "novnc:q:compute.two:api"], ["x", "y"]),
    (
        scripts.ANNOUNCE,
        ["novnc:services", "novnc:a:compute.two@192.0.2.2", "novnc:p:compute.two"],
        ["60000", "compute.two@192.0.2.2", "x {}", "x", ""],
    ),
]
"""Our own scripts, with keys that are not for a proxy or compute host ``one``: they run with the caller's rights."""

ASKED = {
    "proxy": {
        "authorize_console": {"console_type": "novnc", "instance_uuid": A},
        "show_token": {},
        "delete_tokens_for_instance": {"instance_uuid": A},
        "instance_gone": {"instance_uuid": A, "insist": False},
    },
    "compute.one": {
        "authorize_console": {"console_type": "novnc", "instance_uuid": B},
        "check_token": {"console_type": "novnc", "client_address": VIEWER},
        "get_vnc_password": {"console_type": "novnc", "client_address": VIEWER},
        "keep_token": {"client_address": VIEWER},
        "show_token": {},
        "delete_tokens_for_instance": {"instance_uuid": A},
    },
    "api": {
        "check_token": {"console_type": "novnc", "client_address": VIEWER},
        "get_vnc_password": {"console_type": "novnc", "client_address": VIEWER},
        "instance_gone": {"instance_uuid": A},
    },
}
"""Methods of consoleauth that are not for a role, which may well call others."""


class ForbiddenTests(RolesCase):
    """Redis itself says NOPERM."""

    async def setUp(self) -> None:  # type: ignore[override]
        await super().setUp()
        self.token = await self.make_token()
        self.hash = hash_token(self.token)

    def attempts(self, name: str) -> list[list[str]]:
        """What a credential must not do, in words."""
        lines = FOR_NOBODY + (FOR_NEITHER if name in ("proxy", "compute.one") else "") + FOR[name]
        return [[word.replace(TOKEN, self.hash) for word in line.split()] for line in lines.split("\n") if line]

    def answer(self, name: str, *words: str) -> str:
        """What Redis answers: an error's text, or what was got."""
        try:
            return repr(self.stolen(name, *words))
        except RuntimeError as error:
            return str(error)

    async def test_commands_and_keys(self) -> None:
        done = [
            (name, " ".join(words), answer)
            for name in FOR
            for words in self.attempts(name)
            if not (answer := self.answer(name, *words)).startswith("NOPERM")
        ]
        self.assertEqual(done, [])
        await self.still_works()

    async def test_by_script(self) -> None:
        """Each script is known to Redis, and fails inside."""
        done = []
        for name in ("proxy", "compute.one"):
            for script, keys, arguments in BY_SCRIPT:
                named = [key.replace(TOKEN, self.hash) for key in keys]
                words = ["EVALSHA", script.sha, "0", str(len(named)), *named, *arguments]
                answer = self.answer(name, *words)
                # With keys that are told the right to read and to write is asked for before it runs.
                told = self.answer(name, "EVALSHA", script.sha, str(len(named)), *named, "0", *arguments)
                if "The user executing the script can't" not in answer or not told.startswith("NOPERM"):
                    done.append((name, words, answer, told))
        self.assertEqual(done, [])
        await self.still_works()

    async def still_works(self) -> None:
        """Nothing of it had an effect."""
        info = await self.door.check_token(self.token, "novnc", VIEWER)
        self.assertEqual((info.compute_host, info.host), ("one", "192.0.2.1"))
        self.assertEqual([one.topic for one in await self.api.services("compute.")], ["compute.one", "compute.two"])
        self.assertEqual(self.admin("EXISTS", "novnc:s:token:forged"), 0)

    async def test_without_a_user(self) -> None:
        for words in (("PING",), ("GET", "x"), ("AUTH", "default", "x"), ("AUTH", "novnc-proxy", "x")):
            with self.assertRaisesRegex(RuntimeError, "^(NOAUTH|WRONGPASS) "):
                self.redis.command(*words)


class RefusedTests(RolesCase):
    """Where Redis lets it through, the service that is called does not."""

    async def test_methods_of_consoleauth(self) -> None:
        token = await self.make_token()
        for name, methods in ASKED.items():
            thief = await self.login(name)
            for method, arguments in methods.items():
                asked = {"token_hash": hash_token(token), **arguments}
                detail = await self.refused(ServiceUnavailable, thief.call("consoleauth", method, **asked))
                self.assertEqual(detail, "consoleauth has no such method", (name, method))
        self.assertEqual(len(self.logged.lines("proxy called authorize_console of consoleauth, which is not for")), 1)
        self.assertEqual((await self.door.check_token(token, "novnc", VIEWER)).compute_host, "one")

    async def test_methods_of_a_compute_host(self) -> None:
        for method in ("get_vnc_password", "validate_console_port", "claims"):
            detail = await self.refused(ServiceUnavailable, self.api.call("compute.one", method, instance_uuid=A))
            self.assertEqual(detail, "compute.one has no such method")

    async def test_calls_of_compute_hosts(self) -> None:
        for name in ("proxy", "compute.two"):
            thief = await self.login(name)
            detail = await self.refused(ServiceUnavailable, thief.call("compute.one", "get_instance", instance_uuid=A))
            self.assertIn("Redis answered", detail)
            self.assertIn("Redis answered", await self.refused(ServiceUnavailable, thief.services()))
            self.assertIn("Redis answered", await self.refused(ServiceUnavailable, thief.store.get("token:x")))

    async def test_to_serve_another_hosts_topic(self) -> None:
        """It is not seen, and hears nothing."""
        heard: list[Any] = []

        async def note(**arguments: Any) -> None:
            heard.append(arguments)

        for name, topic in (("compute.two", "compute.one"), ("compute.two", "consoleauth"), ("proxy", "compute.one")):
            thief = await self.login(name)
            methods = dict.fromkeys(("get_instance", "check_token"), note)
            await thief.serve(topic, methods, binary="nova-compute", host="one", place="192.0.2.1")
        self.assertEqual(
            [one.topic for one in await self.api.services()], ["compute.one", "compute.two", "consoleauth"]
        )
        for _ in range(10):
            await self.door.check_token(await self.make_token(), "novnc", VIEWER)
        self.assertEqual(heard, [])

    async def test_a_host_with_the_address_of_another(self) -> None:
        """Two's credential announces two at one's address: it is not seen there, and its own address stands."""
        thief = await self.login("compute.two")
        await thief.serve("compute.two", {}, binary="nova-compute", host="two", place="192.0.2.1")
        self.assertEqual([one.place for one in await self.api.services("compute.two")], ["192.0.2.2"])

    async def test_forged_replies(self) -> None:
        """A host that was called knows the caller's process and key, not the ids of calls to others."""
        process, key = self.api._process, self.api._calls._opener.public_key
        called = self.compute.find(A)
        for call_id in (HEX, secrets.token_hex(16)):
            text = json.dumps({"id": call_id, "sealed": Sealer(key).seal(call_id, '{"result":{"uuid":"forged"}}')})
            self.stolen("compute.two", "RPUSH", f"novnc:r:api:{process}", text)
        self.assertEqual((await called)["host"], "one")

    async def test_requests_that_are_none(self) -> None:
        """Junk of one role holds up no other; and who calls has no say in whose the reply is."""
        for _ in range(100):
            self.stolen("proxy", "RPUSH", "novnc:q:consoleauth:proxy", "junk", "{}", "[" * 1000)
        request = {
            "id": secrets.token_hex(16),
            "to": f"api:{HEX}",
            "key": Opener().public_key,
            "until": 10**15,
            "method": "check_token",
            "arguments": {"token_hash": "0" * 64, "console_type": "novnc", "client_address": VIEWER},
        }
        self.stolen("proxy", "RPUSH", "novnc:q:consoleauth:proxy", json.dumps(request))
        self.stolen("proxy", "RPUSH", "novnc:q:consoleauth:proxy", json.dumps(request | {"to": HEX}))
        token = await self.make_token()
        self.assertEqual((await self.door.check_token(token, "novnc", VIEWER)).compute_host, "one")
        await self.until(lambda: self.admin("EXISTS", f"novnc:r:proxy:{HEX}"))
        self.assertEqual(self.admin("EXISTS", f"novnc:r:api:{HEX}"), 0)
        self.assertLessEqual(self.admin("PTTL", f"novnc:r:proxy:{HEX}"), 300_000)
