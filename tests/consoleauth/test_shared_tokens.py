"""Tokens that a viewer makes for a guest: they have no more rights, and last no longer, than the viewer's own token."""

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from novnc_twisted.access import hash_token
from novnc_twisted.access.tokens import link_id
from novnc_twisted.consoleauth.live_sessions import DEADLINE
from novnc_twisted.consoleauth.people_api import PeopleAPI
from novnc_twisted.consoleauth.shared_tokens import LONGEST, MOST
from novnc_twisted.contract import Revocation, SessionFilter, SharedLink
from novnc_twisted.contract.topics import PROXY
from novnc_twisted.errors import ConsoleForbidden, InvalidToken, Revoked, ServiceUnavailable
from novnc_twisted.events import ConsoleShared, TokenUsed
from tests.consoleauth.harness import TOKEN, VIEWER, VM, ConsoleAuthCase
from tests.consoleauth.test_revocations import Proxy

GUEST = "198.51.100.9"


class Shared(ConsoleAuthCase):
    async def begin(self, **policy: Any) -> None:
        self.seen: list[Any] = []
        await self.serve(observer=self.seen.append, **policy)
        (await self.host()).run(owner="p")
        self.people = PeopleAPI(self.transport, "proxy.h.w")

    async def share(self, mode: str = "view", seconds: float = 300, token: str = TOKEN) -> SharedLink:
        return await self.people.share(token, VIEWER, mode, seconds)

    async def guest(self, link: SharedLink) -> Any:
        return await self.check(link.token, viewer=GUEST)

    async def proxy(self) -> Proxy:
        proxy = Proxy()
        methods = {"end_sessions": proxy.end_sessions, "set_mode": proxy.set_mode}
        await self.transport.serve(PROXY.of("h", "w"), methods, binary="novnc-sessions", host="h")
        return proxy

    async def ends(self, link: SharedLink, detail: str) -> None:
        """Assert that the link opens nothing, and that a live session of it ends."""
        self.assertEqual((await self.refused(Revoked, self.guest(link))).detail, detail)
        await self.refused(Revoked, self.api.keep_token(link.token, GUEST))

    async def test_what_a_guest_gets(self) -> None:
        await self.begin()
        await self.token(owner="p", administrator=True)
        link = await self.share()
        self.assertEqual(link.expires_in, 300)
        self.assertNotIn(link.token, repr(link))
        info = await self.guest(link)
        self.assertEqual((info.mode, info.user_id, info.administrator), ("view", "u", False))
        self.assertEqual(info.shared_from, hash_token(TOKEN))
        # The session ends when the link expires, and calls keep_token from its beginning.
        self.assertEqual((info.expires_at - self.clock.seconds(), info.keep_from, info.reconnects), (300, 0, True))
        (shared,) = [event for event in self.seen if isinstance(event, ConsoleShared)]
        (used,) = [event for event in self.seen if isinstance(event, TokenUsed)]
        self.assertEqual((shared.mode, shared.address, shared.shared_link_id), ("view", VIEWER, used.link_id))
        self.clock.advance(299)
        await self.guest(link)
        await self.api.keep_token(link.token, GUEST)
        self.clock.advance(1)
        await self.refused(InvalidToken, self.guest(link))

    async def test_never_more_than_the_own_right(self) -> None:
        await self.begin()
        await self.token(mode="view")
        await self.refused(ConsoleForbidden, self.share("control"))
        link = await self.share("view")
        # A guest's link cannot be shared once more.
        await self.refused(ConsoleForbidden, self.people.share(link.token, GUEST, "view", 60))
        await self.refused(InvalidToken, self.share(token="unknown"))
        for wrong in ({"seconds": 0}, {"seconds": -1}, {"mode": "all"}):
            await self.refused(ServiceUnavailable, self.share(**wrong))  # type: ignore[arg-type]

    async def test_a_link_for_one_use_makes_links_for_one_use(self) -> None:
        await self.begin()
        await self.token(one_time=True)
        await self.check(TOKEN)
        link = await self.share()
        self.assertFalse((await self.guest(link)).reconnects)
        await self.refused(InvalidToken, self.guest(link))

    async def test_limits(self) -> None:
        await self.begin()
        await self.token()
        self.assertEqual((await self.share(seconds=1e9)).expires_in, LONGEST)
        for _ in range(MOST - 1):
            await self.share()
        await self.refused(ConsoleForbidden, self.share())

    async def test_links_at_the_same_moment(self) -> None:
        """Simultaneous calls, also to two consoleauths, cannot exceed the limit together."""
        await self.begin()
        await self.serve()
        await self.token()
        store = self.transport.store
        put = store.put
        slow: list[Deferred[None]] = []

        def put_later(key: str, *more: Any) -> Deferred[None]:
            done = put(key, *more)
            if not key.startswith("shared:"):
                return done
            slow.append(Deferred())
            return slow[-1].addCallback(lambda _: done)

        self.patch(store, "put", put_later)
        sharing = [Deferred.fromCoroutine(self.share()) for _ in range(MOST + 4)]
        for one in slow:
            one.callback(None)
        outcomes = [done for _, done in await DeferredList(sharing, consumeErrors=True)]
        links = [one for one in outcomes if isinstance(one, SharedLink)]
        self.assertEqual((len(outcomes), len(links)), (MOST + 4, MOST))
        for link in links:
            await self.guest(link)
        self.assertEqual(len(await store.indexed(f"shares:{hash_token(TOKEN)}")), MOST)

    async def test_revoked_with_the_sharer(self) -> None:
        await self.begin()
        await self.token()
        link = await self.share()
        proxy = await self.proxy()
        outcome = await self.api.revoke(SessionFilter(token_hash=hash_token(TOKEN)), "x")
        await self.ends(link, "the source of the guest's link was revoked")
        ended = [wanted["link_id"] for _, wanted in proxy.calls]
        self.assertEqual(ended, [link_id(hash_token(token)) for token in (TOKEN, link.token)])
        # The fake proxy ends two sessions of each token.
        self.assertEqual(outcome, Revocation(tokens=2, sessions=4, unanswered=()))
        self.assertEqual((await self.api.revoke(SessionFilter(user_id="u"))).tokens, 0)

    async def test_a_proxy_that_does_not_answer(self) -> None:
        """It is named within one deadline, although the sessions of guests are changed as well."""
        await self.begin()
        await self.token()
        for _ in range(3):
            await self.share()
        (await self.proxy()).hangs = True
        token_hash = hash_token(TOKEN)
        for change in (
            lambda: self.api.set_mode(token_hash, "view"),
            lambda: self.api.revoke(SessionFilter(token_hash=token_hash)),
        ):
            asked = Deferred.fromCoroutine(change())
            self.assertNoResult(asked)
            self.clock.advance(DEADLINE)
            self.assertEqual((await asked).unanswered, (PROXY.of("h", "w"),))

    async def test_revoked_with_the_user(self) -> None:
        await self.begin()
        await self.token()
        link = await self.share()
        await self.api.revoke(SessionFilter(user_id="u"))
        await self.ends(link, "")

    async def test_dropped_with_the_sharer(self) -> None:
        await self.begin(max_tokens_per_server=2)
        await self.token()
        link = await self.share()
        await self.token("newer")
        await self.ends(link, "the source of the guest's link no longer exists")

    async def test_a_surplus_link_still_ends_with_its_source(self) -> None:
        """The session of a surplus token goes on; a revocation of the source still ends it."""
        await self.begin(max_tokens_per_server=2)
        proxy = await self.proxy()
        await self.token()
        link = await self.share()
        await self.guest(link)
        await self.token("newer")
        await self.token("newest")
        await self.api.revoke(SessionFilter(token_hash=hash_token(TOKEN)))
        ended = [arguments.get("link_id") for method, arguments in proxy.calls if method == "end_sessions"]
        self.assertIn(link_id(hash_token(link.token)), ended)

    async def test_a_dropped_link_leaves_no_entry(self) -> None:
        """Otherwise it would count among the links of a token that the store has lost and consoleauth has restored."""
        await self.begin()
        await self.token()
        await self.share()
        entries = f"shares:{hash_token(TOKEN)}"
        self.assertEqual(len(await self.transport.store.indexed(entries)), 1)
        await self.delete_tokens(VM)
        self.assertEqual(await self.transport.store.indexed(entries), [])

    async def test_expired_with_the_sharer(self) -> None:
        """The link is valid until the lease of the sharer's session ends."""
        await self.begin(token_ttl=100)
        await self.token()
        link = await self.share(seconds=1000)
        self.clock.advance(90)
        await self.api.keep_token(TOKEN, VIEWER)
        self.clock.advance(59)
        await self.guest(link)
        self.assertIsNone(await self.api.keep_token(link.token, GUEST))
        self.clock.advance(1)
        await self.ends(link, "the session with the source of the guest's link has ended")

    async def test_no_longer_than_a_token_that_is_not_leased(self) -> None:
        for policy in ({"enforce_session_timeout": True}, {"one_time": True}):
            await self.begin(token_ttl=100, **policy)
            await self.token()
            await self.check()
            self.clock.advance(40)
            self.assertEqual((await self.share(seconds=1000)).expires_in, 60)
            self.clock.advance(10_000)
            await self.setUp()
            await self.begin(token_ttl=10 * LONGEST, **policy)
            await self.token()
            await self.check()
            self.assertEqual((await self.share(seconds=1e9)).expires_in, LONGEST)
            await self.setUp()

    async def test_the_guest_of_a_token_that_is_not_leased(self) -> None:
        """Its renewal is refused when the source has ended."""
        ends: tuple[Callable[[], Awaitable[Any]], ...] = (
            lambda: self.api.revoke(SessionFilter(token_hash=hash_token(TOKEN))),
            lambda: self.token("newer"),  # it drops the source
        )
        for policy in ({"enforce_session_timeout": True}, {"one_time": True}):
            for end in ends:
                await self.begin(max_tokens_per_server=2, **policy)
                await self.token()
                await self.check()
                link = await self.share()
                info = await self.guest(link)
                self.assertEqual((info.keep_from, info.reconnects), (0, False))
                self.assertIsNone(await self.api.keep_token(link.token, GUEST))
                await end()
                await self.refused(Revoked, self.api.keep_token(link.token, GUEST))
                await self.setUp()

    async def test_the_project_changes(self) -> None:
        await self.begin()
        await self.token(owner="p")
        link = await self.share()
        self.hosts["one"].run(owner="q")
        await self.refused(ConsoleForbidden, self.guest(link))

    async def test_the_sharer_may_only_view_now(self) -> None:
        await self.begin()
        await self.token()
        link = await self.share("control")
        watching = await self.share("view")
        self.assertEqual((await self.guest(link)).mode, "control")
        await self.refused(ConsoleForbidden, self.api.change_power(link.token, "novnc", GUEST, "stop"))
        await self.api.set_mode(hash_token(TOKEN), "view")
        self.assertEqual((await self.guest(link)).mode, "view")
        self.assertEqual(await self.api.keep_token(link.token, GUEST), "view")
        await self.refused(ConsoleForbidden, self.api.change_power(link.token, "novnc", GUEST, "stop"))
        await self.refused(ConsoleForbidden, self.share("control"))
        await self.api.set_mode(hash_token(TOKEN), "control")
        self.assertEqual(await self.api.keep_token(link.token, GUEST), "control")
        self.assertIsNone(await self.api.keep_token(watching.token, GUEST))
        self.assertEqual((await self.guest(watching)).mode, "view")

    async def test_a_guest_whose_right_an_operator_has_raised(self) -> None:
        """The link was made for viewing.  It still has no more rights than its source."""
        await self.begin()
        proxy = await self.proxy()
        await self.token()
        link = await self.share("view")
        await self.api.set_mode(hash_token(link.token), "control")
        self.assertEqual((await self.guest(link)).mode, "control")
        proxy.calls.clear()
        for mode in ("view", "control"):
            await self.api.set_mode(hash_token(TOKEN), mode)
            self.assertEqual((await self.guest(link)).mode, mode)
            self.assertEqual(await self.api.keep_token(link.token, GUEST), mode)
            self.assertEqual([arguments["mode"] for _, arguments in proxy.calls], [mode, mode])
            proxy.calls.clear()
        await self.api.set_mode(hash_token(TOKEN), "view")
        proxy.calls.clear()
        await self.api.set_mode(hash_token(link.token), "control")
        self.assertEqual([arguments["mode"] for _, arguments in proxy.calls], ["view"])

    async def test_after_the_store_has_lost_everything(self) -> None:
        """Both tokens are restored, and the link stays valid."""
        await self.begin()
        self.transport.store.may_lose_data = True
        await self.token()
        link = await self.share()
        await self.check()
        await self.guest(link)
        await self.transport.store.remove(f"token:{hash_token(TOKEN)}", f"token:{hash_token(link.token)}")
        await self.api.keep_token(link.token, GUEST)
        await self.guest(link)

    async def test_nothing_secret_on_the_bus(self) -> None:
        await self.begin()
        await self.token()
        calls: list[Any] = []
        call = self.transport.call

        def noted(*arguments: Any, **named: Any) -> Any:
            calls.append((arguments, named))
            return call(*arguments, **named)

        self.patch(self.transport, "call", noted)
        link = await self.share()
        self.assertNotIn(link.token, repr(calls))
        self.assertNotIn(TOKEN, repr(calls))
