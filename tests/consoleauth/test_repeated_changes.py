"""Changes of sessions that a proxy has missed: they are repeated, and undo nothing that has happened since."""

from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, fail

from novnc_twisted.access import hash_token
from novnc_twisted.access.tokens import link_id
from novnc_twisted.consoleauth import ConsoleAuthAPI
from novnc_twisted.consoleauth.live_sessions import DEADLINE, PAUSE
from novnc_twisted.consoleauth.people_api import PeopleAPI
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.contract.topics import PROXY
from novnc_twisted.errors import Revoked, ServiceUnavailable
from novnc_twisted.messaging.hedged import AFTER
from novnc_twisted.session.matching import matches
from tests.consoleauth.harness import TOKEN, VIEWER, VM
from tests.consoleauth.test_revocations import Proxy, RevocationCase


class RepeatedCase(RevocationCase):
    async def begin(self) -> Proxy:
        await self.serve()
        return await self.proxy()

    async def missed(self, proxy: Proxy, change: Any) -> None:
        """Make a change while a proxy does not answer; afterwards, it answers again."""
        proxy.hangs = True
        asked = Deferred.fromCoroutine(change)
        self.clock.advance(DEADLINE)
        self.assertEqual((await asked).unanswered, (PROXY.of("h", "a"),))
        proxy.hangs = False

    def repeat(self) -> None:
        for _ in range(2):
            self.clock.advance(3)


class Modes(RepeatedCase):
    async def test_changed_since(self) -> None:
        """The repetition has the newest mode."""
        await self.newest_mode(await self.begin())

    async def test_changed_since_by_another_consoleauth(self) -> None:
        proxy = await self.begin()
        await self.serve()  # from now on, the two receive the calls in turn
        await self.newest_mode(proxy)

    async def newest_mode(self, proxy: Proxy) -> None:
        await self.token()
        guest = await PeopleAPI(self.transport, PROXY.of("h", "a")).share(TOKEN, VIEWER, "control", 300)
        await self.missed(proxy, self.api.set_mode(hash_token(TOKEN), "control"))
        await self.api.set_mode(hash_token(TOKEN), "view")
        self.repeat()
        links = [link_id(hash_token(token)) for token in (TOKEN, guest.token)]
        changes = [("set_mode", {"link_id": link, "mode": "view"}) for link in links]
        self.assertEqual(proxy.calls, changes * 2)

    async def test_the_store_is_down(self) -> None:
        proxy = await self.begin()
        await self.token()
        await self.missed(proxy, self.api.set_mode(hash_token(TOKEN), "view"))
        down = self.patch(self.transport.store, "get", lambda _: fail(ServiceUnavailable("the store is down")))
        self.repeat()
        self.assertEqual(proxy.calls, [])
        down.restore()
        self.repeat()
        self.assertEqual([wanted["mode"] for _, wanted in proxy.calls], ["view"])

    async def test_the_store_has_lost_the_token(self) -> None:
        proxy = await self.begin()
        await self.token()
        await self.missed(proxy, self.api.set_mode(hash_token(TOKEN), "view"))
        await self.transport.store.remove(f"token:{hash_token(TOKEN)}", f"mode:{hash_token(TOKEN)}")
        self.repeat()
        self.assertEqual([wanted["mode"] for _, wanted in proxy.calls], ["view"])


class Hanging(RepeatedCase):
    async def test_delays_no_other_proxy(self) -> None:
        """Each proxy gets the changes that it has missed in order; a hanging one gets one call at a time."""
        hanging = await self.begin()
        await self.token()
        hanging.hangs = True
        wanted = ["set_mode", "end_sessions"] * 2
        for mode in ("view", "control"):
            Deferred.fromCoroutine(self.api.set_mode(hash_token(TOKEN), mode))
            Deferred.fromCoroutine(self.revoke(user_id=f"user-of-{mode}"))
        self.clock.advance(DEADLINE)
        other = await self.proxy("b")
        for pauses in ([PAUSE - DEADLINE], [DEADLINE, PAUSE]):
            hanging.begun = 0
            self.clock.pump(pauses)
            self.assertEqual(hanging.begun, 1)
            self.assertEqual([method for method, _ in other.calls], wanted)
        hanging.hangs = False
        self.clock.pump([DEADLINE, PAUSE])
        self.assertEqual([method for method, _ in hanging.calls], wanted)


