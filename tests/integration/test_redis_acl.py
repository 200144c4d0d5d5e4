"""A stolen credential: everything that it must not do is tried on a real Redis with working services.

The table of attempts is in :mod:`.redis_forbidden`.
"""

import json
import secrets
from contextlib import closing
from typing import Any

from twisted.internet.threads import deferToThread

from novnc_twisted.access import hash_token
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.interfaces import TopicInUse
from novnc_twisted.messaging.redis.keys import KINDS, services
from novnc_twisted.messaging.redis.reasons import code_of
from novnc_twisted.messaging.redis.scripts import ALL, ANNOUNCE, INDEXED
from novnc_twisted.messaging.redis.sealing import Opener, Sealer
from novnc_twisted.session.manager import SessionManager
from tests.compute.harness import A, B
from tests.integration.redis_forbidden import ASKED, BAD_COUNTS, BY_SCRIPT, FOR, FOR_NEITHER, FOR_NOBODY, HEX, TOKEN
from tests.integration.redis_roles import ADDRESSES, VIEWER, RolesCase
from tests.session.test_manager import FakeRegistry
from tests.support.redis_server import Client


class ForbiddenTests(RolesCase):
    """Redis itself refuses with NOPERM."""

    async def setUp(self) -> None:  # type: ignore[override]
        await super().setUp()
        self.token = await self.make_token()
        self.hash = hash_token(self.token)

    def attempts(self, name: str) -> list[list[str]]:
        """The commands of the tables that a credential must not run."""
        lines = FOR_NOBODY + (FOR_NEITHER if name in ("proxy", "compute.one") else "") + FOR[name]
        return [[word.replace(TOKEN, self.hash) for word in line.split()] for line in lines.split("\n") if line]

    def answer(self, name: str, *words: str) -> str:
        """Redis's answer: an error's text, or the value."""
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
        """Redis has loaded each script, and denies a command inside it."""
        done = []
        for name in ("proxy", "compute.one"):
            for script, keys, arguments in BY_SCRIPT:
                named = [key.replace(TOKEN, self.hash) for key in keys]
                words = ["EVALSHA", script.sha, "0", str(len(named)), *named, *arguments]
                answer = self.answer(name, *words)
                # With declared keys Redis checks the rights to read and to write before it runs the script.
                declared = self.answer(name, "EVALSHA", script.sha, str(len(named)), *named, "0", *arguments)
                if code_of(answer) != "NOPERM" or "script" not in answer or not declared.startswith("NOPERM"):
                    done.append((name, words, answer, declared))
        self.assertEqual(done, [])
        await self.still_works()

    async def test_invalid_counts(self) -> None:
        """With a count of 1e15 a script would block Redis until an administrator ends it."""
        done = []
        for name in FOR:
            for script in ALL:
                for count in BAD_COUNTS:
                    answer = self.answer(name, "EVALSHA", script.sha, "0", count, "x", "y")
                    if answer != "ERR bad number of keys":
                        done.append((name, script.text[-200:], count, answer))
        self.assertEqual(done, [])
        # Even with consoleauth's credential, which may read indexes, no script loops.
        self.admin("ZADD", "novnc:i:x", "99999999999999", "1" * 17 + "a", "99999999999999", "2" * 17 + "b")
        for left_out, keys in (("-1e15", "[b'a', b'b']"), ("nan", "[b'a', b'b']"), ("inf", "[]"), ("1e15", "[]")):
            answer = self.answer("consoleauth", "EVALSHA", INDEXED.sha, "0", "1", "novnc:i:x", left_out)
            self.assertEqual(answer, keys, left_out)
        await self.still_works()

    async def test_kinds_of_services_that_do_not_exist(self) -> None:
        """A stolen credential may add them; they must not cost consoleauth time for ever."""
        kinds = [f"kind{number}" for number in range(1000)]
        self.stolen("compute.one", "SADD", KINDS, *kinds)
        before = set(self.admin("SMEMBERS", KINDS)) - {kind.encode() for kind in kinds}
        named = KINDS, services("consoleauth"), "novnc:a:consoleauth@", "novnc:p:consoleauth"
        # The script that consoleauth runs at every tenth renewal of its entry.
        renewal = "3000", "consoleauth@", "w {}", "", "1", "", "consoleauth", "30000"
        self.stolen("consoleauth", "EVALSHA", ANNOUNCE.sha, "0", str(len(named)), *named, *renewal)
        self.assertEqual(set(self.admin("SMEMBERS", KINDS)), before)
        await self.still_works()

    async def still_works(self) -> None:
        """Assert that the attempts had no effect."""
        info = await self.door.check_token(self.token, "novnc", VIEWER)
        self.assertEqual((info.compute_host, info.host), ("one", "192.0.2.1"))
        self.assertEqual([one.topic for one in await self.api.services("compute.")], ["compute.one", "compute.two"])
        self.assertEqual(self.admin("EXISTS", "novnc:s:token:forged"), 0)

    async def test_without_a_user(self) -> None:
        for words in (("PING",), ("GET", "x"), ("AUTH", "default", "x"), ("AUTH", "novnc-proxy", "x")):
            with self.assertRaisesRegex(RuntimeError, "^(NOAUTH|WRONGPASS) "):
                self.redis.command(*words)


