"""Revoked tokens and changed rights: close code 4410, sessions on all proxies, and reconnections."""

from typing import Any

from twisted.internet.defer import Deferred, fail

from novnc_twisted.access import hash_token
from novnc_twisted.access.tokens import link_id
from novnc_twisted.consoleauth import ConsoleAuthAPI
from novnc_twisted.contract import Revocation, SessionFilter
from novnc_twisted.contract.topics import PROXY
from novnc_twisted.errors import InvalidToken, Revoked, ServiceUnavailable
from novnc_twisted.messaging.hedged import AFTER
from tests.consoleauth.harness import OTHER_VM, TOKEN, VIEWER, VM, ConsoleAuthCase


class Proxy:
    """A fake proxy worker that records its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.begun = 0
        self.hangs = False

    async def end_sessions(self, **wanted: Any) -> dict[str, Any]:
        return await self._note("end_sessions", wanted)

    async def set_mode(self, **wanted: Any) -> dict[str, Any]:
        return await self._note("set_mode", wanted)

    async def _note(self, method: str, wanted: dict[str, Any]) -> dict[str, Any]:
        self.begun += 1
        if self.hangs:
            await Deferred()
        self.calls.append((method, wanted))
        return {"ended": 2}


class RevocationCase(ConsoleAuthCase):
    proxy_kind = Proxy

    async def setUp(self) -> None:
        await super().setUp()
        (await self.host()).run()
        self.hosts["one"].run(OTHER_VM, port=5901)

    async def proxy(self, worker: str = "a") -> Proxy:
        proxy = self.proxy_kind()
        methods = {"end_sessions": proxy.end_sessions, "set_mode": proxy.set_mode}
        await self.transport.serve(PROXY.of("h", worker), methods, binary="novnc-sessions", host="h")
        return proxy

    async def revoke(self, reason: str = "", **wanted: Any) -> Revocation:
        return await self.api.revoke(SessionFilter(**wanted), reason)


class Tokens(RevocationCase):
    """Which tokens are revoked, and how they are refused."""

    async def test_each_selector(self) -> None:
        await self.serve()
        for wanted in ({"server_id": VM}, {"user_id": "u"}, {"project_id": "p"}, {"token_hash": hash_token("a")}):
            await self.token("a")
            await self.token("b", instance_uuid=OTHER_VM, user_id="v", project_id="q")
            self.assertEqual((await self.revoke(**wanted)).tokens, 1)
            self.assertEqual((await self.refused(Revoked, self.check("a"))).close_code, 4410)
            await self.check("b")
            self.clock.advance(10_000)  # both expire

    async def test_none_is_counted_twice(self) -> None:
        await self.serve()
        await self.token()
        self.assertEqual((await self.revoke(server_id=VM)).tokens, 1)
        self.assertEqual((await self.revoke(user_id="u")).tokens, 0)

    async def test_a_later_token_is_valid(self) -> None:
        await self.serve()
        await self.token()
        await self.revoke(user_id="u")
        self.clock.advance(0.001)
        await self.token("new")
        await self.check("new")

    async def test_of_a_project_of_servers(self) -> None:
        """A member revokes tokens for the servers of the member's project only."""
        await self.serve()
        self.hosts["one"].run(owner="p")
        await self.token("mine", owner="p")
        await self.token("other", owner="q")
        self.assertEqual((await self.revoke(server_id=VM, owner="p")).tokens, 1)
        await self.refused(Revoked, self.check("mine"))
        self.assertEqual((await self.revoke(token_hash=hash_token("other"), owner="p")).tokens, 0)

    async def test_a_server_that_is_gone(self) -> None:
        """Its tokens are revoked without a call to any host, and refused with Revoked."""
        await self.serve()
        await self.token()
        self.hosts["one"].consoles.clear()
        self.hosts["one"].asked.clear()
        self.assertEqual((await self.revoke(server_id=VM)).tokens, 1)
        self.assertEqual(self.hosts["one"].asked, [])
        await self.refused(Revoked, self.check())

    async def test_while_the_host_is_asked(self) -> None:
        await self.serve()
        await self.token()
        self.hosts["one"]._answer = lambda uuid: Deferred.fromCoroutine(self.revoke(server_id=VM))  # type: ignore
        await self.refused(Revoked, self.check())

    async def test_no_password_and_no_details(self) -> None:
        await self.serve()
        await self.token()
        await self.revoke(token_hash=hash_token(TOKEN))
        await self.refused(Revoked, self.api.get_vnc_password(TOKEN, "novnc", VIEWER))
        await self.refused(InvalidToken, self.api.show_token(TOKEN))

    async def test_no_lease_is_renewed(self) -> None:
        """The session of a proxy that missed the revocation ends, even when the token's record is gone."""
        await self.serve(token_ttl=100)
        await self.token()
        self.assertIsNone(await self.api.keep_token(TOKEN, VIEWER))
        await self.revoke("by an administrator", token_hash=hash_token(TOKEN))
        for seconds in (0, 600):
            self.clock.advance(seconds)
            refusal = await self.refused(Revoked, self.api.keep_token(TOKEN, VIEWER))
            self.assertEqual(refusal.detail, "by an administrator")

    async def test_a_session_whose_token_is_no_longer_stored(self) -> None:
        """Its renewal is refused after each kind of revocation, and after the tokens of its server were dropped."""
        self.hosts["one"].run(owner="o")
        selectors = ({"server_id": VM}, {"user_id": "u"}, {"project_id": "p"}, {"project_id": "p", "owner": "o"}, None)
        await self.serve(token_ttl=100)
        for wanted in selectors:
            for stored in (True, False):
                token = f"token-{wanted}-{stored}"
                await self.token(token, owner="o")
                await self.check(token)
                if not stored:
                    self.clock.advance(600)
                if wanted is None:
                    self.assertEqual(await self.delete_tokens(), int(stored))
                else:
                    await self.revoke("x", **wanted)
                self.clock.advance(600)
                await self.refused(Revoked, self.api.keep_token(token, VIEWER))
                self.clock.advance(100_000)

    async def test_a_session_of_a_token_that_was_made_later(self) -> None:
        await self.serve(token_ttl=100)
        await self.revoke(server_id=VM)
        await self.delete_tokens()
        self.clock.advance(1)
        await self.token()
        await self.check()
        self.clock.advance(600)
        self.assertIsNone(await self.api.keep_token(TOKEN, VIEWER))

    async def test_a_session_that_may_not_reconnect(self) -> None:
        """It has no lease, but its renewal is refused after a revocation, however long it has lived."""
        rules: tuple[dict[str, bool], ...] = ({"one_time": True}, {"enforce_session_timeout": True}, {})
        selectors = ({"server_id": VM}, {"user_id": "u"}, {"project_id": "p"}, {"token_hash": hash_token(TOKEN)})
        for policy in rules:
            manager = await self.serve(token_ttl=100, **policy)
            for wanted in selectors:
                await self.token(one_time=not policy)
                self.assertFalse((await self.check()).reconnects)
                for _ in range(20):
                    self.clock.advance(60)
                    self.assertIsNone(await self.api.keep_token(TOKEN, VIEWER))
                await self.refused(InvalidToken, self.check())
                await self.revoke("x", **wanted)
                await self.refused(Revoked, self.api.keep_token(TOKEN, VIEWER))
                self.clock.advance(100_000)
            await manager.stop()

    async def test_a_token_of_a_longer_token_ttl(self) -> None:
        """After a restart with a shorter one, the marks of the token still last as long as the token."""
        first = await self.serve(token_ttl=7 * 86400)
        (await self.host()).run()
        await self.token()
        await self.token("once", one_time=True)
        await self.token("watched")
        await first.stop()
        await self.serve(token_ttl=600)
        await self.check("once")
        await self.api.set_mode(hash_token("watched"), "view")
        await self.api.revoke(SessionFilter(token_hash=hash_token(TOKEN)))
        self.clock.advance(6 * 86400)
        await self.refused(Revoked, self.check())
        await self.refused(InvalidToken, self.check("once"))
        self.assertEqual((await self.check("watched")).mode, "view")

    async def test_wrong_arguments(self) -> None:
        await self.serve()
        narrowed = [
            {"server_id": VM, **more}
            for more in ({"user_id": "u"}, {"link_id": "0" * 32}, {"client_network": VIEWER}, {"made_until": 1.0})
        ]
        for wanted in ({}, {"session_id": "s"}, {"owner": "p"}, {"made_until": 1.0}, *narrowed):
            refusal = await self.refused(ServiceUnavailable, self.revoke(**wanted))
            self.assertIn("selected by one of", refusal.detail)