class Worker(Proxy):
    """A worker of a proxy that ends its sessions as a real one does."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions: dict[str, Any] = {}

    async def _note(self, method: str, wanted: dict[str, Any]) -> dict[str, Any]:
        answer = await super()._note(method, wanted)
        chosen = SessionFilter.from_arguments({name: wanted[name] for name in wanted if name != "reason"})
        self.sessions = {name: one for name, one in self.sessions.items() if not matches(one, chosen)}
        return answer


class Revocations(RepeatedCase):
    """Links that are made after a revocation are valid, and so are their sessions."""

    proxy_kind = Worker
    revocations: tuple[dict[str, str], ...] = ({"server_id": VM}, {"user_id": "u"}, {"project_id": "p"})

    async def open(self, worker: Any, token: str) -> None:
        await self.token(token)
        worker.sessions[token] = SimpleNamespace(info=await self.check(token))
        self.clock.advance(1)

    async def test_a_proxy_that_was_restarted(self) -> None:
        await self.serve()
        for number, wanted in enumerate(self.revocations):
            await self.revoke(**wanted)
            self.clock.advance(1)
            await self.open(proxy := await self.proxy(f"restarted-{number}"), "new")
            self.repeat()
            self.assertEqual((len(proxy.calls), list(proxy.sessions)), (1, ["new"]))
            self.clock.advance(10_000)

    async def test_a_proxy_that_did_not_answer(self) -> None:
        proxy: Any = await self.begin()
        for wanted in self.revocations:
            await self.open(proxy, "old")
            await self.missed(proxy, self.revoke(**wanted))
            await self.open(proxy, "new")
            self.repeat()
            self.assertEqual(list(proxy.sessions), ["new"])
            self.clock.advance(10_000)

    async def test_the_tokens_of_a_server_were_deleted(self) -> None:
        proxy: Any = await self.begin()
        await self.open(proxy, "old")
        proxy.hangs = True
        await self.delete_tokens()
        self.clock.advance(DEADLINE)
        proxy.hangs = False
        await self.open(proxy, "new")
        self.repeat()
        self.assertEqual(list(proxy.sessions), ["new"])


class RepeatedRequests(RevocationCase):
    """A revocation whose first call gets no answer, so that the caller repeats it."""

    async def test_a_token_that_was_made_between_the_calls(self) -> None:
        """The first call has revoked the tokens, but its answer is lost."""
        await self.begin_with_lost_answers()
        self.clock.advance(AFTER / 2)
        await self.token("new")
        self.clock.advance(AFTER)
        await self.assert_new_is_spared()
        self.assertEqual((await self.revocation).tokens, 0, "the new token is not revoked, so it does not count")

    async def test_a_first_call_that_is_delayed(self) -> None:
        """It runs only after its repetition was answered."""
        begun = await self.begin_with_lost_answers(delayed=True)
        self.clock.advance(AFTER)
        self.clock.advance(1)
        await self.token("new")
        begun[0].callback(None)
        await self.assert_new_is_spared()

    async def test_another_revocation_between_the_calls(self) -> None:
        """The repetition does not set back the time of the other revocation."""
        await self.begin_with_lost_answers()
        await self.token("new")
        self.clock.advance(AFTER / 2)
        await self.revoke(server_id=VM)
        self.clock.advance(AFTER)
        for token in ("old", "new"):
            await self.refused(Revoked, self.check(token))

    async def test_another_revocation_while_the_store_is_slow(self) -> None:
        """The slow one does not set back the time of the other one."""
        await self.serve()
        await self.token("old")
        get_many, held = self.transport.store.get_many, Deferred[None]()

        def hold_the_first(keys: list[str]) -> Deferred[Any]:
            if len(keys) > 1 or not keys[0].startswith("revoked:"):
                return get_many(keys)
            self.transport.store.get_many = get_many  # type: ignore[method-assign]
            return held.addCallback(lambda _: get_many(keys))

        self.patch(self.transport.store, "get_many", hold_the_first)
        slow = Deferred.fromCoroutine(self.revoke(server_id=VM))
        self.clock.advance(AFTER / 4)
        await self.token("new")
        self.clock.advance(AFTER / 4)
        await self.revoke(server_id=VM)
        held.callback(None)
        await slow
        await self.refused(Revoked, self.check("new"))

    async def begin_with_lost_answers(self, delayed: bool = False) -> list[Deferred[Any]]:
        """Revoke the token ``old``, but let the first call get no answer.

        :param delayed: the call runs only when the first of the returned Deferreds fires.
        """
        await self.serve()
        self.worker = await self.proxy()
        await self.token("old")
        call, held = self.transport.call, []

        def lose_the_first(topic: str, method: str, /, **arguments: Any) -> Any:
            if method != "revoke" or held:
                return call(topic, method, **arguments)
            held.append(Deferred())
            held[0].addCallback(lambda _: call(topic, method, **arguments))
            if not delayed:
                held[0].callback(None)
            return Deferred()

        self.patch(self.transport, "call", lose_the_first)
        api = ConsoleAuthAPI(self.transport, now=self.clock.seconds, clock=self.clock)
        self.revocation = Deferred.fromCoroutine(api.revoke(SessionFilter(server_id=VM)))
        return held

    async def assert_new_is_spared(self) -> None:
        await self.refused(Revoked, self.check("old"))
        await self.check("new")
        first, second = (wanted.get("made_until") for _, wanted in self.worker.calls)
        self.assertIsNone(first)
        self.assertLess(second, self.clock.seconds())