class RefusedTests(RolesCase):
    """If Redis allows a call, the called service refuses it."""

    async def test_methods_of_consoleauth(self) -> None:
        token = await self.make_token()
        for name, methods in ASKED.items():
            thief = await self.login(name)
            for method, arguments in methods.items():
                asked = {"token_hash": hash_token(token), **arguments}
                detail = await self.refused(ServiceUnavailable, thief.call("consoleauth", method, **asked))
                self.assertEqual(detail, "consoleauth has no such method", (name, method))
        line = "a process with role proxy called authorize_console of consoleauth, which this role may not call"
        self.assertEqual(len(self.logged.lines(line)), 1)
        self.assertEqual((await self.door.check_token(token, "novnc", VIEWER)).compute_host, "one")

    async def test_methods_of_a_compute_host(self) -> None:
        for method in ("get_vnc_password", "validate_console_port", "get_instances_at_address"):
            detail = await self.refused(ServiceUnavailable, self.api.call("compute.one", method, instance_uuid=A))
            self.assertEqual(detail, "compute.one has no such method")

    async def test_calls_of_compute_hosts(self) -> None:
        for name in ("proxy", "compute.two"):
            thief = await self.login(name)
            detail = await self.refused(ServiceUnavailable, thief.call("compute.one", "get_instance", instance_uuid=A))
            self.assertIn("Redis answered", detail)
            self.assertIn("Redis answered", await self.refused(ServiceUnavailable, thief.services()))
            self.assertIn("Redis answered", await self.refused(ServiceUnavailable, thief.store.get("token:x")))

    async def test_calls_of_a_proxys_worker(self) -> None:
        """Neither a compute host nor another proxy ends sessions."""
        manager = SessionManager(self.proxy, FakeRegistry(), host="edge1")
        await manager.start()
        self.addCleanup(manager.stop)
        for name in ("proxy", "compute.two"):
            thief = await self.login(name)
            called = thief.call(manager.topic, "end_sessions", user_id="u")
            self.assertIn("Redis answered", await self.refused(ServiceUnavailable, called))
        self.assertEqual(await self.api.call(manager.topic, "end_sessions", user_id="u"), {"ended": 0})

    async def test_to_serve_another_hosts_topic(self) -> None:
        """A false service is not listed, and receives no calls."""
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
        """Host two's credential announces two at one's address: it is not listed there, and its own address stays."""
        thief = await self.login("compute.two")
        await thief.serve("compute.two", {}, binary="nova-compute", host="two", place="192.0.2.1")
        self.assertEqual([one.place for one in await self.api.services("compute.two")], ["192.0.2.2"])

    async def test_a_second_host_of_one_name(self) -> None:
        """It has the same credential, and Redis denies none of its commands."""
        twin = await self.login("compute.one")
        with self.assertRaises(TopicInUse) as caught:
            await twin.serve(
                "compute.one", {}, binary="nova-compute", host="one", place=ADDRESSES["one"], exclusive=True
            )
        self.assertEqual(str(caught.exception).count("127.0.0.1, process "), 2)
        self.assertEqual(self.admin("ACL", "LOG"), [])
        self.assertEqual((await self.compute.find(A)).host, "one")

    async def test_announcements_that_never_expire(self) -> None:
        """Entries that expire in the far future are ignored: false announcements do not outlive the credential."""
        await self.managers["two"].stop()
        # As if it had crashed: after an orderly end, calls wait for a restart.
        self.admin("DEL", "novnc:a:compute.two@192.0.2.2", "novnc:p:compute.two")
        entry = '{"binary":"nova-compute","host":"two","info":{}}'
        self.stolen("compute.two", "SADD", "novnc:services:compute", "compute.two@192.0.2.2")
        for key, member in (("a:compute.two@192.0.2.2", f"x {entry}"), ("p:compute.two", "x")):
            self.stolen("compute.two", "ZADD", f"novnc:{key}", "99999999999999", member)
        self.assertEqual([one.topic for one in await self.api.services("compute.")], ["compute.one"])
        called = self.api.call("compute.two", "get_instance", instance_uuid=B)
        self.assertEqual(await self.refused(ServiceUnavailable, called), "nobody serves compute.two")

    async def test_forged_replies(self) -> None:
        """A host that was called knows the caller's process and key, but not the ids of calls to others."""
        process, key = self.api.calls.process, self.api.calls.public_key
        called = self.compute.find(A)
        for call_id in (HEX, secrets.token_hex(16)):
            text = json.dumps({"id": call_id, "sealed": Sealer(key).seal(call_id, '{"result":{"uuid":"forged"}}')})
            self.stolen("compute.two", "RPUSH", f"novnc:r:api:{process}", text)
        self.assertEqual((await called).host, "one")

    async def test_the_server_of_another_is_gone(self) -> None:
        """A host cannot report this, even if the true host's answer is lost in a flood of invalid replies."""
        token, thief = await self.make_token(), await self.login("compute.two")
        replies = f"novnc:r:consoleauth:{self.auth._transport.calls.process}"
        for _ in range(4):
            self.stolen("compute.two", "RPUSH", replies, *["junk"] * 5_000)
        await self.refused(ServiceUnavailable, thief.call("consoleauth", "instance_gone", instance_uuid=A))
        await self.until(lambda: not self.admin("EXISTS", replies))
        self.assertEqual((await self.door.check_token(token, "novnc", VIEWER)).compute_host, "one")

    async def test_messages_that_are_too_long(self) -> None:
        """A credential that pushes huge values into its own list blocks only that list, and is named in the log."""
        queue, long, stop = "novnc:q:consoleauth:proxy", b"x" * (5 << 20), False

        def push() -> None:
            with closing(Client(self.redis)) as client:
                client.set_timeout(60)
                client.command("AUTH", *self.users.login("proxy"))
                while not stop:
                    if client.command("LLEN", queue) < 3:  # type: ignore[operator]
                        client.command("RPUSH", queue, long)

        pushing = deferToThread(push)
        try:
            await self.until(lambda: self.logged.lines("for calls to consoleauth by role proxy was longer than 4 MiB"))
            for _ in range(20):
                await self.make_token()
        finally:
            stop = True
            await pushing
        self.assertEqual(len(self.logged.lines("proto-max-bulk-len 4mb")), 1)
        self.admin("DEL", queue)
        self.admin("CONFIG", "SET", "proto-max-bulk-len", "4mb")
        with self.assertRaises((RuntimeError, OSError)):
            self.stolen("proxy", "RPUSH", queue, long)
        self.assertEqual(self.admin("EXISTS", queue), 0)
        token = await self.make_token()
        await self.until_good(token)

    async def until_good(self, token: str) -> None:
        """Wait until a proxy's call is answered."""
        while True:
            try:
                self.assertEqual((await self.door.check_token(token, "novnc", VIEWER)).compute_host, "one")
            except ServiceUnavailable:
                await self.pause(0.1)
            else:
                return

    async def test_invalid_requests(self) -> None:
        """Junk of one role blocks no other role, and a caller cannot direct replies to others."""
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
