"""consoleauth with several workers on a real Redis: the token policy holds across processes and restarts."""

import time
from typing import Any
from unittest import mock

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from novnc_twisted.consoleauth import ConsoleAuthAPI, ConsoleAuthManager
from novnc_twisted.contract import ConnectInfo
from novnc_twisted.errors import InvalidToken, Refusal, ServiceUnavailable
from novnc_twisted.messaging import transport_from_url
from tests.consoleauth.harness import OTHER_VM, TOKEN, VIEWER, VM, Host
from tests.support.redis_server import RedisServer

ELSEWHERE = "198.51.100.1"


class RedisTests(TestCase):
    """Two consoleauths, a compute host and a caller, each with its own transport.

    The test sets consoleauth's clock; Redis's clock does not follow, so only consoleauth refuses expired tokens.
    """

    timeout = 300

    async def setUp(self) -> None:
        self.redis = RedisServer(self)
        self.time = 1_000_000.0
        self.host = Host("one.example")
        self.host.run()
        transport = await self.transport()
        await transport.serve(
            "compute.one",
            {
                "validate_console_port": self.host.validate_console_port,
                "get_vnc_password": self.host.get_vnc_password,
            },
            binary="nova-compute",
            host="one",
            place="one.example",
        )
        self.caller = await self.transport()
        self.api = ConsoleAuthAPI(self.caller)

    async def transport(self) -> Any:
        transport: Any = transport_from_url(reactor, self.redis.url)
        self.addCleanup(transport.stop)
        await transport.start()
        return transport

    async def serve(self, workers: int = 2, **policy: Any) -> list[ConsoleAuthManager]:
        managers = []
        for _ in range(workers):
            manager = ConsoleAuthManager(await self.transport(), reactor, **({"now": lambda: self.time} | policy))
            await manager.start()
            self.addCleanup(manager.stop)
            managers.append(manager)
        return managers

    async def token(self, token: str = TOKEN, uuid: str = VM) -> None:
        await self.api.authorize_console(
            token,
            ConnectInfo(host="one.example", port=5900, instance_uuid=uuid, compute_host="one", name="myserver20"),
        )

    async def delete_tokens(self, uuid: str) -> int:
        """Delete a server's tokens as the API does; return how many there were."""
        answer = await self.caller.call("consoleauth", "delete_tokens_for_instance", instance_uuid=uuid)
        return int(answer["deleted"])

    async def check(self, token: str = TOKEN, viewer: str = VIEWER) -> Any:
        return await self.api.check_token(token, "novnc", viewer)

    async def refused(self, kind: type[Refusal], work: Any) -> None:
        await self.assertFailure(Deferred.fromCoroutine(work), kind)

    async def test_a_token_and_its_lease(self) -> None:
        await self.serve(token_ttl=30)
        await self.token()
        for _ in range(4):
            self.assertEqual((await self.check()).host, "one.example")
        self.time += 29
        await self.api.keep_token(TOKEN, VIEWER)
        self.time += 59
        await self.check()
        await self.refused(InvalidToken, self.check(viewer=ELSEWHERE))
        self.time += 1
        await self.refused(InvalidToken, self.check())

    async def test_a_ttl_of_zero(self) -> None:
        """A token expires at once under any policy, and is not stored: Redis accepts no expiry of 0."""
        for policy in ({}, {"one_time": True}, {"bind_address": True}, {"enforce_session_timeout": True}):
            (manager,) = await self.serve(1, token_ttl=0, **policy)
            await self.token()
            await self.refused(InvalidToken, self.check())
            await self.api.keep_token(TOKEN, VIEWER)
            await self.refused(InvalidToken, self.check())
            await self.refused(InvalidToken, self.api.show_token(TOKEN))
            self.assertEqual(self.redis.command("KEYS", "*token:*"), [])
            await manager.stop()

    async def test_a_redis_that_lost_everything(self) -> None:
        """Redis was killed and had no file: the link of a live session is valid again as soon as Redis is back."""
        await self.serve()
        await self.token()
        await self.token("unused")
        for _ in range(4):
            await self.check()
        self.redis.kill()
        self.redis.start()
        while True:
            try:
                await self.api.keep_token(TOKEN, VIEWER)
                self.assertEqual((await self.check()).host, "one.example")
                break
            except ServiceUnavailable:
                await deferLater(reactor, 0.05)
        await self.refused(InvalidToken, self.check("unused"))

    async def test_clocks_that_differ(self) -> None:
        """The hosts' clocks differ by 700 s, and tokens are valid for 600 s: only the clock of Redis counts."""
        (ahead,) = await self.serve(1, now=None)
        with mock.patch("time.time", return_value=time.time() + 700):
            await self.token()
        await ahead.stop()
        await self.serve(1, now=None)
        await self.check()
        with mock.patch("time.time", return_value=time.time() - 700):
            await self.check()

    async def test_one_of_many_at_once(self) -> None:
        await self.serve(one_time=True)
        await self.token()
        results = [Deferred.fromCoroutine(self.check()) for _ in range(16)]
        good: list[Any] = []
        for result in results:
            result.addCallbacks(good.append, lambda failure: failure.trap(InvalidToken))
            await result
        self.assertEqual(len(good), 1)

    async def test_limit_and_dropping(self) -> None:
        await self.serve(max_tokens_per_server=2)
        self.host.run(OTHER_VM)
        await self.token("other", OTHER_VM)
        for name in ("a", "b", "c"):
            await self.token(name)
        await self.refused(InvalidToken, self.check("a"))
        await self.check("b")
        await self.api.keep_token("b", VIEWER)
        self.assertEqual(await self.delete_tokens(VM), 2)
        await self.refused(InvalidToken, self.check("b"))
        await self.refused(InvalidToken, self.check("c"))
        await self.check("other")

    async def test_consoleauth_restarted(self) -> None:
        for manager in await self.serve():
            await self.token()
            await manager.stop()
        await self.serve(1)
        await self.check()

    async def test_neither_token_nor_password_is_seen_in_redis(self) -> None:
        await self.serve(bind_address=True)
        self.host.passwords[VM] = "s3cr3t!"
        await self.token()
        await self.check()
        await self.api.keep_token(TOKEN, VIEWER)
        self.assertEqual(await self.api.get_vnc_password(TOKEN, "novnc", VIEWER), "s3cr3t!")
        seen = b""
        for key in self.redis.command("KEYS", "*"):  # type: ignore[attr-defined]
            kind = self.redis.command("TYPE", key)
            seen += key + (bytes(self.redis.command("GET", key)) if b"string" in bytes(kind) else b"")  # type: ignore[call-overload]
        self.assertIn(b"one.example", seen)
        for secret in (TOKEN.encode(), b"s3cr3t!", TOKEN.encode()[:12]):
            self.assertNotIn(secret, seen)