class Sessions(RevocationCase):
    """Calls to the proxies, and proxies that do not answer."""

    async def test_all_proxies_are_asked(self) -> None:
        await self.serve()
        proxies = [await self.proxy(worker) for worker in "ab"]
        answer = await self.revoke("why", user_id="u", owner="p")
        self.assertEqual(answer, Revocation(tokens=0, sessions=4, unanswered=()))
        for proxy in proxies:
            self.assertEqual(proxy.calls, [("end_sessions", {"user_id": "u", "owner": "p", "reason": "why"})])

    async def test_a_proxy_that_does_not_answer(self) -> None:
        """It is named in the result, and called again when it answers again."""
        await self.serve()
        good, bad = await self.proxy("a"), await self.proxy("b")
        bad.hangs = True
        asked = Deferred.fromCoroutine(self.revoke(server_id=VM))
        self.assertNoResult(asked)
        self.clock.advance(2.5)
        self.assertEqual((await asked).unanswered, ("proxy.h.b",))
        self.assertEqual((len(good.calls), len(bad.calls)), (1, 0))
        bad.hangs = False
        for _ in range(2):
            self.clock.advance(3)
        self.assertEqual((len(good.calls), len(bad.calls)), (1, 1))

    async def test_one_that_was_not_listed(self) -> None:
        """A proxy that is listed within two minutes is called; a later one is not."""
        await self.serve()
        await self.revoke(server_id=VM)
        self.clock.advance(3)
        late = await self.proxy("late")
        self.clock.advance(3)
        self.assertEqual(len(late.calls), 1)
        for _ in range(40):
            self.clock.advance(3)
        later = await self.proxy("later")
        self.clock.advance(3)
        self.assertEqual((len(late.calls), later.calls), (1, []))
        self.assertEqual([call for call in self.clock.getDelayedCalls() if "sleep" in repr(call)], [])

    async def test_the_proxies_are_unknown(self) -> None:
        """The revocation is stored nevertheless."""
        await self.serve()
        await self.token()
        self.patch(self.transport, "broadcast", lambda *_, **__: fail(ServiceUnavailable("the bus is down")))
        await self.refused(ServiceUnavailable, self.revoke(server_id=VM))
        await self.refused(Revoked, self.check())

    async def test_a_consoleauth_that_hangs(self) -> None:
        """Another one revokes, although the first one took the call and does not answer."""
        await self.serve()
        await self.token()
        call, taken = self.transport.call, []

        def take_the_first(topic: str, method: str, /, **arguments: Any) -> Any:
            if method != "revoke" or taken:
                return call(topic, method, **arguments)
            taken.append(Deferred())
            return taken[0]

        self.patch(self.transport, "call", take_the_first)
        api = ConsoleAuthAPI(self.transport, now=self.clock.seconds, clock=self.clock)
        asked = Deferred.fromCoroutine(api.revoke(SessionFilter(server_id=VM)))
        self.clock.advance(AFTER)
        self.assertEqual(self.successResultOf(asked).tokens, 1)
        await self.refused(Revoked, self.check())

    async def test_stopped(self) -> None:
        manager = await self.serve()
        await self.revoke(server_id=VM)
        await manager.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class Modes(RevocationCase):
    """What the viewers of a token may do."""

    async def test_a_reconnection_restores_nothing(self) -> None:
        await self.serve()
        proxy = await self.proxy()
        await self.token()
        self.assertEqual((await self.check()).mode, "control")
        self.assertEqual((await self.api.set_mode(hash_token(TOKEN), "view")).sessions, 2)
        self.assertEqual(proxy.calls, [("set_mode", {"link_id": link_id(hash_token(TOKEN)), "mode": "view"})])
        self.assertEqual((await self.check()).mode, "view")
        self.assertEqual(await self.api.keep_token(TOKEN, VIEWER), "view")
        await self.api.set_mode(hash_token(TOKEN), "control")
        self.assertEqual((await self.check()).mode, "control")

    async def test_as_long_as_the_session(self) -> None:
        await self.serve(token_ttl=100)
        await self.token()
        await self.api.set_mode(hash_token(TOKEN), "view")
        for _ in range(100):
            self.assertEqual(await self.api.keep_token(TOKEN, VIEWER), "view")
            self.clock.advance(50)
        self.assertEqual((await self.check()).mode, "view")

    async def test_a_view_only_token(self) -> None:
        await self.serve()
        await self.token(mode="view")
        self.assertEqual((await self.check()).mode, "view")

    async def test_wrong_arguments(self) -> None:
        await self.serve()
        refusal = await self.refused(ServiceUnavailable, self.api.set_mode(hash_token(TOKEN), "all"))
        self.assertIn("mode", refusal.detail)


class Terms(RevocationCase):
    """Limits that the API sets for one token."""

    async def test_a_shorter_life(self) -> None:
        await self.serve()
        now = self.clock.seconds()
        for asked, given in ((60, 60), (6000, 600), (None, 600)):
            self.assertEqual(await self.token(f"t{asked}", expires_in=asked), now + given)
        self.clock.advance(60)
        await self.refused(InvalidToken, self.check("t60"))
        await self.check("t6000")

    async def test_one_use(self) -> None:
        await self.serve()
        await self.token(one_time=True)
        info = await self.check()
        self.assertFalse(info.reconnects)
        await self.refused(InvalidToken, self.check())
        await self.api.keep_token(TOKEN, VIEWER)
        self.clock.advance(600)
        await self.refused(InvalidToken, self.check())
